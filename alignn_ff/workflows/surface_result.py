"""What the surface workflow gives back: an energy per termination, the slabs, and the Wulff shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.surface_slabs import Miller
from alignn_ff.workflows.wulff import WulffShape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.surface_settings import SurfaceSettings

COLUMNS = (
    *("h", "k", "l", "termination", "symmetric", "atoms", "area_a2", "thickness_a"),
    *("unrelaxed_surface_energy_j_per_m2", "surface_energy_j_per_m2"),
    *("thickness_change_j_per_m2", "vacuum_change_j_per_m2", "max_force_ev_per_a", "converged"),
)


@dataclass(frozen=True)
class Surface:
    """A termination of a plane, and the slab that its energy comes from.

    `symmetric` says whether its two faces are equal; else the energy is the mean of both. `surface_energy_j_per_m2` is
    the unrelaxed one where slabs were not relaxed. The changes are those with a thicker slab and with more vacuum; None
    where nobody looked.
    """

    miller: Miller
    termination: int
    symmetric: bool
    atoms: int
    area_a2: float
    thickness_a: float
    unrelaxed_surface_energy_j_per_m2: float
    surface_energy_j_per_m2: float
    thickness_change_j_per_m2: float | None
    vacuum_change_j_per_m2: float | None
    max_force_ev_per_a: float
    converged: bool

    @property
    def label(self) -> str:
        """Such as (111) or (1-10) 2, the second termination."""
        number = f" {self.termination}" if self.termination > 1 else ""
        return f"({''.join(map(str, self.miller))}){number}"

    def row(self) -> tuple[Any, ...]:
        """Values of `COLUMNS`; NaN where nobody looked."""
        values = [getattr(self, name) for name in COLUMNS[3:]]
        return (*self.miller, *(float("nan") if value is None else value for value in values))

    def text(self) -> str:
        """The energy for people, with what it lacks."""
        notes = [
            f"unrelaxed {self.unrelaxed_surface_energy_j_per_m2:.4f}",
            *([] if self.thickness_change_j_per_m2 is None else [f"thicker {self.thickness_change_j_per_m2:+.4f}"]),
            *([] if self.vacuum_change_j_per_m2 is None else [f"more vacuum {self.vacuum_change_j_per_m2:+.4f}"]),
            *([] if self.symmetric else ["mean of two faces"]),
            *([] if self.converged else ["NOT CONVERGED"]),
        ]
        return f"{self.surface_energy_j_per_m2:.4f} J/m² ({', '.join(notes)})"


@dataclass(frozen=True)
class SurfaceResult(WorkflowResult):
    """Surfaces of the crystal `atoms`; planes refer to its conventional cell. `slabs` are as they relaxed.

    `wulff` is made of the best termination of each plane, None where the planes enclose no body or an energy is not
    positive. `wulff_planes` names the plane of each of its facets, `wulff_parts` the part of its area of each plane.
    `mean_surface_energy_j_per_m2` is weighted with these. `shape_factor` is area / volume^(2/3), 4.836 for a sphere.
    """

    settings: SurfaceSettings
    surfaces: tuple[Surface, ...]
    slabs: tuple[Atoms, ...]
    wulff: WulffShape | None
    wulff_planes: tuple[Miller, ...]
    wulff_parts: Mapping[str, float]
    converged: bool = quantity("all relaxations converged")
    space_group: str | None = quantity("space group")
    mean_surface_energy_j_per_m2: float | None = quantity("mean over the Wulff shape", "J/m²", ".4f")
    shape_factor: float | None = quantity("shape factor", "", ".3f")

    name: ClassVar[str] = "surface"
    only_tables: ClassVar[tuple[str, ...]] = ("slabs",)

    @property
    def outcome(self) -> Outcome:
        """Whether crystal and slabs relaxed."""
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """The energy of each termination, cheapest first, the parts of the Wulff shape, and what holds for all."""
        ordered = sorted(self.surfaces, key=lambda one: one.surface_energy_j_per_m2)
        found = [(f"surface energy {one.label}", one.text()) for one in ordered]
        found += [(f"part of ({plane}) in the Wulff shape", f"{part:.1%}") for plane, part in self.wulff_parts.items()]
        return [*found, *super().rows()]

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The crystal, and the slabs."""
        return {"crystal": self.atoms, "slabs": self.slabs}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """The plane of each slab."""
        return {"slabs": [one.label for one in self.surfaces]}

    def tables(self) -> Mapping[str, Table]:
        """Every termination."""
        rows = zip(*(one.row() for one in self.surfaces), strict=True)
        return {"surfaces": {name: np.array(column) for name, column in zip(COLUMNS, rows, strict=True)}}

    def plot(self) -> Figure:
        """Energies as bars, and the Wulff shape beside them."""
        from alignn_ff.reports.surface import Body, surface_figure

        body = None
        if self.wulff is not None:
            planes = [f"({''.join(map(str, plane))})" for plane in self.wulff_planes]
            body = Body(self.wulff.corners, self.wulff.facets, planes)
        bars = {one.label: one.surface_energy_j_per_m2 for one in self.surfaces}
        bare = [one.unrelaxed_surface_energy_j_per_m2 for one in self.surfaces]
        return surface_figure(bars, bare if self.settings.relax_slabs else None, body)
