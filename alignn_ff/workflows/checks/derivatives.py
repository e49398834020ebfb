"""Forces and stress must be derivatives of the energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.probes import STRAINS, displaced, strained
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.checks.bench import Bench, is_bulk
from alignn_ff.workflows.checks.criteria import Measurement, Part

COMPONENTS = 6
"""Force components drawn at random."""

LONGEST_STEP_A, LARGEST_STRAIN = 0.04, 0.02
HALVINGS = 5

FORCE_FLOOR, STRESS_FLOOR = 0.1, 1.0 / GPA_PER_EV_A3
"""eV/Å and eV/Å³ (1 GPa) that relative errors refer to where all forces or stresses are smaller."""


def derivatives(bench: Bench, label: str) -> Part:
    """Errors of forces and stress of one structure relative to their largest component, and the mean force."""
    return Part(list(_derivatives(bench, label)))


def slopes(bench: Bench, changes: Sequence[Callable[[float], Atoms]], longest: float) -> NDArray:
    """dE/dx at 0 for each of `changes`, which make a structure of x; the first steps measure `longest`."""
    steps = longest / 2.0 ** np.arange(HALVINGS)
    structures = [change(sign * step) for change in changes for step in steps for sign in (1, -1)]
    energies = np.array([found.energy for found in bench.measured(structures)])
    pairs = energies.reshape(len(changes), HALVINGS, 2)
    return np.array([extrapolated((up - down) / (2.0 * steps)) for up, down in pairs.transpose(0, 2, 1)])


def extrapolated(estimates: NDArray) -> float:
    """Limit of central differences whose step halves from one to the next, whatever the noise of the energies.

    Of all extrapolations to step 0 the one that agrees best with those it was made from: large steps suffer from
    truncation, small ones from rounding, and neither has to be known. Ridders, Adv. Eng. Softw. 4, 75 (1982).
    """
    best, smallest = float(estimates[-1]), np.inf
    column = estimates
    for order in range(1, len(estimates)):
        power = 4.0**order
        higher = (power * column[1:] - column[:-1]) / (power - 1.0)
        doubts = np.maximum(np.abs(higher - column[1:]), np.abs(higher - column[:-1]))
        if doubts.min() < smallest:
            best, smallest = float(higher[doubts.argmin()]), float(doubts.min())
        column = higher
    return best


def _percent(errors: NDArray, values: NDArray, floor: float) -> float:
    return float(100.0 * np.abs(errors).max() / max(np.abs(values).max(), floor))


def _derivatives(bench: Bench, label: str) -> Iterator[Measurement]:
    atoms = bench.rattled[label]
    here = bench.measured([atoms])[0]
    yield Measurement("net_force", label, float(np.abs(here.forces.mean(axis=0)).max()))
    chosen = np.random.default_rng(bench.settings.seed).permutation(3 * len(atoms))[:COMPONENTS]
    moves = [partial(displaced, atoms, int(component)) for component in chosen]
    errors = -slopes(bench, moves, LONGEST_STEP_A) - here.forces.reshape(-1)[chosen]
    yield Measurement("derivative_forces", label, _percent(errors, here.forces, FORCE_FLOOR))
    if not is_bulk(atoms):
        yield Measurement("derivative_stress", label, None, "no structure is periodic in 3D")
    elif here.stress is None:
        yield Measurement("derivative_stress", label, None, "the calculator offers no stress")
    else:
        strains = [partial(strained, atoms, axes) for axes in STRAINS]
        found = np.array([here.stress[axes] for axes in STRAINS])
        errors = slopes(bench, strains, LARGEST_STRAIN) / atoms.get_volume() - found
        yield Measurement("derivative_stress", label, _percent(errors, found, STRESS_FLOOR))
