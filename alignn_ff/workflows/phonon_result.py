"""What the phonon workflow gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.files import atomic_path
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.phonons import PhononSettings

PARAMETERS = "phonopy_params.yaml"


@dataclass(frozen=True)
class PhononResult(WorkflowResult):
    """Phonons of the crystal `atoms`; imaginary frequencies are negative, wave vectors those of the primitive cell.

    Tables, each also a file: `bands` (columns in `phonon_bands.bands_along`), `dos` and `thermal` (columns in
    `phonon_dos`), `convergence` (supercell_atoms, displacement_a and largest_change_thz of every variant). `thermal` is
    None of a crystal with imaginary modes, `convergence` where it was not asked for. `phonon` is phonopy's object, with
    which anything else can be computed; `phonopy.load("phonopy_params.yaml")` gives it back.
    """

    settings: PhononSettings
    phonon: Any
    bands: Table
    dos: Table
    thermal: Table | None
    convergence: Table | None
    supercell_matrix: NDArray
    lowest_q: tuple[float, float, float]
    converged: bool = quantity("relaxation converged")
    space_group: str | None = quantity("space group")
    primitive_atoms: int = quantity("atoms in the primitive cell")
    supercell_atoms: int = quantity("atoms in the supercell")
    displaced_cells: int = quantity("displaced supercells")
    residual_force_ev_per_a: float = quantity("residual force, subtracted", "eV/Å", ".2g")
    drift_ev_per_a2: float = quantity("drift of force constants", "eV/Å²", ".2g")
    stability: str = quantity("dynamical stability")
    lowest_frequency_thz: float = quantity("lowest frequency", "THz", ".4f")
    highest_frequency_thz: float = quantity("highest frequency", "THz", ".4f")
    largest_change_thz: float | None = quantity("largest change in the convergence scan", "THz", ".3g")
    zero_point_energy_ev: float | None = quantity("zero-point energy of the primitive cell", "eV", ".5f")
    free_energy_300k_kj_per_mol: float | None = quantity("free energy at 300 K", "kJ/mol", ".4f")
    entropy_300k_j_per_k_mol: float | None = quantity("entropy at 300 K", "J/K/mol", ".4f")
    heat_capacity_300k_j_per_k_mol: float | None = quantity("heat capacity at 300 K", "J/K/mol", ".4f")

    name: ClassVar[str] = "phonons"
    only_tables: ClassVar[tuple[str, ...]] = ("phonon", "bands", "dos", "thermal")

    @property
    def outcome(self) -> Outcome:
        """Whether the crystal relaxed."""
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """The quantities; the lowest frequency with its wave vector."""
        place = " at q = " + " ".join(f"{part:.4g}" for part in self.lowest_q)
        return [(label, text + place * (label == "lowest frequency")) for label, text in super().rows()]

    def structures(self) -> Mapping[str, Atoms]:
        """The crystal whose atoms were displaced."""
        return {"crystal": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Bands, density of states and what else there is."""
        found = {"bands": self.bands, "dos": self.dos, "thermal": self.thermal, "convergence": self.convergence}
        return {name: table for name, table in found.items() if table is not None}

    def save(self, folder: str | Path) -> list[Path]:
        """As any result, and the force sets as phonopy reads them."""
        written = super().save(folder)
        path = Path(folder) / PARAMETERS
        with atomic_path(path) as draft:
            self.phonon.save(draft)
        return [*written, path]

    def plot(self) -> Figure:
        """Bands beside the density of states, and thermal properties below them."""
        from alignn_ff.reports.phonons import phonon_figure

        return phonon_figure(self.bands, self.dos, self.thermal)
