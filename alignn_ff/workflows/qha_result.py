"""What the quasi-harmonic approximation gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ase import Atoms

from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.qha import QHASettings


@dataclass(frozen=True)
class QHAResult(WorkflowResult):
    """Thermodynamics of a crystal that expands; `atoms` is the crystal at the least energy, without vibrations.

    Volumes, energies and moles are of primitive cells. Tables, each also a file: `volumes` (the scan), `temperatures`
    (columns in `expansion.over_temperature`), `gruneisen_bands` and `gruneisen_mesh` (columns in `gruneisen`) at the
    volume of `atoms`. What is said of 300 K is None where the temperatures do not reach it.
    """

    settings: QHASettings
    volumes: Table
    temperatures: Table
    gruneisen_bands: Table
    gruneisen_mesh: Table
    converged: bool = quantity("all relaxations converged")
    space_group: str | None = quantity("space group")
    primitive_atoms: int = quantity("atoms in the primitive cell")
    supercell_atoms: int = quantity("atoms in the supercell")
    static_volume_a3: float = quantity("volume without vibrations", "Å³", ".4f")
    zero_kelvin_volume_a3: float = quantity("volume at 0 K", "Å³", ".4f")
    highest_temperature_k: float = quantity("highest temperature within the scan", "K", ".0f")
    volume_300k_a3: float | None = quantity("volume at 300 K", "Å³", ".4f")
    thermal_expansion_300k_per_k: float | None = quantity("volumetric thermal expansion at 300 K", "1/K", ".4g")
    bulk_modulus_300k_gpa: float | None = quantity("bulk modulus at 300 K", "GPa", ".2f")
    heat_capacity_p_300k_j_per_k_mol: float | None = quantity("heat capacity C_p at 300 K", "J/K/mol", ".4f")
    gruneisen_parameter_300k: float | None = quantity("Grüneisen parameter at 300 K", "", ".4f")
    mean_mode_gruneisen_300k: float = quantity("mean of the modes' at the volume without vibrations", "", ".4f")

    name: ClassVar[str] = "qha"
    only_tables: ClassVar[tuple[str, ...]] = ("temperatures", "gruneisen_bands", "gruneisen_mesh")

    @property
    def outcome(self) -> Outcome:
        """Whether the crystal relaxed at every volume."""
        return "done" if self.converged else "not converged"

    def structures(self) -> Mapping[str, Atoms]:
        """The crystal without vibrations."""
        return {"crystal": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """The scan, what follows over temperature, and mode Grüneisen parameters."""
        return {
            "volumes": self.volumes,
            "temperatures": self.temperatures,
            "gruneisen_bands": self.gruneisen_bands,
            "gruneisen_mesh": self.gruneisen_mesh,
        }

    def plot(self) -> Figure:
        """Volume, expansion, bulk modulus and heat capacity over temperature; Grüneisen parameters along the path."""
        from alignn_ff.reports.qha import qha_figure

        return qha_figure(self.temperatures, self.gruneisen_bands)
