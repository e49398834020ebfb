"""How near is `alignn-ff train --dry-run` to the training it foretells, in time an epoch and in memory?

    python -m benchmarks.dry_run --epochs 5

Each estimate and each training is a process of its own, one after the other; ratios are estimate over truth.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.command import end_well, write_json

SMALL_SMOOTH = {"name": "alignn_smooth", "cutoff": 5.0, "hidden_features": 32, "gcn_layers": 1}
SYSTEMS: dict[str, dict[str, Any]] = {
    "crystals of 32 atoms": {
        "sizes": [32], "count": 60,
        "config": {"model": {"name": "alignn_smooth", "cutoff": 5.0, "gcn_layers": 2}, "batch_size": 4},
    },
    "cells of 1 to 48 atoms": {
        "sizes": [1, 2, 4, 8, 16, 24, 48], "count": 210,
        "config": {"model": SMALL_SMOOTH, "batch_size": 16},
    },
    "alignn_atomwise": {
        "sizes": [4, 8, 16], "count": 90,
        "config": {"model": {"name": "alignn_atomwise"}, "batch_size": 8},
    },
}  # fmt: skip
"""Structures with EMT labels, and what is trained on them. `sizes`: atoms of a structure, in turn."""
LOSS = {"force_weight": 1.0, "stress_weight": 0.1}


def make_data(sizes: list[int], count: int, path: Path) -> None:
    """Rattled, strained cells of Cu, Ni and Au with EMT's energy, forces and stress."""
    import numpy as np
    from ase.build import bulk, make_supercell
    from ase.calculators.emt import EMT
    from ase.io import write

    rng = np.random.default_rng(0)
    frames = []
    for k in range(count):
        n = sizes[k % len(sizes)]
        cells = [c for c in range(1, n + 1) if n % c == 0]
        a = max(c for c in cells if c**3 <= n)
        b = max(c for c in cells if (n // a) % c == 0 and c * c <= n // a)
        atoms = make_supercell(bulk("Cu", a=3.8), np.diag([a, b, n // a // b]))
        atoms.symbols[:] = rng.choice(["Cu", "Ni", "Au"], n)
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, (n, 3))
        atoms.calc = EMT()
        for label in (atoms.get_potential_energy, atoms.get_forces, atoms.get_stress):
            label()
        frames.append(atoms)
    write(path, frames, format="extxyz")


def foretell(fields: dict[str, Any]) -> dict[str, float]:
    """Seconds an epoch and MiB at the peak, as `--dry-run` says."""
    from alignn_ff.training import TrainConfig
    from alignn_ff.training.estimate import estimate

    found = estimate(TrainConfig(**fields))
    return {"seconds": found.seconds_per_epoch, "mib": found.peak_memory_mb}


def measure(fields: dict[str, Any]) -> dict[str, float]:
    """The same of the training itself: median of the epochs after the first, and the peak of the whole process."""
    from alignn_ff.training import TrainConfig, train
    from alignn_ff.training.record import Record

    ends: list[float] = []
    append = Record.append

    def noted(record: Record, row: dict[str, Any]) -> None:
        append(record, row)
        ends.append(perf_counter())

    Record.append = noted  # type: ignore[method-assign]
    train(TrainConfig(**fields))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = median(b - a for a, b in pairwise(ends))
    return {"seconds": seconds, "mib": peak / (1024.0 if sys.platform != "darwin" else 1024.0**2)}


def apart(what: str, fields: dict[str, Any], threads: int) -> dict[str, float]:
    """The answer of a process that does one of the two alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.dry_run", "--only", what, json.dumps(fields)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, epochs: int, threads: int) -> dict[str, Any]:
    """Both answers for one system and their ratios."""
    system = SYSTEMS[name]
    with TemporaryDirectory() as folder:
        data = Path(folder) / "emt.extxyz"
        make_data(system["sizes"], system["count"], data)
        fields = {**system["config"], "data": [str(data)], "loss": LOSS, "epochs": epochs, "device": "cpu"}
        fields["output_dir"] = f"{folder}/run"
        said, true = (apart(what, fields, threads) for what in ("foretell", "measure"))
    ratios = {f"{key}_ratio": said[key] / true[key] for key in said}
    return {"system": name, "said": said, "true": true, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="of each training, the first of which is not timed")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default="runs/benchmarks/dry_run.json")
    parser.add_argument("--only", nargs=2, metavar=("WHAT", "CONFIG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        what, fields = args.only
        print(json.dumps({"foretell": foretell, "measure": measure}[what](json.loads(fields))))
        return
    table = Table(title="estimate over training")
    for column in ("system", "s an epoch", "said", "ratio", "MiB", "said", "ratio"):
        table.add_column(column, justify="left" if column == "system" else "right")
    rows = [compare(name, args.epochs, args.threads) for name in SYSTEMS]
    for row in rows:
        said, true = row["said"], row["true"]
        cells = [f"{true['seconds']:.2f}", f"{said['seconds']:.2f}", f"{row['seconds_ratio']:.2f}"]
        cells += [f"{true['mib']:.0f}", f"{said['mib']:.0f}", f"{row['mib_ratio']:.2f}"]
        table.add_row(row["system"], *cells)
    Console().print(table)
    write_json(args.out, {"threads": args.threads, "epochs": args.epochs, "rows": rows})


if __name__ == "__main__":
    end_well(main)
