"""The supercell that holds the force constants of a crystal, and the rule that chooses it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

log = logging.getLogger(__name__)

SHORTEST_RANGE_A = 5.0
"""Force constants reach at least this far, whatever the cutoff of the model."""

CUTOFFS = 1.5
"""How many cutoffs force constants are taken to reach: an atom feels its neighbours, and what their neighbours do to
them. Two are the limit where there are no messages, but the last half of it holds next to nothing."""

SLACK = 1e-3
"""Part of a length by which a supercell may miss it: a relaxed lattice constant has an error, too."""


def force_range_a(calculator: Any) -> float:
    """How far force constants are taken to reach, in Å: 1.5 cutoffs of the calculator's potential, at least 5 Å."""
    cutoff = getattr(getattr(calculator, "potential", None), "cutoff", 0.0)
    return max(CUTOFFS * float(cutoff), SHORTEST_RANGE_A)


def given_or_chosen(atoms: Atoms, multiples: tuple[int, int, int] | None, range_a: float, max_atoms: int) -> NDArray:
    """Supercell matrix [3, 3] of these multiples of the cell vectors, or `chosen_supercell` where there are none."""
    if multiples is None:
        return chosen_supercell(atoms, range_a, max_atoms)
    matrix = np.diag(multiples)
    warn_if_short(atoms, matrix, range_a, "Repeat the cell more often.")
    return matrix


def chosen_supercell(atoms: Atoms, range_a: float, max_atoms: int) -> NDArray:
    """Supercell matrix [3, 3] (rows are its vectors in terms of the cell's) with at most `max_atoms` atoms.

    The vectors are multiples of the shortest lattice vectors (Minkowski-reduced), each at least twice `range_a` long,
    so that no atom is within the range of another and of its image; vectors of one length get one multiple, which keeps
    the symmetry. Where that takes more than `max_atoms`, the longest such supercell that does not, with a warning.
    """
    operation = _shortest_vectors(atoms.cell[:])
    lengths = np.linalg.norm(operation @ atoms.cell[:], axis=1)
    reach = 2.0 * range_a
    multiples = _multiples(lengths, reach)
    while len(atoms) * multiples.prod() > max_atoms and multiples.max() > 1:
        reach = ((multiples - 1) * lengths).max()
        multiples = _multiples(lengths, reach)
    matrix = multiples[:, None] * operation
    warn_if_short(atoms, matrix, range_a, f"Let max_atoms be larger than {max_atoms}.")
    return matrix


def warn_if_short(atoms: Atoms, matrix: NDArray, range_a: float, advice: str) -> None:
    """Say so where a vector of the supercell is shorter than twice `range_a`."""
    shortest = np.linalg.norm(matrix @ atoms.cell[:], axis=1).min()
    if shortest < 2.0 * range_a * (1.0 - SLACK):
        log.warning(
            "the supercell is %.2f Å long where twice the range of the forces is %.2f Å: force constants overlap with "
            "those of images, and frequencies are exact at wave vectors that fit the supercell only. %s",
            shortest,
            2.0 * range_a,
            advice,
        )


def next_larger(atoms: Atoms, matrix: NDArray) -> NDArray:
    """The next supercell after `matrix` that the rule could choose: its shortest vectors repeat once more."""
    lengths = np.linalg.norm(matrix @ atoms.cell[:], axis=1)
    multiples = np.gcd.reduce(matrix, axis=1)
    grown = multiples + (lengths <= lengths.min() * (1.0 + SLACK))
    return matrix // multiples[:, None] * grown[:, None]


def _shortest_vectors(cell: NDArray) -> NDArray:
    """Integers [3, 3] that make the shortest lattice vectors from the cell's; those as they stand if they are so."""
    _, operation = minkowski_reduce(cell)
    only_reordered = np.abs(operation).sum() == 3
    return np.eye(3, dtype=int) if only_reordered else operation


def _multiples(lengths: NDArray, reach: float) -> NDArray:
    return np.maximum(np.ceil(reach * (1.0 - SLACK) / lengths), 1.0).astype(int)
