"""Structures near a given one: strained, rattled, with a vacancy, a surface, or one step downhill."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import surface
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

_FACETS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


def stretched(atoms: Atoms, factor: float | NDArray) -> Atoms:
    """`atoms` with its cell times `factor`, a number or a matrix [3, 3], fractional coordinates kept."""
    other = atoms.copy()
    other.set_cell(atoms.cell[:] @ (factor * np.eye(3) if np.ndim(factor) == 0 else factor), scale_atoms=True)
    return other


def strained(atoms: Atoms, size: float, rng: np.random.Generator) -> Atoms:
    """`atoms` under a random strain whose components have the standard deviation `size`."""
    random = rng.normal(0.0, size, (3, 3))
    return stretched(atoms, np.eye(3) + 0.5 * (random + random.T))


def rattled(atoms: Atoms, size_a: float, rng: np.random.Generator) -> Atoms:
    """`atoms` with every coordinate moved by a normal random number of standard deviation `size_a`, Å."""
    other = atoms.copy()
    other.positions += rng.normal(0.0, size_a, other.positions.shape)
    return other


def downhill(atoms: Atoms, forces: NDArray, stress: NDArray | None, stiffness: float) -> Atoms:
    """`atoms` a cautious step along its forces [N, 3] and, where there is one, against its stress (Voigt [6]).

    Atoms move as if every force constant were 50 eV/Å², by 0.12 Å at most in a coordinate; strains are the stress over
    `stiffness` (eV/Å³, three times a bulk modulus), 5 % at most.
    """
    other = atoms.copy()
    if stress is not None:
        strain = np.clip(voigt_6_to_full_3x3_stress(stress) / stiffness, -0.05, 0.05)
        other = stretched(other, np.eye(3) - strain)
    other.positions += np.clip(forces / 50.0, -0.12, 0.12)
    return other


def enlarged(atoms: Atoms, atoms_wanted: int, max_atoms: int) -> Atoms:
    """`atoms` repeated along its shortest vector until it has the atoms wanted, as far as `max_atoms` allows."""
    other = atoms.copy()
    while len(other) < atoms_wanted and 2 * len(other) <= max_atoms:
        repeats = [1, 1, 1]
        repeats[int(np.argmin(other.cell.lengths()))] = 2
        other = other * tuple(repeats)
    return other


def with_vacancy(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """`atoms` without one of its atoms."""
    other = atoms.copy()
    del other[int(rng.integers(len(other)))]
    return other


def slab(atoms: Atoms, max_atoms: int, rng: np.random.Generator) -> Atoms:
    """Layers of a crystal with a random low-index surface, under 3 to 8 Å of vacuum, periodic in all directions."""
    layers = max(1, min(int(rng.integers(2, 5)), max_atoms // len(atoms)))
    cut = surface(atoms, _FACETS[rng.integers(len(_FACETS))], layers, periodic=True)
    height = cut.cell.lengths()[2]
    cut.set_cell(cut.cell[:] * np.array([[1.0], [1.0], [1.0 + rng.uniform(3.0, 8.0) / height]]))
    return Atoms(cut.symbols, positions=cut.positions, cell=cut.cell, pbc=True)
