"""What the interface workflow gives back: what holds two crystals together, and how they lie on each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.interface_settings import InterfaceSettings


@dataclass(frozen=True)
class InterfaceResult(WorkflowResult):
    """The interface `atoms` as it relaxed, or the best rigid one; its substrate has tag 0, its film tag 1.

    The film is strained to the substrate, by `mismatch_percent` in the direction where that is most, and free to
    contract along the normal; `film_strain_energy_ev_per_atom` is what that costs in its bulk. `multiples` are the
    vectors of the common cell in those of the two surfaces. Work of adhesion and interface energy are per area of the
    interface. Interface and surface energies are None where a slab has two different faces: only their mean is known.
    `registry_vectors_a` [2, 2] is the cell in which `registry` repeats, `substrate` and `film` the slabs by themselves.
    """

    settings: InterfaceSettings
    substrate: Atoms
    film: Atoms
    multiples: Mapping[str, NDArray]
    registry_vectors_a: NDArray
    registry: Table
    curve: Table
    converged: bool = quantity("all relaxations converged")
    area_a2: float = quantity("area of the common cell", "Å²", ".3f")
    mismatch_percent: float = quantity("mismatch, largest strain of the film", "%", "+.3f")
    other_mismatch_percent: float = quantity("strain across it", "%", "+.3f")
    film_turn_deg: float = quantity("turn of the film", "°", ".2f")
    film_strain_energy_ev_per_atom: float = quantity("strain energy of the film", "eV/atom", ".5f")
    separation_a: float = quantity("separation of the layers that meet", "Å", ".4f")
    unrelaxed_separation_a: float = quantity("unrelaxed separation", "Å", ".4f")
    work_of_adhesion_j_per_m2: float = quantity("work of adhesion", "J/m²", ".4f")
    unrelaxed_work_of_adhesion_j_per_m2: float = quantity("unrelaxed work of adhesion", "J/m²", ".4f")
    interface_energy_j_per_m2: float | None = quantity("interface energy", "J/m²", ".4f")
    unrelaxed_interface_energy_j_per_m2: float | None = quantity("unrelaxed interface energy", "J/m²", ".4f")
    substrate_surface_energy_j_per_m2: float | None = quantity("surface energy of the substrate", "J/m²", ".4f")
    film_surface_energy_j_per_m2: float | None = quantity("surface energy of the strained film", "J/m²", ".4f")
    max_force_ev_per_a: float = quantity("largest force", "eV/Å", ".3g")

    name: ClassVar[str] = "interface"

    @property
    def outcome(self) -> Outcome:
        """Whether crystals, slabs and interface relaxed."""
        return "done" if self.converged else "not converged"

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The interface and the two slabs."""
        return {"interface": self.atoms, "slabs": [self.substrate, self.film]}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """Which slab is which."""
        return {"slabs": ["substrate", "film"]}

    def tables(self) -> Mapping[str, Table]:
        """Adhesion over places of the film, and over separation at the best of them."""
        return {"registry": self.registry, "adhesion": self.curve}

    def plot(self) -> Figure:
        """Adhesion over separation, and over the place of the film."""
        from alignn_ff.reports.interface import interface_figure

        relaxed = (self.separation_a, self.work_of_adhesion_j_per_m2) if self.settings.relax_interface else None
        return interface_figure(self.curve, relaxed, self.registry, np.asarray(self.registry_vectors_a))
