"""The convex hull of formation energies: what a composition falls apart into, and how much that gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALLEST_PART = 1e-6
"""Parts smaller than this are none."""


class Decomposition(NamedTuple):
    """The mixture of least energy at a composition: its energy in eV/atom, and the part of each phase in atoms."""

    energy_ev_per_atom: float
    parts: Mapping[int, float]


def decomposition(composition: NDArray, compositions: NDArray, energies: NDArray) -> Decomposition:
    """The point of the convex hull at a composition, as the least energy of all mixtures that have it.

    Args:
        composition: parts of the elements [S], which add up to one.
        compositions: those of the phases [P, S]; the pure elements among them, so that every mixture exists.
        energies: theirs [P] in eV/atom, from any origin that is linear in the composition.
    """
    from scipy.optimize import linprog

    found = linprog(energies, A_eq=compositions.T, b_eq=composition, bounds=(0.0, None), method="highs")
    if not found.success:
        raise RuntimeError(f"the hull at {composition.tolist()} was not found: {found.message}")
    parts = {place: float(part) for place, part in enumerate(found.x) if part > SMALLEST_PART}
    return Decomposition(float(found.fun), parts)


def hull_distances(compositions: NDArray, energies: NDArray) -> tuple[NDArray, list[Decomposition]]:
    """How far each phase [P] lies above the hull of all, in eV/atom, and what it would fall apart into."""
    found = [decomposition(composition, compositions, energies) for composition in compositions]
    distances = energies - np.array([one.energy_ev_per_atom for one in found])
    return np.where(distances < 1e-9, 0.0, distances), found


def fractions(counts: Sequence[Mapping[str, int]], elements: Sequence[str]) -> NDArray:
    """Parts of the elements [P, S] in formulas given as counts."""
    table = np.array([[count.get(element, 0) for element in elements] for count in counts], dtype=float)
    return table / table.sum(axis=1, keepdims=True)
