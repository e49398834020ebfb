"""Room between the atoms of a crystal: places as far from all atoms around them as can be."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import find_mic, minkowski_reduce
from numpy.typing import NDArray

from alignn_ff.workflows.symmetry import symmetry_dataset

SAME_PLACE_A = 0.3
"""Places nearer to one another are one."""

EDGE = 1e-6
"""Part of the cell by which a place on its face may lie beyond it."""


class Void(NamedTuple):
    """A place between atoms.

    Attributes:
        place: in terms of the cell vectors, within the cell.
        distance_a: to the nearest atoms.
        multiplicity: how many of the cell symmetry makes equal to it.
    """

    place: tuple[float, float, float]
    distance_a: float
    multiplicity: int


def voids(crystal: Atoms, smallest_distance: float, symprec: float) -> list[Void]:
    """Voids that symmetry tells apart, the roomiest first.

    They are the vertices of the Voronoi cells of the atoms, each equally far from four atoms or more: in fcc the
    octahedral and the tetrahedral one, in bcc the tetrahedral one.

    Args:
        smallest_distance: to the nearest atoms, in nearest-neighbour distances of the crystal.
        symprec: tolerance of the space group search in Å.
    """
    from scipy.spatial import KDTree, Voronoi

    atoms, cell = _block(crystal)
    dataset = symmetry_dataset(crystal, symprec)
    tree = KDTree(atoms)
    nearest = float(tree.query(atoms[: len(crystal)], k=2)[0][:, 1].min())
    vertices = Voronoi(atoms).vertices
    inside = np.linalg.solve(cell.T, vertices.T).T
    vertices = vertices[((inside > -EDGE) & (inside < 1.0 + EDGE)).all(axis=1)]
    distances = tree.query(vertices)[0]
    found: list[Void] = []
    kept: list[list[NDArray]] = []
    for k in np.argsort(-np.round(distances, 3), kind="stable"):
        known = any(_same(orbit, vertices[k], cell).any() for orbit in kept)
        if distances[k] >= smallest_distance * nearest and not known:
            kept.append(_orbit(vertices[k], crystal, dataset, cell))
            place = np.round(crystal.cell.scaled_positions(vertices[k]), 6) % 1.0
            found.append(Void((place[0], place[1], place[2]), float(distances[k]), len(kept[-1])))
    return found


def _block(crystal: Atoms) -> tuple[NDArray, NDArray]:
    """Positions of all atoms around a compact cell at the origin, those within it first, and that cell."""
    cell, _ = minkowski_reduce(crystal.cell[:])
    own = np.linalg.solve(cell.T, crystal.positions.T).T % 1.0
    shifts = np.array(sorted(product(range(-2, 3), repeat=3), key=lambda shift: any(shift)))
    return (shifts[:, None] + own[None]).reshape(-1, 3) @ cell, cell


def _orbit(place: NDArray, crystal: Atoms, dataset: Any, cell: NDArray) -> list[NDArray]:
    """All places that the symmetry of a crystal, if it has any, makes of one, in Å."""
    if dataset is None:
        return [place]
    scaled = np.linalg.solve(crystal.cell[:].T, place)
    images = (dataset.rotations @ scaled + dataset.translations) @ crystal.cell[:]
    orbit: list[NDArray] = []
    for image in images:
        if not orbit or not _same(orbit, image, cell).any():
            orbit.append(image)
    return orbit


def _same(places: list[NDArray], place: NDArray, cell: NDArray) -> NDArray:
    """Which of the places are that one or its images."""
    return find_mic(np.array(places) - place, cell)[1] < SAME_PLACE_A
