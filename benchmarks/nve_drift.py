"""Energy drift of a microcanonical run: 216 Si atoms, 600 K, 1 fs, 10 ps, float32.

    python -m benchmarks.nve_drift [--model NAME_OR_FILE] [--steps 10000]

The crystal, at its relaxed lattice constant, gets velocities of twice the target temperature; equipartition leaves
about the target. The drift is the slope of a straight line through the total energy.
"""

from __future__ import annotations

import argparse
import json

from ase.build import bulk

from alignn_ff import AlignnFFCalculator, run_md, run_relax
from alignn_ff.files import write_text
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.relax import RelaxSettings


def main() -> None:
    """Run, print drift and fluctuation, write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or file; the embedded model unless given")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--temperature", type=float, default=600.0, help="K, after equipartition")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    calculator = AlignnFFCalculator(arguments.model, dtype="float32")
    unit = bulk("Si", cubic=True)
    unit.calc = calculator
    atoms = run_relax(unit, RelaxSettings(fmax=1e-3, hydrostatic=True)).atoms.repeat((3, 3, 3))
    atoms.calc = calculator
    settings = MDSettings(
        ensemble="nve", temperature_k=2 * arguments.temperature, steps=arguments.steps, timestep_fs=1.0, stats_every=5,
        equilibration_steps=min(500, arguments.steps // 10), traj_every=0,
    )  # fmt: skip
    result = run_md(atoms, settings, progress=True)
    total = result.thermo["total_energy_ev"][len(result.thermo["step"]) // 10 :]
    row = {
        "atoms": len(atoms),
        "time_ps": result.time_ps,
        "mean_temperature_k": result.mean_temperature_k,
        "drift_mev_per_atom_ps": result.energy_drift_mev_per_atom_ps,
        "std_total_energy_mev_per_atom": 1000 * float(total.std()) / len(atoms),
        "ns_per_day": result.ns_per_day,
    }
    for name, value in row.items():
        print(f"{name:32} {value:.4g}")
    if arguments.out:
        write_text(arguments.out, json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
