"""The result of a relaxation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ase import Atoms

from alignn_ff.workflows.frame_files import TextFrames
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.relax import RelaxSettings


@dataclass(frozen=True)
class RelaxResult(WorkflowResult):
    """A relaxed structure. `atoms` and `initial` carry energy, forces and stress as stored results.

    `max_force_ev_per_a` obeys constraints; `max_stress_gpa` is the largest component of stress + pressure among
    the strains that may change (all of them where the cell stays), so zero at the target, and None where there
    is no stress. `reason` says why the steps ended, and which forces were left where they ended too early.
    `history` has the columns step, energy_ev, max_force_ev_per_a and, where the cell was relaxed, max_stress_gpa and
    volume_a3.
    """

    initial: Atoms
    settings: RelaxSettings
    history: Table
    cell: str = quantity("cell relaxed")
    converged: bool = quantity("converged")
    reason: str = quantity("stopped because")
    steps: int = quantity("steps")
    energy_ev: float = quantity("energy", "eV", ".6f")
    energy_change_ev: float = quantity("energy change", "eV", "+.6f")
    max_force_ev_per_a: float = quantity("largest force", "eV/Å", ".3g")
    max_stress_gpa: float | None = quantity("largest stress off target", "GPa", ".3g")
    volume_a3: float | None = quantity("volume", "Å³", ".4f")
    volume_change_percent: float | None = quantity("volume change", "%", "+.3f")
    space_group_before: str | None = quantity("space group before")
    space_group_after: str | None = quantity("space group after")

    name: ClassVar[str] = "relax"

    @property
    def outcome(self) -> Outcome:
        """Whether forces converged, the steps ran out, or somebody interrupted."""
        if self.converged:
            return "done"
        return "interrupted" if self.reason == "interrupted" else "not converged"

    @property
    def trajectory(self) -> str:
        """Every step."""
        return TextFrames.name

    def structures(self) -> Mapping[str, Atoms]:
        """The relaxed structure."""
        return {"relaxed": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Energy, force, stress and volume of every step."""
        return {"convergence": self.history}

    def plot(self) -> Figure:
        """Energy, largest force and largest stress over the steps."""
        from alignn_ff.reports.relax import relax_figure

        return relax_figure(self.history, len(self.atoms), fmax=self.settings.fmax)
