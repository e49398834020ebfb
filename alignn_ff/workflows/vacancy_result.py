"""What the vacancy workflow gives back: a formation energy per site, and the series of supercells behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity, quantity_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.vacancy import VacancySettings


class Row(NamedTuple):
    """One vacancy in one supercell; `formation_energy_ev` is the unrelaxed one where nothing was relaxed."""

    site: int
    element: str
    supercell_atoms: int
    image_distance_a: float
    unrelaxed_formation_energy_ev: float
    formation_energy_ev: float
    max_displacement_a: float
    max_force_ev_per_a: float
    converged: bool


COLUMNS = Row._fields


def columns_of(rows: Sequence[Row]) -> Table:
    """Rows as columns."""
    return {name: np.array(column) for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)}


@dataclass(frozen=True)
class Vacancy:
    """The vacancy of one site in the largest supercell of the series, which `supercell_atoms` counts before removal.

    `multiplicity` is how many atoms of the crystal symmetry makes equal to `site`. `size_effect_ev` is what the last
    step of the series changed, `extrapolated_formation_energy_ev` its limit on a line in 1/N; None for one supercell.
    """

    site: int
    element: str
    multiplicity: int
    supercell_atoms: int = quantity("atoms in the supercell")
    formation_energy_ev: float = quantity("formation energy", "eV", ".4f")
    unrelaxed_formation_energy_ev: float = quantity("without relaxation", "eV", ".4f")
    relaxation_energy_ev: float = quantity("relaxation", "eV", "+.4f")
    size_effect_ev: float | None = quantity("change with the last supercell", "eV", "+.4f")
    extrapolated_formation_energy_ev: float | None = quantity("extrapolated to infinite size", "eV", ".4f")
    reservoir_energy_ev: float = quantity("energy of the atom in its reservoir", "eV", ".4f")
    reservoir: str = quantity("reservoir")
    converged: bool = quantity("converged")


@dataclass(frozen=True)
class VacancyResult(WorkflowResult):
    """Vacancies of the crystal `atoms`. `relaxed` holds their structures in the largest supercell.

    `series` has the columns site, element, supercell_atoms, image_distance_a, unrelaxed_formation_energy_ev,
    formation_energy_ev, max_displacement_a, max_force_ev_per_a, converged.
    """

    settings: VacancySettings
    vacancies: tuple[Vacancy, ...]
    series: Table
    relaxed: tuple[Atoms, ...]
    converged: bool = quantity("all relaxations converged")
    space_group: str | None = quantity("space group")

    name: ClassVar[str] = "vacancy"
    only_tables: ClassVar[tuple[str, ...]] = ("relaxed",)

    @property
    def outcome(self) -> Outcome:
        """Whether crystal, vacancies and reservoirs relaxed."""
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """What holds for the crystal, then the energies of each vacancy."""
        found = super().rows()
        for one in self.vacancies:
            found += [(f"V({one.element}, site {one.site}): {label}", value) for label, value in quantity_rows(one)]
        return found

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The crystal, and the vacancies in the largest supercell."""
        return {"crystal": self.atoms, "vacancies": self.relaxed}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """The site of each vacancy."""
        return {"vacancies": [f"V({one.element}, site {one.site})" for one in self.vacancies]}

    def tables(self) -> Mapping[str, Table]:
        """Every vacancy in every supercell."""
        return {"series": self.series}

    def plot(self) -> Figure:
        """Formation energy over the inverse number of atoms, relaxed and not."""
        from alignn_ff.reports.vacancy import vacancy_figure

        limits = {one.site: one.extrapolated_formation_energy_ev for one in self.vacancies}
        return vacancy_figure(self.series, limits, relaxed=self.settings.relax_vacancies)
