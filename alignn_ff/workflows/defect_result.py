"""What workflows on point defects give back: a formation energy for each, and the series of supercells behind it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity, quantity_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.defect import DefectSettings

log = logging.getLogger(__name__)

SIZE_EFFECT_EV = 0.05
"""A formation energy that still changes by more with the last supercell is said not to have converged."""


@dataclass(frozen=True)
class Formation:
    """One defect in the largest supercell of the series, which `supercell_atoms` counts before it.

    `multiplicity` is how many of the cell symmetry makes equal to it. `size_effect_ev` is what the last step of the
    series changed, `extrapolated_formation_energy_ev` its limit on a line in 1/N; None for one supercell.
    """

    label: str
    site: int | None
    multiplicity: int
    supercell_atoms: int = quantity("atoms in the supercell")
    formation_energy_ev: float = quantity("formation energy", "eV", ".4f")
    unrelaxed_formation_energy_ev: float = quantity("without relaxation", "eV", ".4f")
    relaxation_energy_ev: float = quantity("relaxation", "eV", "+.4f")
    size_effect_ev: float | None = quantity("change with the last supercell", "eV", "+.4f")
    extrapolated_formation_energy_ev: float | None = quantity("extrapolated to infinite size", "eV", ".4f")
    converged: bool = quantity("converged")


@dataclass(frozen=True, kw_only=True)
class PointDefect(Formation):
    """A defect by which `removed` goes and `added` comes; energies of the atoms in their reservoirs in eV."""

    removed: str | None
    added: str
    place: tuple[float, float, float] | None
    reservoirs: str = quantity("reservoirs")


@dataclass(frozen=True, kw_only=True)
class SeriesResult(WorkflowResult):
    """Point defects of the crystal `atoms`. `relaxed` holds their structures in the largest supercell.

    `series` has the columns defect, supercell_atoms, image_distance_a, unrelaxed_formation_energy_ev,
    formation_energy_ev, max_displacement_a, max_force_ev_per_a, converged.
    """

    series: Table
    relaxed: tuple[Atoms, ...]
    converged: bool = quantity("all relaxations converged")
    space_group: str | None = quantity("space group")

    stem: ClassVar[str]
    only_tables: ClassVar[tuple[str, ...]] = ("relaxed",)

    @property
    @abstractmethod
    def formations(self) -> Sequence[Formation]:
        """Each defect."""

    @property
    def outcome(self) -> Outcome:
        """Whether crystal, defects and reservoirs relaxed."""
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """What holds for the crystal, then the energies of each defect."""
        found = super().rows()
        for one in self.formations:
            found += [(f"{one.label}: {label}", value) for label, value in quantity_rows(one)]
        return found

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The crystal, and the defects in the largest supercell."""
        return {"crystal": self.atoms, self.stem: self.relaxed}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """What each defect is."""
        return {self.stem: [one.label for one in self.formations]}

    def tables(self) -> Mapping[str, Table]:
        """Every defect in every supercell."""
        return {"series": self.series}

    def plot(self) -> Figure:
        """Formation energy over the inverse number of atoms, relaxed and not."""
        from alignn_ff.reports.defect import defect_figure

        return defect_figure(self.series, {one.label: one.extrapolated_formation_energy_ev for one in self.formations})

    def warn(self) -> None:
        """Log what is to be minded."""
        for one in self.formations:
            if not one.converged:
                log.warning("%s: a relaxation did not converge, see series.csv.", one.label)
            if one.size_effect_ev is not None and abs(one.size_effect_ev) > SIZE_EFFECT_EV:
                log.warning(
                    "%s: the last supercell changes its energy by %+.3f eV. Let there be larger ones (max_atoms, "
                    "sizes).",
                    one.label,
                    one.size_effect_ev,
                )
            if one.formation_energy_ev < 0:
                log.warning("%s: its formation energy is negative, the crystal would make it by itself.", one.label)


@dataclass(frozen=True, kw_only=True)
class DefectResult(SeriesResult):
    """Foreign, exchanged or additional atoms in a crystal."""

    settings: DefectSettings
    defects: tuple[PointDefect, ...]

    name: ClassVar[str] = "defect"
    stem: ClassVar[str] = "defects"

    @property
    def formations(self) -> Sequence[Formation]:
        """Each of them."""
        return self.defects
