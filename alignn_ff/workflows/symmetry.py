"""The symmetry of a crystal, as spglib finds it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

CUBIC = range(195, 231)
"""Space-group numbers of the cubic system."""


def symmetry_dataset(atoms: Atoms, symprec: float) -> Any:
    """spglib's dataset of a structure periodic in 3D; None where it finds no symmetry at all.

    Args:
        symprec: tolerance in Å.
    """
    import spglib

    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    # where it finds nothing spglib answers None, or raises (since 2.7, with old error handling switched off)
    failure: Any = getattr(spglib, "SpglibError", ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it warns of that very switch, at every call
        try:
            return spglib.get_symmetry_dataset(cell, symprec=symprec)
        except failure:
            return None


def point_group_rotations(atoms: Atoms, symprec: float) -> NDArray:
    """Rotations and rotoinversions of the crystal's point group, Cartesian [R, 3, 3]; the identity at least."""
    dataset = symmetry_dataset(atoms, symprec)
    if dataset is None:
        return np.eye(3)[None]
    unique = np.unique(dataset.rotations, axis=0)
    columns = atoms.cell[:].T
    return _orthogonal(columns @ unique @ np.linalg.inv(columns))


def standard_rotation(atoms: Atoms, symprec: float) -> NDArray:
    """Proper rotation [3, 3] from the axes of `atoms` to those of spglib's standardised cell.

    There a is along x and b in the xy plane; a cubic crystal has its cubic axes along x, y and z.
    """
    dataset = symmetry_dataset(atoms, symprec)
    return np.eye(3) if dataset is None else _orthogonal(dataset.std_rotation_matrix[None])[0]


def _orthogonal(matrices: NDArray) -> NDArray:
    """The nearest orthogonal matrices [R, 3, 3]: a cell with noise has symmetries with noise."""
    left, _, right = np.linalg.svd(matrices)
    return left @ right
