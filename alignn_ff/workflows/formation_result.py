"""What the formation workflow gives back: energies of formation, and who is on the hull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.formation import FormationSettings


class Phase(NamedTuple):
    """A structure after relaxation. `decomposes_into` is the mixture on the hull, in parts of the atoms."""

    formula: str
    space_group: str
    atoms: int
    energy_ev_per_atom: float
    formation_energy_ev_per_atom: float
    above_hull_ev_per_atom: float
    stable: bool
    decomposes_into: str
    max_force_ev_per_a: float
    converged: bool

    def text(self) -> str:
        """Energies for people."""
        place = "on the hull" if self.stable else f"{self.above_hull_ev_per_atom:.4f} above {self.decomposes_into}"
        note = "" if self.converged else ", not relaxed"
        return f"{self.formation_energy_ev_per_atom:+.4f} eV/atom, {place}{note}"


COLUMNS = Phase._fields


@dataclass(frozen=True)
class FormationResult(WorkflowResult):
    """Phases in the order given; `atoms` is that of the lowest formation energy, `relaxed` are all.

    `references` has the columns element, structure, energy_ev_per_atom, converged. `compositions` [P, S] are the parts
    of `elements` in the phases. Phases on the hull are stable among those given, not among all there are.
    """

    settings: FormationSettings
    phases: tuple[Phase, ...]
    references: Table
    compositions: NDArray
    elements: tuple[str, ...]
    relaxed: tuple[Atoms, ...]
    converged: bool = quantity("all relaxations converged")
    cells_relaxed: bool = quantity("cells relaxed")
    stable: int = quantity("phases on the hull")

    name: ClassVar[str] = "formation"
    only_tables: ClassVar[tuple[str, ...]] = ("relaxed",)

    @property
    def outcome(self) -> Outcome:
        """Whether structures and elements relaxed."""
        return "done" if self.converged else "not converged"

    def to_dict(self) -> dict[str, Any]:
        """As the base does, phases as mappings."""
        return super().to_dict() | {"phases": [phase._asdict() for phase in self.phases]}

    def rows(self) -> list[tuple[str, str]]:
        """The references, each phase, and what holds for all."""
        table = self.references
        known = zip(table["element"], table["structure"], table["energy_ev_per_atom"], strict=True)
        found = [(f"reference {element}", f"{energy:.4f} eV/atom, {structure}") for element, structure, energy in known]
        found += [(f"{phase.formula} {phase.space_group}".rstrip(), phase.text()) for phase in self.phases]
        return [*found, *super().rows()]

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """All phases as they relaxed."""
        return {"relaxed": self.relaxed}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """Formula and space group of each phase."""
        return {"relaxed": [f"{one.formula} {one.space_group}".rstrip() for one in self.phases]}

    def tables(self) -> Mapping[str, Table]:
        """Phases with their compositions, and the references."""
        columns = {name: np.array([getattr(phase, name) for phase in self.phases]) for name in COLUMNS}
        parts = {f"x_{element}": self.compositions[:, k] for k, element in enumerate(self.elements)}
        return {"phases": columns | parts, "references": self.references}

    def plot(self) -> Figure:
        """The hull of two elements, a map of three, or bars of the energies above it."""
        from alignn_ff.reports.formation import hull_figure

        columns = self.tables()["phases"]
        return hull_figure(self.elements, self.compositions, columns)
