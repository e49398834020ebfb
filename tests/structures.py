"""The zoo: small structures, each awkward in its own way. Every builder is deterministic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule

ELEMENTS = ("H", "O", "Na", "Si", "Cl", "Ni", "Cu")
"""All that occur, so that one model with random weights covers the zoo."""

REFERENCE_ENERGIES = (-1.1, -4.3, -0.2, -5.4, -1.7, -5.5, -3.7)
"""eV, one an element; invented."""


def primitive_cell() -> Atoms:
    """One atom in a cell smaller than any cutoff: all neighbours are its own images."""
    atoms = bulk("Cu", a=3.7)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.02 * _noise(1, (3, 3))), scale_atoms=True)
    return atoms


def slab() -> Atoms:
    """Two periodic directions, vacuum along the third, which has a vector."""
    atoms = fcc111("Ni", (2, 2, 2), a=3.55, vacuum=4.0, periodic=False)
    atoms.symbols[-1] = "O"
    atoms.pbc = (True, True, False)
    return rattled(atoms, 2)


def slab_without_third_vector() -> Atoms:
    """Two periodic directions and no third vector: no volume, hence no stress."""
    atoms = slab()
    cell = atoms.cell.array.copy()
    cell[2] = 0.0
    atoms.set_cell(cell)
    return atoms


def wire() -> Atoms:
    """Periodic along z alone; the other cell vectors are absent."""
    positions = [[0.0, 0.0, 0.0], [1.1, 0.3, 2.2], [-0.4, 1.9, 1.0]]
    return Atoms("CuNiCu", positions=positions, cell=[0.0, 0.0, 4.1], pbc=(False, False, True))


def free_molecule() -> Atoms:
    """No cell at all."""
    return rattled(molecule("Si2H6"), 3)


def molecule_in_box() -> Atoms:
    """A molecule alone in a periodic box; its atoms cross the boundary."""
    atoms = molecule("H2O", cell=[7.0, 7.5, 8.0], pbc=True)
    return rattled(atoms, 4)


def isolated_atom() -> Atoms:
    """No neighbours, no cell."""
    return Atoms("Cu", positions=[[0.3, -0.2, 0.1]])


def isolated_atom_in_box() -> Atoms:
    """No neighbours, but a volume."""
    return Atoms("Si", positions=[[1.0, 2.0, 3.0]], cell=[14.0, 15.0, 16.0], pbc=True)


def triclinic() -> Atoms:
    """A cell so skewed that the nearest image is several vectors away."""
    atoms = bulk("Si", a=5.5)
    atoms.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 3, 1]]) @ atoms.cell.array)
    return rattled(atoms, 5)


def rotated_crystal() -> Atoms:
    """Cell vectors along no axis, one of them left-handed."""
    atoms = bulk("Si", a=5.4, cubic=True)
    atoms.rotate(37.0, (1.0, 2.0, -0.5), rotate_cell=True)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return rattled(atoms, 6)


def unwrapped() -> Atoms:
    """Atoms several cells outside their box."""
    atoms = rock_salt()
    images = np.random.default_rng(7).integers(-4, 5, (len(atoms), 3))
    atoms.positions += images @ atoms.cell.array
    return atoms


def rock_salt() -> Atoms:
    """Two elements in order."""
    return rattled(bulk("NaCl", "rocksalt", a=5.6, cubic=True), 8)


def alloy() -> Atoms:
    """Two elements at random."""
    atoms = bulk("Cu", a=3.6, cubic=True) * (2, 1, 1)
    atoms.symbols[[1, 4, 6]] = "Ni"
    return rattled(atoms, 9)


def squeezed() -> Atoms:
    """Compressed until the short-range repulsion counts."""
    atoms = bulk("Cu", a=2.75, cubic=True)
    atoms.symbols[2] = "Ni"
    return rattled(atoms, 10, 0.05)


def large() -> Atoms:
    """500 atoms."""
    atoms = bulk("Cu", a=3.6, cubic=True) * (5, 5, 5)
    atoms.symbols[::3] = "Ni"
    return rattled(atoms, 11)


def rattled(atoms: Atoms, seed: int, stdev: float = 0.08) -> Atoms:
    """`atoms` with every coordinate displaced."""
    atoms.positions += stdev * _noise(seed, atoms.positions.shape)
    return atoms


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


SMALL: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (
        primitive_cell,
        slab,
        slab_without_third_vector,
        wire,
        free_molecule,
        molecule_in_box,
        isolated_atom,
        isolated_atom_in_box,
        triclinic,
        rotated_crystal,
        unwrapped,
        rock_salt,
        alloy,
        squeezed,
    )
}
"""Cheap enough for finite differences."""

ZOO: dict[str, Callable[[], Atoms]] = {**SMALL, "large": large}
"""All of them; use `large` where one evaluation is enough."""
