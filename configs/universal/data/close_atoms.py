"""Atoms closer than bonds: `close_atoms.py FRAMES.extxyz CLOSE.extxyz COLLISIONS.extxyz`.

Pairs and triples of free atoms of all elements, and crystals of FRAMES with one atom pushed towards a neighbour.
Distances are shares of the sum of the covalent radii, or of the bond.
"""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.io import read, write
from vesin import ase_neighbor_list

from alignn_ff.pretrained import load_potential

NEAREST, FARTHEST = 0.55, 0.85
LIKE_PAIRS, UNLIKE_PAIRS, LIKE_TRIPLES, UNLIKE_TRIPLES = 8, 2, 4, 1
COLLISIONS = 3200
REACH_A = 5.0


def cluster(symbols: tuple[str, ...], rng: np.random.Generator) -> Atoms:
    """A pair; or a triple with both its ends near its middle."""
    radii = [covalent_radii[atomic_numbers[symbol]] for symbol in symbols]
    first = rng.uniform(NEAREST, FARTHEST) * (radii[0] + radii[1])
    places = [(0.0, 0.0, 0.0), (first, 0.0, 0.0)]
    if len(symbols) == 3:
        angle = rng.uniform(np.pi / 3.0, np.pi)
        second = rng.uniform(NEAREST, 1.2) * (radii[0] + radii[2])
        places.append((second * np.cos(angle), second * np.sin(angle), 0.0))
    return Atoms(symbols, positions=np.round(places, 6))


def clusters(elements: tuple[str, ...], rng: np.random.Generator) -> list[Atoms]:
    found = [cluster((e, e), rng) for e in elements for _ in range(LIKE_PAIRS)]
    found += [cluster((e, e, e), rng) for e in elements for _ in range(LIKE_TRIPLES)]
    for pair in combinations(elements, 2):
        found += [cluster(pair, rng) for _ in range(UNLIKE_PAIRS)]
        triple = (*pair, str(rng.choice(elements)))
        found += [cluster(triple, rng) for _ in range(UNLIKE_TRIPLES)]
    return found


def collision(atoms: Atoms, rng: np.random.Generator) -> Atoms | None:
    """The crystal with one atom moved towards its nearest neighbour; None where that is an image of itself."""
    i, j, distances, vectors = ase_neighbor_list("ijdD", atoms, REACH_A)
    mover = int(rng.integers(len(atoms)))
    near = np.flatnonzero((i == mover) & (j != mover))
    if not len(near):
        return None
    nearest = near[distances[near].argmin()]
    other = atoms.copy()
    other.positions[mover] += vectors[nearest] * (1.0 - rng.uniform(NEAREST, 0.8))
    return Atoms(other.symbols, positions=other.positions.round(6), cell=other.cell, pbc=other.pbc)


def collisions(frames: list[Atoms], rng: np.random.Generator) -> list[Atoms]:
    crystals = [frame for frame in frames if frame.pbc.all() and 1 < len(frame) <= 12]
    chosen = rng.choice(len(crystals), size=min(COLLISIONS, len(crystals)), replace=False)
    made = [collision(crystals[place], rng) for place in chosen]
    return [atoms for atoms in made if atoms is not None]


if __name__ == "__main__":
    source, close, collided = sys.argv[1:]
    rng = np.random.default_rng(20)
    write(close, clusters(load_potential("universal").potential.elements, rng))
    write(collided, collisions(read(source, index=":"), rng))
