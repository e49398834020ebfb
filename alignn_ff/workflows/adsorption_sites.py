"""Sites of a surface where something may adsorb: on top of an atom, on a bridge, in a hollow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.symmetry import symmetry_dataset

KINDS = {1: "ontop", 2: "bridge"}
"""Surface atoms nearest to a site -> its kind; more make a hollow."""

EQUALLY_NEAR_A = 0.1
"""Atoms are equally near to a site within this."""

SAME_PLACE_A = 0.1

GAP_A = 20.0
"""Vacuum that the search for symmetry puts above a slab, so that nothing above it counts."""


@dataclass(frozen=True)
class Site:
    """A place on the surface: `xy` [2] in parts of the two cell vectors, and the surface atoms that are nearest.

    `distance_a` is their distance within the plane, zero on top of an atom.
    """

    kind: str
    xy: NDArray
    atoms: tuple[int, ...]
    distance_a: float

    @property
    def label(self) -> str:
        """Such as ontop, bridge, hollow-3."""
        return self.kind if self.kind != "hollow" else f"hollow-{len(self.atoms)}"


def upward(slab: Atoms) -> NDArray:
    """Unit normal [3] of the surface, on the side that the third cell vector points to."""
    normal = np.cross(*slab.cell[:2])
    return normal / np.linalg.norm(normal) * (-1.0 if slab.cell[2] @ normal < 0 else 1.0)


def top_layer(slab: Atoms, layer_a: float) -> NDArray:
    """Indices of the atoms at most `layer_a` below the highest."""
    heights = slab.positions @ upward(slab)
    return np.flatnonzero(heights > heights.max() - layer_a)


def distinct_sites(slab: Atoms, layer_a: float, symprec: float) -> list[Site]:
    """The sites of the top layer that the symmetry of the slab tells apart: on top, bridges, hollows.

    A bridge is the middle between two neighbours with no other atom as near, a hollow a corner of the Voronoi cells of
    the layer, where three or more are equally near.

    Args:
        layer_a: as in `top_layer`.
        symprec: tolerance of the symmetry in Å.
    Raises:
        ConfigError: a slab without two cell vectors to repeat along.
    """
    if not slab.pbc[:2].all() or slab.cell[:2].any(axis=1).sum() < 2:
        raise ConfigError(
            f"the structure is no slab that repeats along its first two cell vectors (pbc {slab.pbc.tolist()})."
        )
    operations = _kept(slab, symprec)
    found: list[Site] = []
    for site in _all_sites(slab, top_layer(slab, layer_a)):
        images = [(rotation @ site.xy + shift) for rotation, shift in operations]
        same = [one for one in found if len(one.atoms) == len(site.atoms)]
        if not any(_apart_a(slab, image, one.xy) < SAME_PLACE_A for image in images for one in same):
            found.append(site)
    return found


def _all_sites(slab: Atoms, layer: NDArray) -> Iterator[Site]:
    """Sites of one cell in the order on top, bridges, hollows; symmetry-equivalent and doubled ones too."""
    from scipy.spatial import Delaunay, Voronoi

    cells = np.array(list(product(range(-3, 4), repeat=2)))
    plane = _in_plane(slab)
    parts = np.linalg.solve(slab.cell[:].T if slab.cell.rank == 3 else slab.cell.complete()[:].T, slab.positions.T).T
    points = (parts[layer, None, :2] + cells[None]).reshape(-1, 2) @ plane
    owners = np.repeat(layer, len(cells))
    triangles = Delaunay(points).simplices
    edges = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])), axis=0
    )
    on_top = parts[layer, :2] @ plane
    for place, wanted in ((on_top, 1), (points[edges].mean(axis=1), 2), (Voronoi(points).vertices, 3)):
        for xy in place:
            part = np.linalg.solve(plane.T, xy)
            distances = np.linalg.norm(points - xy, axis=1)
            near = np.flatnonzero(distances < distances.min() + EQUALLY_NEAR_A)
            inside = (part > -1e-6).all() and (part < 1.0 - 1e-6).all()
            if (wanted == 1 or inside) and min(len(near), 3) == wanted:
                yield Site(
                    KINDS.get(wanted, "hollow"), part % 1.0, tuple(owners[near].tolist()), float(distances.min())
                )


def _in_plane(slab: Atoms) -> NDArray:
    """The first two cell vectors [2, 2] in axes of their own plane."""
    first = slab.cell[0] / np.linalg.norm(slab.cell[0])
    second = np.cross(upward(slab), first)
    return slab.cell[:2] @ np.array([first, second]).T


def _kept(slab: Atoms, symprec: float) -> list[tuple[NDArray, NDArray]]:
    """Rotation [2, 2] and shift [2], in the basis of the cell vectors, of the operations that keep the upper side."""
    alone = slab.copy()
    heights = slab.positions @ upward(slab)
    alone.set_cell([*slab.cell[:2], upward(slab) * (np.ptp(heights) + GAP_A)])
    alone.set_pbc(True)
    dataset = symmetry_dataset(alone, symprec)
    if dataset is None:
        return [(np.eye(2), np.zeros(2))]
    return [
        (rotation[:2, :2], translation[:2])
        for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True)
        if rotation[2, 2] == 1 and not rotation[2, :2].any() and not rotation[:2, 2].any()
    ]


def _apart_a(slab: Atoms, one: NDArray, other: NDArray) -> float:
    """Distance in Å of two places, or of the nearest images of them."""
    away = (one - other + 0.5) % 1.0 - 0.5
    corners = away + np.array(list(product((-1, 0, 1), repeat=2)))
    return float(np.linalg.norm(corners @ _in_plane(slab), axis=1).min())
