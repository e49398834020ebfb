"""What the neb workflow gives back: barriers, the path, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.neb import NEBSettings


@dataclass(frozen=True)
class NEBResult(WorkflowResult):
    """A path of least energy. `atoms` is its highest image, the saddle where that is none of the ends.

    Barriers are None where the highest image is an end. They are those of the climbing image, or, without climbing, of
    `curve`, the cubic spline through energies and forces. `saddle_max_force_ev_per_a` is the true force there, zero at
    a saddle. `path` has the columns image, distance_a, energy_ev, relative_energy_ev, max_force_ev_per_a; `history`
    step, climbing, max_force_ev_per_a (on the band), barrier_ev.
    """

    settings: NEBSettings
    images: tuple[Atoms, ...]
    path: Table
    curve: Table
    history: Table
    converged: bool = quantity("converged")
    reason: str = quantity("stopped because")
    steps: int = quantity("steps")
    saddle_image: int | None = quantity("image at the saddle")
    barrier_forward_ev: float | None = quantity("barrier forward", "eV", ".4f")
    barrier_backward_ev: float | None = quantity("barrier backward", "eV", ".4f")
    reaction_energy_ev: float = quantity("energy of the last state over the first", "eV", "+.4f")
    saddle_max_force_ev_per_a: float | None = quantity("largest force at the saddle", "eV/Å", ".3g")
    saddle_curvature_ev_per_a2: float | None = quantity("curvature along the path there", "eV/Å²", ".3g")
    path_length_a: float = quantity("length of the path", "Å", ".3f")
    minima_on_the_way: int = quantity("minima on the way")

    name: ClassVar[str] = "neb"
    only_tables: ClassVar[tuple[str, ...]] = ("images", "curve")

    @property
    def outcome(self) -> Outcome:
        """Whether band and ends converged, or somebody interrupted."""
        if self.converged:
            return "done"
        return "interrupted" if self.reason.startswith("interrupted") else "not converged"

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The path, and the saddle where there is one."""
        found: dict[str, Atoms | Sequence[Atoms]] = {"path": self.images}
        return found if self.saddle_image is None else found | {"saddle": self.atoms}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """The images by their numbers."""
        return {"path": [f"image {number}" for number in range(len(self.images))]}

    def tables(self) -> Mapping[str, Table]:
        """Energy along the path, and the steps."""
        return {"path": self.path, "convergence": self.history}

    def plot(self) -> Figure:
        """Energy along the path."""
        from alignn_ff.reports.neb import neb_figure

        return neb_figure(self.path, self.curve, self.barrier_forward_ev)
