"""Do forces and stress fit the energies? Their work along the way from one structure to the next must be what it costs.

Between two structures of the same atoms, E_b - E_a = -Σ F·u + V σ:ε to second order, where F, σ and V are means of
both, ε is the strain of the cell and u what atoms move beyond it (trapezoidal rule; errors are of third order).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations
from typing import NamedTuple

import numpy as np

from alignn_ff.data.sources import Sample

_FARTHEST_A = 0.4
_LARGEST_STRAIN = 0.08
_FEWEST_PAIRS = 4
_SHEARS = ((1, 2), (0, 2), (0, 1))
"""Components yz, xz, xy, as ASE orders them."""
SHEAR_NAMES = ("yz", "xz", "xy")


class Step(NamedTuple):
    """From one structure to the next: eV.

    Attributes:
        energy: what the way costs by the energies.
        forces: what it costs by the forces, NaN where there are none or nothing moves.
        normal: what it costs by the normal stresses.
        shear: V σ_k [3] and 2 ε_l [3]: their product, summed over k = l, is what it costs by the shears.
    """

    energy: float
    forces: float
    normal: float
    shear: tuple[np.ndarray, np.ndarray]


class Slopes(NamedTuple):
    """Energy over work, 1 where labels fit; None where the data cannot tell.

    Attributes:
        forces, stress: the slopes.
        shear_order: which component stands in the place of yz, xz, xy.
        pairs: of structures compared.
    """

    forces: float | None
    stress: float | None
    shear_order: tuple[str, str, str] | None
    pairs: int


def slopes(samples: Sequence[Sample]) -> Slopes:
    """Compare every structure with the next one of the same atoms that lies near."""
    steps = list(_steps(samples))
    if len(steps) < _FEWEST_PAIRS:
        return Slopes(None, None, None, len(steps))
    energy = np.array([s.energy for s in steps])
    forces = np.array([s.forces for s in steps])
    normal = np.array([s.normal for s in steps])
    stressed = np.stack([s.shear[0] for s in steps]), np.stack([s.shear[1] for s in steps])
    fits = {order: _fit(energy, forces, normal, stressed, order) for order in permutations(range(3))}
    best = min(fits, key=lambda order: fits[order][1])
    plain, left = fits[0, 1, 2]
    scrambled = left > 3.0 * fits[best][1] and left > 0.05
    force_slope, stress_slope = fits[best][0] if scrambled else plain
    order = tuple(SHEAR_NAMES[k] for k in best) if scrambled else None
    return Slopes(force_slope, stress_slope, order, len(steps))  # type: ignore[arg-type]


def _fit(
    energy: np.ndarray,
    forces: np.ndarray,
    normal: np.ndarray,
    shear: tuple[np.ndarray, np.ndarray],
    order: tuple[int, ...],
) -> tuple[tuple[float | None, float | None], float]:
    """Slopes of both works, and the share of the energies' spread that they leave."""
    stress = normal + (shear[0][:, list(order)] * shear[1]).sum(1)
    works = np.stack([np.nan_to_num(forces), np.nan_to_num(stress)], axis=1)
    found, *_ = np.linalg.lstsq(works, energy, rcond=None)
    parts = works * found
    size = float(np.abs(energy).mean()) or 1.0
    left = float(np.abs(energy - parts.sum(1)).mean()) / size
    counts = np.abs(parts).mean(0) > 0.2 * size
    told = tuple(float(s) if bool(c) and left < 0.25 else None for s, c in zip(found, counts, strict=True))
    return (told[0], told[1]), left


def _steps(samples: Sequence[Sample]) -> Iterator[Step]:
    by_atoms: dict[tuple[int, ...], list[Sample]] = {}
    for sample in samples:
        if np.isfinite(float(sample.targets.energy)):
            by_atoms.setdefault(tuple(sample.graph.numbers.tolist()), []).append(sample)
    for alike in by_atoms.values():
        for first, second in pairwise(alike):
            step = _step(first, second)
            if step is not None:
                yield step


def _step(a: Sample, b: Sample) -> Step | None:
    """None where the structures lie too far apart, or where no label tells what the way costs."""
    cells = [s.graph.cell[0].numpy() for s in (a, b)]
    positions = [s.graph.positions.numpy() for s in (a, b)]
    solid = all(abs(np.linalg.det(cell)) > 1e-6 for cell in cells)
    strain = np.zeros((3, 3))
    moved = positions[1] - positions[0]
    if solid:
        gradient = np.linalg.solve(cells[0], cells[1]) - np.eye(3)
        strain = 0.5 * (gradient + gradient.T)
        fractions = positions[1] @ np.linalg.inv(cells[1]) - positions[0] @ np.linalg.inv(cells[0])
        periodic = a.graph.pbc[0].numpy()
        fractions -= np.round(fractions) * periodic
        moved = fractions @ (0.5 * (cells[0] + cells[1]))
    far = np.abs(moved).max() > _FARTHEST_A or np.abs(strain).max() > _LARGEST_STRAIN
    if far or (np.abs(moved).max() < 1e-5 and np.abs(strain).max() < 1e-6):
        return None
    return _costs(a, b, moved, strain)


def _costs(a: Sample, b: Sample, moved: np.ndarray, strain: np.ndarray) -> Step | None:
    forces = 0.5 * (a.targets.forces + b.targets.forces).numpy()
    stress = 0.5 * (a.targets.stress + b.targets.stress)[0].numpy()
    volume = 0.5 * sum(abs(float(np.linalg.det(s.graph.cell[0].numpy()))) for s in (a, b))
    by_forces = -float((forces * moved).sum()) if np.abs(moved).max() > 1e-5 else 0.0
    strained = np.abs(strain).max() > 1e-6
    by_normal = volume * float((np.diag(stress) * np.diag(strain)).sum()) if strained else 0.0
    if not (np.isfinite(by_forces) and np.isfinite(by_normal)):
        return None
    shear = np.array([volume * stress[k] for k in _SHEARS]) if strained else np.zeros(3)
    angles = np.array([2.0 * strain[k] for k in _SHEARS])
    return Step(float(b.targets.energy - a.targets.energy), by_forces, by_normal, (shear, angles))
