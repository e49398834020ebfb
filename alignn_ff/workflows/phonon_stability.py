"""Whether a crystal is dynamically stable, and where in the Brillouin zone it is not."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STABLE = "stable"
NEAR_GAMMA = "imaginary modes near Γ only"
IMAGINARY = "imaginary modes"


class Stability(NamedTuple):
    """A verdict on imaginary modes.

    Attributes:
        verdict: one of `STABLE`, `NEAR_GAMMA`, `IMAGINARY`.
        lowest_frequency_thz: negative where imaginary.
        lowest_q: where it is [3], in reciprocal vectors of the primitive cell.
    """

    verdict: str
    lowest_frequency_thz: float
    lowest_q: tuple[float, float, float]


def stability(phonon: Any, points: NDArray, frequencies: NDArray, tolerance_thz: float) -> Stability:
    """The verdict from frequencies [Q, modes] at `points` [Q, 3] and at all points that the supercell knows exactly.

    Nearer to Γ than half the shortest wave vector that fits the supercell, frequencies are interpolated across a region
    of which it knows nothing but Γ itself: imaginary modes found only there may be numbers, or a long-wave (elastic)
    instability, and have a verdict of their own. Modes above -`tolerance_thz` are not imaginary.
    """
    exact = commensurate_points(phonon)
    points = np.concatenate([exact, points])
    frequencies = np.concatenate([phonon.run_qpoints(exact).frequencies, frequencies])
    lowest = frequencies.min(axis=1)
    reciprocal = np.linalg.inv(phonon.primitive.cell).T
    shortest = distance_to_gamma(exact, reciprocal)
    radius = 0.5 * shortest[shortest > 1e-8].min(initial=np.inf)
    bad = lowest < -tolerance_thz
    far = bad & (distance_to_gamma(points, reciprocal) >= radius)
    verdict = IMAGINARY if far.any() else NEAR_GAMMA if bad.any() else STABLE
    place = int(np.where(far, lowest, np.inf).argmin() if far.any() else lowest.argmin())
    q = tuple(float(part) for part in points[place])
    return Stability(verdict, float(lowest[place]), (q[0], q[1], q[2]))


def commensurate_points(phonon: Any) -> NDArray:
    """Wave vectors [Q, 3] that fit the supercell, in reciprocal vectors of the primitive cell; Γ among them.

    There frequencies do not depend on how force constants are interpolated.
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    matrix = np.linalg.inv(phonon.primitive_matrix) @ phonon.supercell_matrix
    return np.asarray(get_commensurate_points(np.rint(matrix).astype(int)))


def distance_to_gamma(points: NDArray, reciprocal: NDArray) -> NDArray:
    """Distance [Q] in 1/Å (without 2π) of points [Q, 3] to the nearest reciprocal lattice point."""
    images = np.array(list(product((-1, 0, 1), repeat=3)))
    nearest = points - np.round(points)
    return np.linalg.norm((nearest[:, None] + images) @ reciprocal, axis=2).min(axis=1)
