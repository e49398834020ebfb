"""Elastic constants of a cubic crystal from differences of stress."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.relax import RelaxSettings, run_relax

if TYPE_CHECKING:
    from ase import Atoms

STRAIN = 0.005
INTERNAL = RelaxSettings(cell="none", optimizer="BFGS", fmax=1e-3, steps=200)
"""How the atoms follow the strained cell."""


class CubicConstants(NamedTuple):
    """C11, C12, C44 in GPa."""

    c11: float
    c12: float
    c44: float


def cubic_constants(atoms: Atoms) -> CubicConstants:
    """Elastic constants of a cubic crystal at rest, with the atoms relaxed in the strained cells.

    Central differences of the stress σ: C11 = dσ_xx/dε_xx, C12 = dσ_yy/dε_xx (mean of yy and zz),
    C44 = dσ_yz/d(2 ε_yz); J. F. Nye, Physical Properties of Crystals (Oxford, 1957), chapter VIII.

    Args:
        atoms: conventional cell along x, y, z, free of stress, with a calculator.
    """
    along_x = _stress_slope(atoms, 0, 0)
    sheared = _stress_slope(atoms, 1, 2)
    return CubicConstants(float(along_x[0]), float(along_x[1:3].mean()), float(sheared[3]))


def _stress_slope(atoms: Atoms, i: int, j: int) -> NDArray:
    """Derivative of the Voigt stress [6] by the strain ε_ii, or where j differs by the angle 2 ε_ij, GPa."""
    plus, minus = (_stress(atoms, i, j, sign * STRAIN) for sign in (1.0, -1.0))
    return (plus - minus) / (2.0 * STRAIN) * GPA_PER_EV_A3


def _stress(atoms: Atoms, i: int, j: int, strain: float) -> NDArray:
    """Voigt stress [6] in eV/Å³ at the strain ε_ii, or at the angle 2 ε_ij."""
    deformation = np.eye(3)
    deformation[i, j] += strain / 2.0
    deformation[j, i] += strain / 2.0
    strained = atoms.copy()
    strained.set_cell(atoms.cell[:] @ deformation, scale_atoms=True)
    strained.calc = atoms.calc
    return run_relax(strained, INTERNAL).atoms.get_stress()
