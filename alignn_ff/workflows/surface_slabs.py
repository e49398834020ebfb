"""Slabs of a crystal: lattice planes and terminations that symmetry tells apart, in the smallest cells there are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, gcd
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.symmetry import symmetry_dataset

Miller = tuple[int, int, int]

LAYER_A = 0.1
"""Atoms closer than this along the normal lie in one layer; a cut goes between layers."""

CENTRINGS = 6
"""Lattice points of centred cells are at halves and thirds of their edges: six times them are whole numbers."""

SAME_HEIGHT = 1e-3
"""Heights nearer than this part of the period are one height."""


@dataclass(frozen=True)
class Lattice:
    """A crystal as slabs need it, in the orientation of the input.

    `primitive` is its primitive cell; `conventional` [3, 3] are the vectors (rows, Å) that Miller indices refer to;
    `rotations` [S, 3, 3] and `translations` [S, 3] are its symmetry operations in the basis of the primitive cell.
    """

    primitive: Atoms
    conventional: NDArray
    rotations: NDArray
    translations: NDArray


@dataclass(frozen=True)
class Cut:
    """Where a crystal is cut: `height` is a part of the period along the normal.

    `period_a` is the distance of equivalent planes; `symmetric` says whether a slab of whole periods has two equivalent
    faces; `number` counts the terminations of one plane.
    """

    miller: Miller
    number: int
    height: float
    period_a: float
    symmetric: bool


def lattice_of(crystal: Atoms, symprec: float) -> Lattice:
    """Primitive and conventional cell of a crystal and its symmetry.

    Raises:
        ConfigError: spglib finds no symmetry at all.
    """
    import spglib

    dataset = symmetry_dataset(crystal, symprec)
    if dataset is None:
        raise ConfigError(f"spglib finds no space group within symprec = {symprec:g} Å; try another one.")
    cell = (crystal.cell[:], crystal.get_scaled_positions(), crystal.numbers)
    found: Any = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=symprec)
    vectors, positions, numbers = found
    primitive = Atoms(numbers, cell=vectors, scaled_positions=positions, pbc=True, info=crystal.info)
    conventional = np.linalg.inv(dataset.transformation_matrix).T @ crystal.cell[:]
    operations = symmetry_dataset(primitive, symprec)
    return Lattice(primitive, conventional, operations.rotations, operations.translations)


def distinct_planes(lattice: Lattice, max_index: int) -> list[Miller]:
    """One plane of each family with indices up to `max_index`, those of smallest indices first."""
    span = range(-max_index, max_index + 1)
    left: set[Miller] = {(h, k, m) for h, k, m in product(span, repeat=3) if gcd(h, k, m) == 1}
    planes = []
    for hkl in sorted(left, key=_prettiest_first):
        if hkl in left:
            planes.append(hkl)
            left -= set(family(lattice, hkl))
    return planes


def family(lattice: Lattice, miller: Miller) -> list[Miller]:
    """All planes that symmetry makes equal to one; a plane and its reverse count as equal."""
    return [
        tuple(np.rint(normal @ lattice.conventional.T).astype(int).tolist()) for normal in _normals(lattice, miller)
    ]


def unit_normals(lattice: Lattice, miller: Miller) -> NDArray:
    """Unit normals [F, 3] of a family of planes, Cartesian."""
    normals = _normals(lattice, miller)
    return normals / np.linalg.norm(normals, axis=1)[:, None]


def cuts(lattice: Lattice, miller: Miller) -> list[Cut]:
    """The terminations of a plane that symmetry tells apart."""
    plane = _in_primitive(lattice, miller)
    period = 1.0 / float(np.linalg.norm(np.linalg.inv(lattice.primitive.cell[:]) @ plane))
    operations = _along_normal(lattice, plane)
    found: list[Cut] = []
    for height in _gaps(lattice.primitive.get_scaled_positions() @ plane, period):
        images = [(sign * height + shift, sign) for sign, shift in operations]
        if not any(_same(image, cut.height) for image, _ in images for cut in found):
            symmetric = any(_same(image, height) for image, sign in images if sign < 0)
            found.append(Cut(miller, len(found) + 1, height, period, symmetric))
    return found


def slab(lattice: Lattice, cut: Cut, *, thickness_a: float, vacuum_a: float) -> Atoms:
    """A slab at least `thickness_a` thick, of whole periods, its normal along z, periodic in 3D with vacuum between."""
    period = block(lattice, cut)
    return in_vacuum(period * (1, 1, periods(period, thickness_a)), vacuum_a)


def block(lattice: Lattice, cut: Cut) -> Atoms:
    """One period of the crystal from the cut upwards, normal along z; the first two cell vectors span the plane."""
    oriented = _oriented(lattice.primitive, _in_primitive(lattice, cut.miller))
    scaled = oriented.get_scaled_positions()
    scaled[:, 2] = (scaled[:, 2] - cut.height) % 1.0
    oriented.set_scaled_positions(scaled)
    return oriented


def periods(block: Atoms, thickness_a: float) -> int:
    """How many blocks are at least `thickness_a` thick."""
    return ceil(thickness_a / block.cell[2, 2] * (1.0 - SAME_HEIGHT))


def in_vacuum(atoms: Atoms, vacuum_a: float) -> Atoms:
    """Stacked blocks as a slab: the third cell vector along the normal, with vacuum between images."""
    atoms = atoms.copy()
    atoms.set_cell([*atoms.cell[:2], [0.0, 0.0, 1.0]])
    atoms.center(vacuum=0.5 * vacuum_a, axis=2)
    atoms.wrap()
    return atoms


def area_a2(atoms: Atoms) -> float:
    """Area of the first two cell vectors."""
    return float(np.linalg.norm(np.cross(*atoms.cell[:2])))


def _normals(lattice: Lattice, miller: Miller) -> NDArray:
    """Reciprocal vectors [F, 3] in 1/Å of a family, both senses of each."""
    columns = lattice.primitive.cell[:].T
    rotations = columns @ lattice.rotations @ np.linalg.inv(columns)
    normals = rotations @ (np.linalg.inv(lattice.conventional) @ np.array(miller))
    both = np.concatenate([normals, -normals])
    _, first = np.unique(np.rint(both @ lattice.conventional.T), axis=0, return_index=True)
    return both[first]


def _in_primitive(lattice: Lattice, miller: Miller) -> NDArray:
    """Coprime indices [3] of a plane in the basis of the primitive cell."""
    indices = lattice.primitive.cell[:] @ np.linalg.inv(lattice.conventional) @ np.array(miller)
    whole = np.rint(CENTRINGS * indices).astype(int)
    return whole // np.gcd.reduce(whole)


def _along_normal(lattice: Lattice, plane: NDArray) -> list[tuple[int, float]]:
    """What symmetry does to heights: (+1 or -1, shift in periods) of each operation that keeps the plane."""
    found = []
    for rotation, translation in zip(lattice.rotations, lattice.translations, strict=True):
        turned = plane @ rotation
        for sign in (1, -1):
            if (turned == sign * plane).all():
                found.append((sign, float(plane @ translation)))
    return found


def _gaps(heights: NDArray, period_a: float) -> list[float]:
    """Middles of the gaps between layers, in periods; the widest alone where none is wider than `LAYER_A`."""
    levels = np.sort(heights % 1.0)
    widths = np.diff([*levels, levels[0] + 1.0])
    middles = (levels + 0.5 * widths) % 1.0
    wide = widths * period_a > LAYER_A
    return middles[wide if wide.any() else widths == widths.max()].tolist()


def _same(one: float, other: float) -> bool:
    away = (one - other) % 1.0
    return min(away, 1.0 - away) < SAME_HEIGHT


def _oriented(primitive: Atoms, plane: NDArray) -> Atoms:
    """The primitive crystal in a cell whose first two vectors span the plane, as short as can be; normal along z."""
    basis = _plane_basis(plane)
    flat, _ = minkowski_reduce(basis @ primitive.cell[:], pbc=[True, True, False])
    if np.linalg.det(flat) < 0:
        flat[0] *= -1.0
    atoms = primitive.copy()
    atoms.set_cell(flat)
    standard, _ = atoms.cell.standard_form()
    atoms.set_cell(standard, scale_atoms=True)
    return atoms


def _plane_basis(plane: NDArray) -> NDArray:
    """Integer basis [3, 3] of the lattice (rows): two vectors in the plane, then one that leads to the next plane.

    Euclid's algorithm on the indices, which are coprime: they end as 0, 0, 1.
    """
    basis, left = np.eye(3, dtype=int), plane.copy()
    while np.count_nonzero(left) > 1:
        smallest = min(np.flatnonzero(left), key=lambda i: abs(left[i]))
        for other in set(np.flatnonzero(left)) - {smallest}:
            quotient = left[other] // left[smallest]
            left[other] -= quotient * left[smallest]
            basis[other] -= quotient * basis[smallest]
    last = int(np.flatnonzero(left)[0])
    return np.array([*np.delete(basis, last, axis=0), left[last] * basis[last]])


def _prettiest_first(miller: Miller) -> tuple[int, int, tuple[int, ...]]:
    """Small indices first, few minus signs, large ones in front."""
    return sum(abs(i) for i in miller), sum(i < 0 for i in miller), tuple(-i for i in miller)
