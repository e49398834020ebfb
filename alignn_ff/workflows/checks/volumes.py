"""Energy while the volume changes: one minimum, no bumps, and a pressure that only rises under compression."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.checks.bench import Bench, is_bulk
from alignn_ff.workflows.checks.criteria import CRITERIA, Measurement, Part
from alignn_ff.workflows.checks.curves import sag, second_well
from alignn_ff.workflows.checks.jumps import Path, largest_jumps
from alignn_ff.workflows.result import Table

POINTS = 81


def volumes(bench: Bench, label: str) -> Part:
    """What is wrong with the curve of one crystal, scaled uniformly, and the curve."""
    atoms = bench.structures[label]
    if not is_bulk(atoms):
        return Part([Measurement("volume_finite", label, None, "no structure is periodic in 3D")])

    def at(scale: float) -> Atoms:
        scaled = atoms.copy()
        scaled.set_cell(scale * atoms.cell[:], scale_atoms=True)
        return scaled

    reach = bench.settings.volume_range_percent / 100.0
    grid = np.linspace((1.0 - reach) ** (1.0 / 3.0), (1.0 + reach) ** (1.0 / 3.0), POINTS)
    limits = CRITERIA["volume_energy_jump"].limit, np.inf
    path = Path(at, grid, *limits, energy_scale=1.0 / len(atoms))
    found = bench.measured([at(float(scale)) for scale in grid])
    jump = largest_jumps(path, found, bench.measured).energy
    curve = {
        "volume_per_atom_a3": atoms.get_volume() / len(atoms) * grid**3,
        "energy_ev_per_atom": np.array([one.energy for one in found]) / len(atoms),
    }
    place = f"at {atoms.get_volume() / len(atoms) * jump.place**3:.3f} Å³/atom"
    measurements = [
        Measurement("volume_finite", label, float(np.count_nonzero(~np.isfinite(curve["energy_ev_per_atom"])))),
        Measurement("volume_energy_jump", label, jump.size, place),
        *_shape(label, curve),
    ]
    return Part(measurements, {label: curve})


def _shape(label: str, curve: Table) -> list[Measurement]:
    known = np.isfinite(curve["energy_ev_per_atom"])
    volume, energy = curve["volume_per_atom_a3"][known], curve["energy_ev_per_atom"][known]
    if len(energy) < 3:
        return []
    pressure = -np.diff(energy) / np.diff(volume) * GPA_PER_EV_A3
    compressed = pressure[: max(int(energy.argmin()), 1)][::-1]
    return [
        Measurement("volume_second_well", label, second_well(energy)),
        Measurement("volume_sag", label, sag(compressed), "below the volume of the lowest energy"),
    ]
