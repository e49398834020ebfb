"""Structures without a lattice: random packings, molecules, pairs of atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data import covalent_radii

from alignn_ff.distill.palette import Palette, decorated, resized

_CLOSEST = 0.85
"""Multiple of the sum of covalent radii down to which atoms of a packing may approach."""


def random_packing(palette: Palette, max_atoms: int, rng: np.random.Generator) -> Atoms:
    """A periodic box of 6 to 16 atoms of one to three elements, pushed apart, as dense as a liquid or thinner.

    Its volume is 1.3 to 3 times that of spheres of covalent radius; those of close-packed metals fill 1.3 to 1.5.
    """
    symbols = [palette.draw(rng)]
    for _ in range(rng.integers(0, 3)):
        symbols.append(palette.draw(rng, like=symbols[0] if rng.random() < 0.5 else None))
    number = int(rng.integers(min(6, max_atoms), min(16, max_atoms) + 1))
    box = Atoms([str(rng.choice(symbols)) for _ in range(number)], pbc=True)
    volume = 4.0 / 3.0 * np.pi * (covalent_radii[box.numbers] ** 3).sum() * rng.uniform(1.3, 3.0)
    shape = np.exp(rng.normal(0.0, 0.1, 3))
    box.set_cell(np.diag(shape * (volume / shape.prod()) ** (1.0 / 3.0)))
    box.set_scaled_positions(rng.random((number, 3)))
    return _pushed_apart(box)


def random_molecule(palette: Palette, rng: np.random.Generator, *, alike: bool) -> Atoms:
    """A molecule of the G2 set with elements of the palette, or a pair of atoms; open boundaries.

    Molecules are sized so that their shortest bond is 0.9 to 1.1 times the sum of covalent radii, pairs stand at 0.7
    to 2 times it.
    """
    if rng.random() < 0.25:
        pair = Atoms([palette.draw(rng), palette.draw(rng)], positions=[(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
        return resized(pair, rng.uniform(0.7, 2.0))
    original = molecule(str(rng.choice([name for name in g2.names if len(g2[name]) > 1])))
    atoms = decorated(Atoms(original.symbols, positions=original.positions), palette, rng, alike=alike)
    return resized(atoms, rng.uniform(0.9, 1.1))


def _pushed_apart(box: Atoms) -> Atoms:
    """`box`, whose vectors are orthogonal, after at most 60 rounds in which pairs that are too close step back."""
    lengths = box.cell.lengths()
    radii = covalent_radii[box.numbers]
    wanted = _CLOSEST * (radii[:, None] + radii)
    positions = box.positions.copy()
    for _ in range(60):
        vectors = positions[:, None] - positions
        vectors -= lengths * np.round(vectors / lengths)  # to the nearest image
        distances = np.linalg.norm(vectors, axis=2)
        np.fill_diagonal(distances, np.inf)
        gaps = np.maximum(wanted - distances, 0.0)
        if not gaps.any():
            break
        positions += ((0.35 * gaps / distances)[:, :, None] * vectors).sum(axis=1)
    box.positions = positions
    box.wrap()
    return box
