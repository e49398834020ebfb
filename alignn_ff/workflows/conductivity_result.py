"""What the conductivity workflow gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms

from alignn_ff.files import atomic_path
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity, quantity_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.conductivity import ConductivitySettings

PARAMETERS = "phono3py_params.yaml"


@dataclass(frozen=True)
class Transport:
    """What phonons carry at `temperature_k`; `conductivity_w_per_m_k` is a third of the trace of the tensor.

    `rta_w_per_m_k` stands beside the direct solution, `change_percent` is what the finest mesh changed.
    """

    mesh: str = quantity("mesh of wave vectors")
    temperature_k: float = quantity("temperature", "K", "g")
    conductivity_w_per_m_k: float = quantity("thermal conductivity", "W/(m K)", ".4g")
    xx_w_per_m_k: float = quantity("xx", "W/(m K)", ".4g")
    yy_w_per_m_k: float = quantity("yy", "W/(m K)", ".4g")
    zz_w_per_m_k: float = quantity("zz", "W/(m K)", ".4g")
    yz_w_per_m_k: float = quantity("yz", "W/(m K)", ".3f")
    xz_w_per_m_k: float = quantity("xz", "W/(m K)", ".3f")
    xy_w_per_m_k: float = quantity("xy", "W/(m K)", ".3f")
    rta_w_per_m_k: float | None = quantity("in the relaxation-time approximation", "W/(m K)", ".4g")
    change_percent: float | None = quantity("change with the last mesh", "%", "+.2f")
    half_mean_free_path_nm: float | None = quantity("half of it has mean free paths below", "nm", ".3g")
    half_frequency_thz: float | None = quantity("half of it has frequencies below", "THz", ".3g")
    largest_share: float = quantity("largest share of modes alike", "", ".3f")


@dataclass(frozen=True)
class ConductivityResult(WorkflowResult):
    """Lattice thermal conductivity of the crystal `atoms`. `transport` is None where modes are imaginary: phonons
    that are none carry no heat.

    `found` holds the tables, each also a file: `dos` (columns in `phonon_dos.density_of_states`) and, where there is
    transport, `conductivity` (in `phonon_transport.over_temperature`), `modes` (in `phonon_transport.modes_at`),
    `cumulative_mean_free_path`, `cumulative_frequency`, and `convergence` (mesh_1 to mesh_3, conductivity_w_per_m_k)
    where it was asked for. `phonons` is phono3py's object (phonopy's without transport);
    `phono3py.load("phono3py_params.yaml")` gives it back.
    """

    settings: ConductivitySettings
    phonons: Any
    found: Mapping[str, Table]
    transport: Transport | None
    lowest_q: tuple[float, float, float]
    converged: bool = quantity("relaxation converged")
    space_group: str | None = quantity("space group")
    primitive_atoms: int = quantity("atoms in the primitive cell")
    supercell_atoms: int = quantity("atoms in the supercell")
    displaced_cells: int = quantity("displaced supercells")
    stability: str = quantity("dynamical stability")
    lowest_frequency_thz: float = quantity("lowest frequency", "THz", ".4f")
    pair_supercell_atoms: int | None = quantity("atoms in the supercell of pairs")
    displaced_pair_cells: int | None = quantity("displaced supercells of pairs")
    pairs_left_out: int | None = quantity("pairs beyond the cutoff")

    name: ClassVar[str] = "conductivity"
    only_tables: ClassVar[tuple[str, ...]] = ("phonons", "found")

    @property
    def outcome(self) -> Outcome:
        """Failed where there is no conductivity; else whether the crystal relaxed."""
        if self.transport is None:
            return "failed"
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """What holds for the crystal, then what its phonons carry."""
        return super().rows() + ([] if self.transport is None else quantity_rows(self.transport))

    def structures(self) -> Mapping[str, Atoms]:
        """The crystal whose atoms were displaced."""
        return {"crystal": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Those there are."""
        return self.found

    def save(self, folder: str | Path) -> list[Path]:
        """As any result, and the force sets as phono3py reads them."""
        written = super().save(folder)
        if self.transport is None:
            return written
        path = Path(folder) / PARAMETERS
        with atomic_path(path) as draft:
            self.phonons.save(draft)
        return [*written, path]

    def plot(self) -> Figure:
        """Conductivity over temperature, lifetimes, and what mean free paths and frequencies add to it."""
        from alignn_ff.reports.conductivity import conductivity_figure

        return conductivity_figure(self.found)
