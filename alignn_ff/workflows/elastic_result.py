"""What the elastic workflow gives back: the tensors, what follows from them, and the stress they were fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.workflows.elastic_moduli import CubicConstants, Elasticity
from alignn_ff.workflows.elastic_scan import DIRECTIONS
from alignn_ff.workflows.elastic_tensor import sound_velocities_m_s
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity, quantity_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.workflows.elastic import ElasticSettings

SOUND_DIRECTIONS = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)])

ONE_LINE = (
    *("bulk_modulus_hill_gpa", "shear_modulus_hill_gpa", "young_modulus_hill_gpa", "poisson_ratio_hill"),
    *("universal_anisotropy", "debye_temperature_k"),
)
"""Quantities that stand beside the three constants of a cubic crystal in its one-line table."""


@dataclass(frozen=True)
class ElasticResult(WorkflowResult):
    """Elastic tensors of the crystal `atoms`, with the ions clamped to the strain and relaxed in the strained cell.

    They are the stress-strain coefficients of Barron and Klein, Proc. Phys. Soc. 85, 523 (1965): derivatives of Cauchy
    stress by symmetric strain. Without prestress these are the second derivatives of the energy over the volume;
    under hydrostatic pressure they are the ones that make K = -V dp/dV and that sound and stability follow.

    `axes` [3, 3] rotates from the axes of `atoms` (and of `strains`) to those of the tensors. `relaxed_ion` is None
    where `relax_ions` was off; `cubic` belongs to `elasticity`, the tensor with the ions relaxed where there is one.
    `strains` has the columns ions, direction, strain, stress_xx_gpa to stress_xy_gpa, max_force_ev_per_a.
    """

    settings: ElasticSettings
    clamped_ion: Elasticity
    relaxed_ion: Elasticity | None
    cubic: CubicConstants | None
    axes: NDArray
    strains: Table
    converged: bool = quantity("all relaxations converged")
    space_group: str | None = quantity("space group")
    volume_a3: float = quantity("volume", "Å³", ".4f")
    density_g_cm3: float = quantity("density", "g/cm³", ".4f")
    residual_stress_gpa: float = quantity("residual stress", "GPa", ".3g")
    asymmetry_gpa: float = quantity("asymmetry before symmetrising", "GPa", ".2g")
    nonlinearity_percent: float = quantity("nonlinearity within the strains", "%", ".2g")
    ion_relaxation_gpa: float | None = quantity("largest effect of ion relaxation", "GPa", ".3g")

    name: ClassVar[str] = "elastic"

    @property
    def elasticity(self) -> Elasticity:
        """With the ions relaxed where that was asked for, else clamped."""
        return self.clamped_ion if self.relaxed_ion is None else self.relaxed_ion

    @property
    def outcome(self) -> Outcome:
        """Whether crystal and ions relaxed."""
        return "done" if self.converged else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """The tensors line by line (one where no ion moved), then what follows from the one with the ions relaxed."""
        tensors = _matrix_rows("C clamped-ion (GPa)", self.clamped_ion.tensor_gpa)
        if self.relaxed_ion is not None and self.ion_relaxation_gpa:
            tensors += _matrix_rows("C relaxed-ion (GPa)", self.relaxed_ion.tensor_gpa)
        cubic = [] if self.cubic is None else quantity_rows(self.cubic)
        return [*super().rows(), *tensors, *cubic, *quantity_rows(self.elasticity)]

    def structures(self) -> Mapping[str, Atoms]:
        """The crystal that was strained."""
        return {"crystal": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Stress over strain, the tensor with its errors, sound along directions; of a cubic crystal one line."""
        found = {"strains": self.strains, "tensor": _tensor_table(self.elasticity)}
        if self.elasticity.smallest_eigenvalue_gpa > 0:
            found["sound"] = _sound_table(self.elasticity, self.density_g_cm3)
        if self.cubic is not None:
            numbers = asdict(self.cubic) | {name: getattr(self.elasticity, name) for name in ONE_LINE}
            found["cubic"] = {name: np.array([value]) for name, value in numbers.items() if value is not None}
        return found

    def plot(self) -> Figure:
        """Stress over strain in each Voigt direction."""
        from alignn_ff.reports.elastic import elastic_figure

        return elastic_figure(self.strains)


def _matrix_rows(label: str, matrix: NDArray) -> list[tuple[str, str]]:
    lines = ["".join(f"{value + 0.0:7.1f}" for value in line) for line in np.round(matrix, 1)]
    return list(zip([label, *[""] * 5], lines, strict=True))


def _tensor_table(found: Elasticity) -> Table:
    parts = (("c", found.tensor_gpa), ("error", found.tensor_error_gpa))
    columns = {f"{part}_{DIRECTIONS[j]}_gpa": matrix[:, j] for part, matrix in parts for j in range(6)}
    return {"stress": np.array(DIRECTIONS)} | columns


def _sound_table(found: Elasticity, density: float) -> Table:
    velocities = sound_velocities_m_s(found.tensor_gpa, density, SOUND_DIRECTIONS)
    direction = dict(zip("xyz", SOUND_DIRECTIONS.T, strict=True))
    return direction | {f"velocity_{mode + 1}_m_s": velocities[:, mode] for mode in range(3)}
