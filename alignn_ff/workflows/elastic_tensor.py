"""The elastic tensor in Voigt form: rotation, symmetrisation, eigenvalues, sound along a direction.

Order xx yy zz yz xz xy; shear strains are engineering strains, so C[i, j] = d stress i / d strain j.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

KELVIN = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
"""Weights that make of a Voigt matrix one of an orthonormal basis (Kelvin's), whose eigenvalues no rotation changes."""


class Tensor(NamedTuple):
    """An elastic tensor [6, 6] with its standard errors [6, 6], both in GPa."""

    values: NDArray
    errors: NDArray


def bond_matrix(rotation: NDArray) -> NDArray:
    """M [6, 6] that rotates Voigt stress, so that a tensor rotates as M C Mᵀ, for a rotation [3, 3].

    Source: Bond, Bell Syst. Tech. J. 22, 1 (1943).
    """
    columns = [rotation @ voigt_6_to_full_3x3_stress(unit) @ rotation.T for unit in np.eye(6)]
    return np.column_stack([full_3x3_to_voigt_6_stress(column) for column in columns])


def symmetrised(tensor: Tensor, rotations: NDArray) -> Tensor:
    """Mean of the tensor and its transpose over rotations [R, 3, 3]; errors as of independent components.

    New components = rotation @ old components: one rotation alone says how the tensor looks from other axes.
    """
    bonds = np.array([bond_matrix(rotation) for rotation in rotations])
    mean = np.einsum("rik,rjl->ijkl", bonds, bonds) / len(bonds)
    mean = (mean + mean.swapaxes(2, 3)) / 2.0
    values = np.einsum("ijkl,kl->ij", mean, tensor.values)
    return Tensor(values, np.sqrt(np.einsum("ijkl,kl->ij", mean**2, tensor.errors**2)))


def eigenvalues(tensor: Tensor) -> tuple[NDArray, float]:
    """Eigenvalues [6] in GPa, smallest first, and the standard error of the smallest (components independent)."""
    values, vectors = np.linalg.eigh(tensor.values * np.outer(KELVIN, KELVIN))
    softest = vectors[:, 0] * KELVIN
    weights = np.outer(softest, softest) * np.where(np.eye(6, dtype=bool), 1.0, 2.0)  # C[i, j] and C[j, i] are one
    return values, float(np.sqrt((np.triu(weights * tensor.errors) ** 2).sum()))


def sound_velocities_m_s(tensor_gpa: NDArray, density_g_cm3: float, directions: NDArray) -> NDArray:
    """Three velocities [D, 3] of plane waves along `directions` [D, 3], slowest first; NaN where one is unstable.

    Source: Christoffel's equation, ρ v² u_i = C_ijkl n_j n_l u_k; under hydrostatic pressure it holds for the
    stress-strain coefficients (Wallace, Thermodynamics of Crystals, 1972).
    """
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    index = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    cartesian = tensor_gpa[index[:, :, None, None], index]
    acoustic = np.einsum("dj,ijkl,dl->dik", unit, cartesian, unit)
    squares = np.linalg.eigvalsh(acoustic) / density_g_cm3
    return np.sqrt(np.where(squares > 0, squares, np.nan)) * 1000.0  # √(GPa cm³/g) = km/s
