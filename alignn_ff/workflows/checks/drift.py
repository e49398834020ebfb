"""A short run at constant energy: what forces that are no derivative, jumps and noise do to dynamics."""

from __future__ import annotations

import numpy as np

from alignn_ff.errors import RunawayError, StructureError
from alignn_ff.units import MEV
from alignn_ff.workflows.checks.bench import Bench
from alignn_ff.workflows.checks.criteria import Measurement, Part
from alignn_ff.workflows.md import run_md
from alignn_ff.workflows.md_settings import MDSettings
from alignn_ff.workflows.relax import RelaxSettings, run_relax

TOWARDS_REST = RelaxSettings(fmax=0.05, steps=100, cell="none")
"""Before the run: a structure that falls into a far minimum gets hot, whatever the potential."""


def drift(bench: Bench, label: str) -> Part:
    """Drift of the total energy of one structure, and temperature and energies over time."""
    settings = bench.settings
    atoms = bench.structures[label].copy()
    atoms.calc = bench.calculator
    how = MDSettings(
        ensemble="nve",
        temperature_k=settings.md_temperature_k,
        steps=settings.md_steps,
        timestep_fs=settings.md_timestep_fs,
        velocities="draw",
        seed=settings.seed,
        stats_every=1,
        traj_every=0,
    )
    try:
        start = run_relax(atoms, TOWARDS_REST).atoms
        start.calc = bench.calculator
        run = run_md(start, how)
    except (RunawayError, StructureError) as error:
        what_happened = str(error).partition(";")[0].replace(",", "")  # commas part columns
        return Part([Measurement("drift", label, np.inf, what_happened)])
    slope = run.energy_drift_mev_per_atom_ps
    energy = run.thermo["total_energy_ev"]
    curve = {
        "time_fs": run.thermo["time_fs"],
        "temperature_k": run.thermo["temperature_k"],
        "energy_change_mev_per_atom": (energy - energy[0]) * MEV / len(atoms),
    }
    return Part([Measurement("drift", label, None if slope is None else abs(slope))], {label: curve})
