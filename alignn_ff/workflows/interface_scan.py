"""Energies of a rigid film on a rigid substrate over their registry and their distance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.frames import stored_energy
from alignn_ff.workflows.interface_stack import Stack

SEPARATIONS = np.arange(0.7, 1.61, 0.1)
"""Distances tried at each place of the film, in parts of the one that the crystals suggest."""

CURVE_POINTS = 25
CLOSEST = 0.8
"""Number of points of the curve of adhesion, and where it begins, in parts of the best separation."""

TOLERANCE_A = 1e-3
"""To which the best separation is found."""


@dataclass(frozen=True)
class Scan:
    """Energies in eV of the rigid interface.

    `shifts` [P, 2] in parts of the registry vectors, `separations_a` [P] and `energies_ev` [P] where each is lowest;
    `best` is the structure of the lowest of all, at `shift` and `separation_a`; `curve` holds separations in Å and
    energies in eV [2, C] there.
    """

    shifts: NDArray
    separations_a: NDArray
    energies_ev: NDArray
    best: Atoms
    shift: NDArray
    separation_a: float
    curve: NDArray


def scan_size(registry: int) -> int:
    """Energies that a scan takes for certain."""
    return registry**2 * len(SEPARATIONS) + CURVE_POINTS


def scan(stack: Stack, calc: Any, *, registry: int, reach_a: float, advance: Callable[..., None]) -> Scan:
    """Try `registry` times `registry` places of the film at several heights, then look closer at the best.

    Raises:
        RunawayError: an energy is not finite.
    """

    def energies(shift: NDArray, separations: NDArray) -> NDArray:
        frames = [stack.at(shift, float(one)) for one in separations]
        found = [stored_energy(frame) for frame in evaluate_each(frames, calc)]
        advance(len(found))
        return np.array(found)

    tried = SEPARATIONS * stack.nominal_a
    shifts = np.array(list(product(np.arange(registry) / registry, repeat=2)))
    lowest = np.array([_lowest(tried, energies(shift, tried)) for shift in shifts])
    best = int(lowest[:, 1].argmin())
    separation = _minimum(
        lambda one: float(energies(shifts[best], np.array([one]))[0]), float(lowest[best, 0]), tried[1] - tried[0]
    )
    first, last = CLOSEST * separation, separation + reach_a
    places = first + (last - first) * np.linspace(0.0, 1.0, CURVE_POINTS) ** 1.5  # denser where it bends
    return Scan(
        shifts=shifts,
        separations_a=lowest[:, 0],
        energies_ev=lowest[:, 1],
        best=stack.at(shifts[best], separation),
        shift=shifts[best],
        separation_a=separation,
        curve=np.array([places, energies(shifts[best], places)]),
    )


def _lowest(separations: NDArray, energies: NDArray) -> tuple[float, float]:
    """Where a curve is lowest, and how low, of the cubic spline through its points."""
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(separations, energies)
    turns = spline.derivative().roots(extrapolate=False)
    places = np.array([separations[0], *turns, separations[-1]])
    heights = spline(places)
    return float(places[heights.argmin()]), float(heights.min())


def _minimum(energy: Callable[[float], float], near: float, step: float) -> float:
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(
        energy, bounds=(near - step, near + step), method="bounded", options={"xatol": TOLERANCE_A}
    )
    return float(found.x)
