"""Energy and forces while one atom moves among the others: neighbours cross every cutoff of the potential."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from alignn_ff.workflows.checks.bench import Bench
from alignn_ff.workflows.checks.criteria import CRITERIA, Measurement, Part
from alignn_ff.workflows.checks.jumps import Path, largest_jumps

WALKS = 2
LENGTH_A, STEP_A = 0.5, 0.01


def walks(bench: Bench, label: str) -> Part:
    """Jumps along straight walks of atoms drawn at random, and energy and force there."""
    rng = np.random.default_rng(bench.settings.seed)
    parts = [_walk(bench, label, rng) for _ in range(WALKS)]
    return Part([m for part in parts for m in part.measurements], dict(kv for p in parts for kv in p.curves.items()))


def _walk(bench: Bench, label: str, rng: np.random.Generator) -> Part:
    atoms = bench.rattled[label]
    atom, direction = int(rng.integers(len(atoms))), rng.normal(size=3)
    direction /= np.linalg.norm(direction)

    def at(place: float) -> Atoms:
        moved = atoms.copy()
        moved.positions[atom] += place * direction
        return moved

    limits = CRITERIA["walk_energy_jump"].limit, CRITERIA["walk_force_jump"].limit
    path = Path(at, np.arange(0.0, LENGTH_A + STEP_A / 2, STEP_A), *limits)
    found = bench.measured([at(float(place)) for place in path.grid])
    subject = f"{label} atom {atom}"
    curve = {
        "displacement_a": path.grid,
        "energy_ev": np.array([one.energy for one in found]),
        "force_along_ev_per_a": np.array([one.forces[atom] @ direction for one in found]),
    }
    if not np.isfinite(curve["energy_ev"]).all():
        return Part([Measurement("walk_energy_jump", subject, np.nan, "not finite on the way")], {subject: curve})
    jumps = largest_jumps(path, found, bench.measured)
    measurements = [
        Measurement("walk_energy_jump", subject, jumps.energy.size, f"after {jumps.energy.place:.4f} Å"),
        Measurement("walk_force_jump", subject, jumps.force.size, f"after {jumps.force.place:.4f} Å"),
    ]
    return Part(measurements, {subject: curve})
