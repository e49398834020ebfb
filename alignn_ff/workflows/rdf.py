"""Radial distribution functions: who stands how far from whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from alignn_ff.workflows.result import Table
from alignn_ff.workflows.trajectory import members

SMOOTH_A, AHEAD_A = 0.1, 0.4
"""How wide g(r) is smoothed before its first minimum is sought, and how far beyond it nothing may lie lower."""


@dataclass(frozen=True)
class Shell:
    """Neighbours up to the first minimum of a radial distribution."""

    peak_a: float
    minimum_a: float
    coordination: float


def radial_distribution(
    frames: Sequence[Atoms], *, reach_a: float, bin_a: float, advance: Callable[[], None] = lambda: None
) -> Table:
    """Partial and total g(r), and how many neighbours there are up to r.

    g_ab(r) = V n_ab(r) / (N_a N_b 4π r² dr), n_ab the pairs of an atom of a and one of b in the shell, in every image
    of the cell: 1 at every r in an ideal gas, less 1 / N for the atom itself. Cells may have any shape and be smaller
    than `reach_a`; beyond half the cell, g shows its repetition too.

    Args:
        frames: periodic in 3D, the same atoms.
        advance: called after each frame.
    Returns:
        columns [bins]: distance_a (middle of the bin), g, and for each pair of elements g_A-B; n, neighbours up to the
        end of the bin, and for every order of each pair n_A-B, neighbours B of an A.
    """
    edges = bin_a * np.arange(round(reach_a / bin_a) + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    found = members(frames[0])
    names, sizes = list(found), np.array([len(atoms) for atoms in found.values()])
    counts = np.zeros((len(names), len(names), len(shells)))
    scaled = counts.copy()
    for frame in frames:
        pairs = _pairs(frame, found, edges)
        counts += pairs / len(frames)
        scaled += pairs / len(frames) * frame.get_volume() / shells
        advance()
    columns = {"distance_a": 0.5 * (edges[1:] + edges[:-1]), "g": scaled.sum(axis=(0, 1)) / sizes.sum() ** 2}
    orders = [(a, b) for a in range(len(names)) for b in range(len(names))]
    partial = {f"g_{names[a]}-{names[b]}": scaled[a, b] / (sizes[a] * sizes[b]) for a, b in orders if a <= b}
    numbers = {"n": counts.sum(axis=(0, 1)).cumsum() / sizes.sum()}
    numbers |= {f"n_{names[a]}-{names[b]}": counts[a, b].cumsum() / sizes[a] for a, b in orders}
    return columns | partial | numbers


def first_shell(table: Table, pair: tuple[str, str] | None = None) -> Shell | None:
    """The first shell of a radial distribution, of a pair (A, B) or of all; None where it does not end within reach.

    Peak and minimum are those of g(r) under a Gaussian of 0.1 Å; the minimum is the first from which nothing lower
    follows within 0.4 Å.
    """
    distances = table["distance_a"]
    name = "" if pair is None else "_" + "-".join(sorted(pair))
    smooth = _smoothed(distances, table["g" + name])
    beyond = np.flatnonzero(smooth > 1.0)
    if not len(beyond):
        return None
    ahead = max(1, round(AHEAD_A / (distances[1] - distances[0])))
    falls = [k for k in range(beyond[0], len(smooth) - 1) if smooth[k] > smooth[k + 1]]
    for k in range(falls[0] if falls else len(smooth), len(smooth) - ahead):
        if smooth[k] <= smooth[k : k + ahead + 1].min():
            count = table["n" if pair is None else "n_" + "-".join(pair)][k]
            return Shell(float(distances[falls[0]]), float(distances[k]), float(count))
    return None


def _smoothed(distances: NDArray, values: NDArray) -> NDArray:
    weights = np.exp(-0.5 * ((distances[:, None] - distances) / SMOOTH_A) ** 2)
    return np.asarray(weights @ values / weights.sum(axis=1))


def _pairs(frame: Atoms, groups: dict[str, NDArray], edges: NDArray) -> NDArray:
    """Ordered pairs of each two elements in each bin [elements, elements, bins]."""
    kinds, n_bins = np.zeros(len(frame), int), len(edges) - 1
    for kind, atoms in enumerate(groups.values()):
        kinds[atoms] = kind
    first, second, distances = neighbor_list("ijd", frame, float(edges[-1]))
    places = np.minimum((distances / edges[1]).astype(int), n_bins - 1)
    flat = (kinds[first] * len(groups) + kinds[second]) * n_bins + places
    return np.bincount(flat, minlength=len(groups) ** 2 * n_bins).reshape(len(groups), len(groups), n_bins)
