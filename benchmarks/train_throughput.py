"""Structures a second in training, this package beside upstream's `train_alignn.py`, on the same data.

    python -m benchmarks.train_throughput --data Si_train.extxyz --threads 2

Each training is a process of its own, one after the other; an epoch (training and validation) is timed from one
rewriting of its history file to the next, so that start, graphs and caches do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from alignn_ff.errors import ConfigError
from benchmarks.command import end_well, write_json

if TYPE_CHECKING:
    from ase import Atoms

SIZE = {"alignn_layers": 2, "gcn_layers": 2, "embedding_features": 64, "hidden_features": 64,
        "edge_input_features": 80, "triplet_input_features": 40}  # fmt: skip
GRAPH = {"cutoff": 5.0, "three_body_cutoff": 3.5, "atom_features": "cgcnn", "neighbor_strategy": "pure_torch"}
OURS: dict[str, dict[str, Any]] = {
    "ours, alignn_atomwise, the same graph": {
        "name": "alignn_atomwise", "mode": "legacy", "max_neighbors": 12, **GRAPH, **SIZE,
    },
    "ours, alignn_atomwise, every neighbour": {"name": "alignn_atomwise", "mode": "sound", **GRAPH, **SIZE},
    "ours, alignn_smooth, as many numbers": {
        "name": "alignn_smooth", "cutoff": 5.0, "gcn_layers": 2, "hidden_features": 114, "message_features": 48,
    },
    "ours, alignn_smooth, its default size": {"name": "alignn_smooth", "cutoff": 5.0, "hidden_features": 64},
}  # fmt: skip
UPSTREAM = "upstream, alignn_atomwise_pure"
GLANCE_S = 0.02


def write_upstream(frames: Sequence[Atoms], config: dict[str, Any], folder: Path) -> None:
    """`id_prop.json` with energy in eV/atom and stress in GPa, and `config.json`, as upstream wants them."""
    from ase.units import GPa

    records = [
        {
            "jid": f"structure_{k}",
            "total_energy": atoms.get_potential_energy() / len(atoms),
            "forces": atoms.get_forces().tolist(),
            "stresses": (atoms.get_stress(voigt=False) / GPa).tolist(),
            "atoms": {
                "lattice_mat": atoms.cell.array.tolist(),
                "coords": atoms.get_scaled_positions().tolist(),
                "elements": atoms.get_chemical_symbols(),
                "cartesian": False,
                "abc": atoms.cell.lengths().tolist(),
                "angles": atoms.cell.angles().tolist(),
                "props": [""] * len(atoms),
            },
        }
        for k, atoms in enumerate(frames)
    ]
    (folder / "id_prop.json").write_text(json.dumps(records))
    (folder / "config.json").write_text(json.dumps(config))


def upstream_config(args: argparse.Namespace, n_train: int, n_val: int) -> dict[str, Any]:
    """What upstream is told."""
    weights = {"graphwise_weight": 1.0, "gradwise_weight": 1.0, "stresswise_weight": 0.1}
    model = {"name": "alignn_atomwise_pure", "atom_input_features": 92, "calculate_gradient": True, **SIZE, **weights}
    return {
        **GRAPH, "max_neighbors": 12, "target": "target", "dataset": "user_data", "criterion": "l1",
        "n_train": n_train, "n_val": n_val, "n_test": 1, "epochs": args.epochs, "batch_size": args.batch_size,
        "num_workers": 0, "learning_rate": 0.001, "write_predictions": False, "model": model,
    }  # fmt: skip


def our_config(args: argparse.Namespace, model: dict[str, Any], n_train: int, n_val: int) -> dict[str, Any]:
    """The same for this package."""
    return {
        "data": "frames.extxyz", "model": model, "n_train": n_train, "n_val": n_val, "n_test": 1,
        "loss": {"criterion": "l1", "stress_weight": 0.1}, "epochs": args.epochs, "batch_size": args.batch_size,
        "learning_rate": 0.001, "keep_data_order": True, "device": "cpu", "output_dir": "run",
    }  # fmt: skip


def seconds_an_epoch(command: list[str], folder: Path, history: Path, args: argparse.Namespace) -> float:
    """Median time between two rewritings of the history, s; the program's own end is not waited for.

    Raises:
        ConfigError: it ends before the last epoch.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        seen: list[int] = []
        try:
            while len(seen) < args.epochs:
                changed = history.stat().st_mtime_ns if history.is_file() and history.stat().st_size > 2 else 0
                if changed and changed not in seen:
                    seen.append(changed)
                elif process.poll() is not None:
                    break
                time.sleep(GLANCE_S)
        finally:
            process.kill()
            process.wait()
    if len(seen) < min(args.epochs, 3):
        said = (folder / "log").read_text()[-1500:]
        raise ConfigError(f"{' '.join(command[:4])} ended after {len(seen)} epochs: {said}")
    return median(later - earlier for earlier, later in pairwise(seen)) / 1e9


def run_upstream(frames: Sequence[Atoms], n_val: int, args: argparse.Namespace) -> float:
    """Seconds an epoch of `train_alignn.py`."""
    script = Path(sys.executable).parent / "train_alignn.py"
    if not script.is_file():
        raise ConfigError(f"{script} is not there; install upstream's alignn (benchmarks/README.md says how).")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_upstream(frames, upstream_config(args, len(frames) - n_val - 1, n_val), folder)
        command = [sys.executable, str(script), "--root_dir", name, "--config_name", f"{name}/config.json"]
        return seconds_an_epoch(
            [*command, "--output_dir", f"{name}/out"], folder, folder / "out/history_train.json", args
        )


def run_ours(frames: Sequence[Atoms], model: dict[str, Any], n_val: int, args: argparse.Namespace) -> float:
    """Seconds an epoch of `alignn-ff train`."""
    from ase.io import write

    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "frames.extxyz", frames, format="extxyz")
        config = our_config(args, model, len(frames) - n_val - 1, n_val)
        (folder / "config.json").write_text(json.dumps(config))
        command = [sys.executable, "-m", "alignn_ff.cli", "train", "config.json", "--no-progress-bar"]
        return seconds_an_epoch(command, folder, folder / "run/history.jsonl", args)


def main() -> None:
    from ase.io import read

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="labelled structures with energy, forces and stress")
    parser.add_argument("--structures", type=int, default=101, help="so many of them, spread over the file")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4, help="of each; the first interval is between two ends")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default="runs/benchmarks/train_throughput.json")
    args = parser.parse_args()
    frames = read(args.data, ":")
    frames = frames[:: max(1, len(frames) // args.structures)][: args.structures]
    n_val = len(frames) // 5
    seconds = {UPSTREAM: run_upstream(frames, n_val, args)}
    seconds |= {name: run_ours(frames, model, n_val, args) for name, model in OURS.items()}
    trained = len(frames) - n_val - 1
    table = Table(title=f"{trained} structures trained on, {n_val} validated, batches of {args.batch_size}")
    for column in ("training", "s an epoch", "structures/s", "times upstream"):
        table.add_column(column, justify="left" if column == "training" else "right")
    rows = [
        {"training": name, "seconds": s, "structures_per_s": trained / s, "ratio": seconds[UPSTREAM] / s}
        for name, s in seconds.items()
    ]
    for row in rows:
        table.add_row(row["training"], f"{row['seconds']:.2f}", f"{row['structures_per_s']:.1f}", f"{row['ratio']:.2f}")
    Console().print(table)
    write_json(args.out, {"threads": args.threads, "batch_size": args.batch_size, "rows": rows})


if __name__ == "__main__":
    end_well(main)
