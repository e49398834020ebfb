"""Two atoms alone: the curve from contact to where they no longer see each other."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from alignn_ff.workflows.checks.bench import Bench
from alignn_ff.workflows.checks.criteria import CRITERIA, Measurement, Part
from alignn_ff.workflows.checks.curves import sag, second_well
from alignn_ff.workflows.checks.jumps import Path, largest_jumps
from alignn_ff.workflows.result import Table

CLOSEST, CLOSEST_A = 0.4, 0.35
"""Where a curve begins: this share of the sum of the covalent radii, but no closer than this many Å."""

BONDED = 0.6
"""Share of that sum beyond which the well is looked for: the bond of N2, the shortest for its radii, is at 0.77."""

STEP_A = 0.02


def dimers(bench: Bench, pair: tuple[str, str]) -> Part:
    """What is wrong with the curve of one pair, and the curve."""
    radii = sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
    start = max(CLOSEST * radii, CLOSEST_A)
    limits = CRITERIA["dimer_energy_jump"].limit, CRITERIA["dimer_force_jump"].limit
    path = Path(
        lambda distance: Atoms(pair, positions=[[0.0, 0.0, 0.0], [distance, 0.0, 0.0]]),
        np.arange(start, bench.settings.dimer_reach_a, STEP_A),
        *limits,
    )
    found = bench.measured([path.at(float(distance)) for distance in path.grid])
    energies = np.array([one.energy for one in found])
    subject = "-".join(pair)
    jumps = largest_jumps(path, found, bench.measured)
    curve = {
        "distance_a": path.grid,
        "energy_ev": energies - energies[-1],
        "force_ev_per_a": np.array([one.forces[1, 0] for one in found]),
    }
    measurements = [
        Measurement("dimer_finite", subject, float(np.count_nonzero(~np.isfinite(energies)))),
        Measurement("dimer_energy_jump", subject, jumps.energy.size, f"at {jumps.energy.place:.4f} Å"),
        Measurement("dimer_force_jump", subject, jumps.force.size, f"at {jumps.force.place:.4f} Å"),
        *_shape(subject, curve, BONDED * radii),
    ]
    return Part(measurements, {subject: curve})


def _shape(subject: str, curve: Table, shortest_bond_a: float) -> list[Measurement]:
    """The well, other wells, and whether the energy rises all the way from the well inward."""
    known = np.isfinite(curve["energy_ev"])
    distance, energy = curve["distance_a"][known], curve["energy_ev"][known]
    bonded = distance >= shortest_bond_a
    if not bonded.any():
        return []
    well = int(np.flatnonzero(bonded)[energy[bonded].argmin()])
    place = f"at {distance[well]:.2f} Å"
    return [
        Measurement("dimer_depth", subject, float(max(-energy[well], 0.0)), place),
        Measurement("dimer_sag", subject, sag(energy[well::-1]), f"inward of {distance[well]:.2f} Å"),
        Measurement("dimer_second_well", subject, second_well(energy[well:])),
    ]
