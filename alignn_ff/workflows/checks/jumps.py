"""Where energy or forces jump along a path: suspected on a coarse grid, then cornered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.probes import Properties

Measure = Callable[[Sequence[Atoms]], Sequence[Properties]]

WINDOWS = 8
"""Of a path; the likeliest jump of each is cornered, so that a steep stretch cannot hide the others."""

ZOOMS, POINTS = 3, 31
"""Grids that corner a jump, each ten times finer than the one before, and their points."""

SUSPICIOUS = 0.3
"""Share of a limit from which on a step of the coarse grid is looked at closely."""

CUBIC = (35 / 16, -35 / 16, 21 / 16, -5 / 16)
"""Weights of points at 1, 3, 5, 7 half steps in the cubic extrapolation to 0."""

LINEAR = (3 / 2, -1 / 2)


class Path(NamedTuple):
    """A structure for every place on an equidistant grid [P], and how its jumps count.

    Attributes:
        at: place -> structure.
        grid: places.
        energy_limit, force_limit: eV (or eV/atom) and eV/Å from which on a jump matters.
        energy_scale: what an eV counts, 1 / N for eV/atom.
    """

    at: Callable[[float], Atoms]
    grid: NDArray
    energy_limit: float
    force_limit: float
    energy_scale: float = 1.0


class Jump(NamedTuple):
    """A jump and its place on the path."""

    size: float
    place: float


class Jumps(NamedTuple):
    """The largest jumps of energy and forces along a path."""

    energy: Jump
    force: Jump


def largest_jumps(path: Path, found: Sequence[Properties], measure: Measure) -> Jumps:
    """Jumps that stay while the grid gets finer; a smooth function has none but its rounding.

    Values on either side of a place are extrapolated to it, so that smooth change does not count. Farther than 1 eV
    from the end of the path, and of forces above 1 eV/Å, jumps count relative to the value: repulsive walls are steep.

    Args:
        found: properties on the grid of `path`.
        measure: asked for the places in between.
    """
    origin = found[-1].energy
    sizes = _sizes(path, found, origin, CUBIC)
    centres = 0.5 * (path.grid[1:] + path.grid[:-1])[len(CUBIC) - 1 : 1 - len(CUBIC)]
    ways = []
    for window in np.array_split(np.arange(len(centres)), WINDOWS):
        likeliest = window[_scores(path, sizes[window]).argmax()]
        if _scores(path, sizes[likeliest]) > SUSPICIOUS:
            ways.append(_cornered(path, float(centres[likeliest]), origin, measure))
        else:
            ways.append(_largest(sizes[window], centres[window]))
    return Jumps(max(way.energy for way in ways), max(way.force for way in ways))


def _cornered(path: Path, centre: float, origin: float, measure: Measure) -> Jumps:
    reach = 1.5 * float(path.grid[1] - path.grid[0])
    for _ in range(ZOOMS):
        grid = np.linspace(centre - reach, centre + reach, POINTS)
        sizes = _sizes(path, measure([path.at(float(place)) for place in grid]), origin, LINEAR)
        centres = 0.5 * (grid[1:] + grid[:-1])[len(LINEAR) - 1 : 1 - len(LINEAR)]
        centre = float(centres[_scores(path, sizes).argmax()])
        reach = 1.5 * float(grid[1] - grid[0])
    return _largest(sizes, centres)


def _sizes(path: Path, found: Sequence[Properties], origin: float, weights: Sequence[float]) -> NDArray:
    """Jumps [M, 2] of energy and forces halfway between neighbouring points, but for those near the ends."""
    energies = np.array([[one.energy - origin] for one in found]) * path.energy_scale
    forces = np.array([one.forces.ravel() for one in found])
    return np.stack([_between(values, weights) for values in (energies, forces)], axis=1)


def _between(values: NDArray, weights: Sequence[float]) -> NDArray:
    """Largest jump [M] of any column of values [P, C], relative where the values exceed one."""
    reach, count = len(weights), len(values) - 2 * len(weights) + 1
    jumps = np.zeros((count, values.shape[1]))
    for k, weight in enumerate(weights):
        right, left = values[reach + k :][:count], values[reach - 1 - k :][:count]
        jumps += weight * (right - left)
    near = np.maximum(np.abs(values[reach - 1 :][:count]), np.abs(values[reach:][:count])).max(axis=1)
    return np.nan_to_num(np.abs(jumps).max(axis=1) / np.maximum(near, 1.0))  # what is not finite is counted elsewhere


def _scores(path: Path, sizes: NDArray) -> NDArray:
    """Size in units of the limit, of energy or forces, whichever is worse."""
    return (sizes / [path.energy_limit, path.force_limit]).max(axis=-1)


def _largest(sizes: NDArray, centres: NDArray) -> Jumps:
    energy, force = sizes.argmax(axis=0)
    return Jumps(
        Jump(float(sizes[energy, 0]), float(centres[energy])), Jump(float(sizes[force, 1]), float(centres[force]))
    )
