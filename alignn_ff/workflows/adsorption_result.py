"""What the adsorption workflow gives back: an energy per site, and the structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.adsorption import AdsorptionSettings


class Adsorbed(NamedTuple):
    """One site: where the adsorbate began, `x` and `y` in parts of the cell vectors, and how it ended.

    `height_a` is that of its lowest atom over the atoms of the site, `slid_a` how far that moved along the surface.
    """

    site: str
    x: float
    y: float
    adsorption_energy_ev: float
    height_a: float
    slid_a: float
    stayed: bool
    max_force_ev_per_a: float
    converged: bool

    def text(self) -> str:
        """The energy for people, with what it lacks."""
        notes = [
            f"{self.height_a:.3f} Å high",
            *([] if self.stayed else [f"slid away by {self.slid_a:.2f} Å"]),
            *([] if self.converged else ["not relaxed"]),
        ]
        return f"{self.adsorption_energy_ev:+.4f} eV ({', '.join(notes)})"


COLUMNS = Adsorbed._fields


@dataclass(frozen=True)
class AdsorptionResult(WorkflowResult):
    """Sites in the order on top, bridges, hollows; `atoms` is the slab with the adsorbate where it binds best.

    `relaxed` are the structures of all sites, `slab` is the bare one. `gas_energy_ev` is that of the whole reference
    molecule. Of an adsorbate that slid away the energy belongs to another site than it began on (`stayed`).
    """

    settings: AdsorptionSettings
    slab: Atoms
    sites: tuple[Adsorbed, ...]
    relaxed: tuple[Atoms, ...]
    converged: bool = quantity("all relaxations converged")
    best_site: str = quantity("binds best")
    best_adsorption_energy_ev: float = quantity("adsorption energy there", "eV", "+.4f")
    slab_energy_ev: float = quantity("energy of the bare slab", "eV", ".4f")
    gas_energy_ev: float = quantity("energy of the reference gas", "eV", ".4f")

    name: ClassVar[str] = "adsorption"
    only_tables: ClassVar[tuple[str, ...]] = ("relaxed",)

    @property
    def outcome(self) -> Outcome:
        """Whether slab, gas and adsorbates relaxed."""
        return "done" if self.converged else "not converged"

    def to_dict(self) -> dict[str, Any]:
        """As the base does, sites as mappings."""
        return super().to_dict() | {"sites": [one._asdict() for one in self.sites]}

    def rows(self) -> list[tuple[str, str]]:
        """The energy of each site, then what holds for all."""
        return [*((f"adsorption {one.site}", one.text()) for one in self.sites), *super().rows()]

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The slab with the adsorbate on each site, and bare."""
        return {"adsorbed": self.relaxed, "slab": self.slab}

    def titles(self) -> Mapping[str, Sequence[str]]:
        """The site of each adsorbate."""
        return {"adsorbed": [one.site for one in self.sites]}

    def tables(self) -> Mapping[str, Table]:
        """Every site."""
        columns = zip(*self.sites, strict=True)
        return {"sites": {name: np.array(column) for name, column in zip(COLUMNS, columns, strict=True)}}

    def plot(self) -> Figure:
        """Energies as bars, those that slid away pale."""
        from alignn_ff.reports.adsorption import adsorption_figure

        return adsorption_figure(self.tables()["sites"], self.settings.adsorbate)
