"""Two slabs in one cell, and how they may lie on each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from alignn_ff.workflows.interface_match import Match
from alignn_ff.workflows.surface_slabs import LAYER_A, in_vacuum

SUBSTRATE, FILM = 0, 1
"""Tags of the atoms of an interface."""


@dataclass(frozen=True)
class Stack:
    """Substrate `lower` and film `upper` in the coincidence cell, each of whole periods, before they are joined.

    `onward_a` [3] leads the film to where the crystal of the substrate would go on: their first atoms meet there.
    `registry` [2, 2]: shifts of the film by these vectors (rows, Å) change nothing. At `nominal_a` the layers that meet
    are as far apart as, on average, in the two crystals.
    """

    lower: Atoms
    upper: Atoms
    onward_a: NDArray
    registry: NDArray
    nominal_a: float
    vacuum_a: float

    def at(self, shift: NDArray, separation_a: float) -> Atoms:
        """Substrate below, film above, `shift` [2] in parts of the registry vectors; vacuum between images.

        A crystal on itself with no shift is the crystal.
        """
        film = self.upper.copy()
        film.translate(self.onward_a)
        film.translate([*(shift @ self.registry), separation_a - self.nominal_a])
        return in_vacuum(self.lower + film, self.vacuum_a)


def stack(substrate: Atoms, film: Atoms, match: Match, *, periods: tuple[int, int], vacuum_a: float) -> Stack:
    """Blocks of substrate and strained film, so many periods of each, in the cell that they have in common."""
    lower = make_supercell(substrate * (1, 1, periods[0]), _in_plane(match.substrate))
    upper = make_supercell(film * (1, 1, periods[1]), _in_plane(match.film))
    upper.set_cell([*lower.cell[:2], upper.cell[2]], scale_atoms=True)  # equal but for rounding
    lower.set_tags(SUBSTRATE)
    upper.set_tags(FILM)
    onward = lower.cell[2] + [*(_foot(substrate) - _foot(film)), 0.0]
    nominal = 0.5 * (_gap_a(substrate) + _gap_a(film))
    return Stack(lower, upper, onward, _registry(match, lower.cell[:2, :2]), nominal, vacuum_a)


def separation_a(rigid: Atoms, relaxed: Atoms) -> float:
    """Mean height of the lowest layer of the film over the highest of the substrate, layers being those of `rigid`."""
    before, now = rigid.positions[:, 2], relaxed.positions[:, 2]
    film = rigid.get_tags() == FILM
    above = film & (before < before[film].min() + LAYER_A)
    below = ~film & (before > before[~film].max() - LAYER_A)
    return float(now[above].mean() - now[below].mean())


def _in_plane(multiples: NDArray) -> NDArray:
    matrix = np.eye(3, dtype=int)
    matrix[:2, :2] = multiples
    return matrix


def _gap_a(block: Atoms) -> float:
    """Distance between the layers on both sides of the cut of a block."""
    return float(block.cell[2, 2] - np.ptp(block.positions[:, 2]))


def _foot(block: Atoms) -> NDArray:
    """Place [2] in the plane of the first atom of the lowest layer."""
    heights = block.positions[:, 2]
    return block.positions[np.flatnonzero(heights < heights.min() + LAYER_A)[0], :2]


def _registry(match: Match, coincidence: NDArray) -> NDArray:
    """Shortest vectors [2, 2] in Å of the lattice that the translations of both surfaces generate.

    The energy does not change under translations of the film along either lattice: this is the displacement-shift-
    complete lattice of Bollmann (Crystal Defects and Crystalline Interfaces, Springer 1970).
    """
    whole = lcm(*(round(abs(np.linalg.det(multiples))) for multiples in (match.substrate, match.film)))
    rows = [np.rint(whole * np.linalg.inv(multiples)).astype(int) for multiples in (match.substrate, match.film)]
    vectors = np.eye(3)
    vectors[:2, :2] = _basis(np.concatenate(rows)) / whole @ coincidence
    shortest, _ = minkowski_reduce(vectors, pbc=[True, True, False])
    return shortest[:2, :2]


def _basis(rows: NDArray) -> NDArray:
    """Basis [2, 2] of the lattice that integer rows [M, 2] span, by Euclid's algorithm on their columns."""
    basis, left = [], rows
    for column in range(2):
        while np.count_nonzero(left[:, column]) > 1:
            nonzero = np.flatnonzero(left[:, column])
            least = nonzero[np.abs(left[nonzero, column]).argmin()]
            others = nonzero[nonzero != least]
            left[others] -= left[others, column, None] // left[least, column] * left[least]
        pivot = int(np.flatnonzero(left[:, column])[0])
        basis.append(left[pivot])
        left = np.delete(left, pivot, axis=0)
    return np.array(basis)
