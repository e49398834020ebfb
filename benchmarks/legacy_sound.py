"""What the repaired physics of `alignn_atomwise_pure` is worth: `legacy` against `sound` on strained copper.

    python -m benchmarks.legacy_sound [--seeds 0 1] [--epochs 40] [--out FILE]

All have the same size, data, order of batches, first weights, loss and schedule. `legacy` and `sound` differ in `mode`
alone; `legacy, published` has the edges and the cutoff function of upstream's default force field, matpes_r2scan.
Labels are those of ASE's EMT: energies and forces of 16-atom fcc cells, strained and rattled.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from alignn_ff.schema import parse as parse_fields
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loop import train_one
from alignn_ff.units import MEV
from benchmarks.command import end_well, write_json

MODES: dict[str, dict[str, Any]] = {
    "legacy": {"mode": "legacy"},
    "legacy, published": {
        "mode": "legacy", "max_neighbors": 52, "use_cutoff_function": True, "multiply_cutoff": True,
        "inner_cutoff": 4.0,
    },
    "sound": {"mode": "sound"},
}  # fmt: skip
STRAIN, RATTLE = 0.05, 0.15  # each component of the strain at most; Å, standard deviation of displacements
NETWORK: dict[str, Any] = {
    "name": "alignn_atomwise_pure", "cutoff": 5.0, "three_body_cutoff": 3.5, "alignn_layers": 1, "gcn_layers": 1,
    "embedding_features": 32, "hidden_features": 32,
}  # fmt: skip
TRAINING: dict[str, Any] = {
    "train_ratio": 0.8, "val_ratio": 0.2, "test_ratio": 0.0, "split_seed": 0, "scheduler": "onecycle",
    "ema_decay": 0.99, "device": "cpu", "loss": {"criterion": "l1", "energy_weight": 1.0, "force_weight": 1.0},
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """Errors on held-out cells."""

    mode: str
    seed: int
    energy_mae_mev_per_atom: float
    force_mae_mev_per_a: float
    cpu_seconds: float


def cells(count: int, seed: int = 0) -> list[Atoms]:
    """Strained and rattled 16-atom cells of fcc copper with EMT's energy and forces."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        atoms = bulk("Cu", a=3.61, cubic=True) * (2, 2, 1)
        strain = rng.uniform(-STRAIN, STRAIN, (3, 3))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += RATTLE * rng.normal(size=(len(atoms), 3))
        atoms.calc = EMT()
        atoms.get_forces()
        found.append(atoms)
    return found


def zero_error(many: Sequence[Atoms]) -> float:
    """Force MAE, meV/Å, of one who always says zero."""
    return float(MEV * np.abs(np.concatenate([atoms.get_forces() for atoms in many])).mean())


def train(mode: str, seed: int, data: Path, steering: dict[str, Any]) -> Trained:
    """One training in a folder beside the data; `steering` holds epochs, batch_size and learning_rate."""
    fields = {
        "data": [str(data)], "model": {**NETWORK, **MODES[mode]}, "random_seed": seed, **TRAINING, **steering,
        "output_dir": str(data.parent / f"{list(MODES).index(mode)}_{seed}"),
    }  # fmt: skip
    begin = process_time()
    best = train_one(parse_fields(TrainConfig, fields, "benchmark")).best
    errors = best["valid_energy_mae_mev_per_atom"], best["valid_force_mae_mev_per_a"]
    return Trained(mode, seed, *errors, round(process_time() - begin, 1))


def summarise(rows: Sequence[Trained]) -> dict[str, float]:
    """Force MAE of each mode over that of `sound`, means over seeds."""
    means = {mode: float(np.mean([row.force_mae_mev_per_a for row in rows if row.mode == mode])) for mode in MODES}
    return {mode: means[mode] / means["sound"] for mode in MODES if mode != "sound"}


def race(args: argparse.Namespace, many: Sequence[Atoms]) -> list[Trained]:
    """Every mode with every seed, each told as it ends."""
    steering = {name: getattr(args, name) for name in ("epochs", "batch_size", "learning_rate")}
    rows = []
    print(f"{'mode':18} {'seed':>4} {'E meV/atom':>10} {'F meV/Å':>8} {'CPU s':>6}")
    with TemporaryDirectory() as folder:
        data = Path(folder) / "cells.extxyz"
        write(data, many)
        for seed in args.seeds:
            for mode in MODES:
                row = train(mode, seed, data, steering)
                rows.append(row)
                found = f"{row.energy_mae_mev_per_atom:10.1f} {row.force_mae_mev_per_a:8.1f} {row.cpu_seconds:6.0f}"
                print(f"{mode:18} {seed:4} {found}", flush=True)
    return rows


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of weights and batches")
    parser.add_argument("--structures", type=int, default=100, help="a fifth of them held out")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/legacy_sound.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    torch.set_num_threads(1)
    many = cells(args.structures)
    zero = zero_error(many)
    print(f"{len(many)} cells of Cu, EMT; saying zero is {zero:.0f} meV/Å off")
    rows = race(args, many)
    ratios = summarise(rows)
    for mode, ratio in ratios.items():
        print(f"force MAE of {mode} over that of sound: {ratio:.1f}")
    facts = {"network": NETWORK, "modes": MODES, "training": TRAINING, **vars(args), "out": str(args.out)}
    found = {"zero_force_mae_mev_per_a": zero, "over_sound": ratios, "rows": [asdict(row) for row in rows]}
    write_json(args.out, {**facts, **found})


if __name__ == "__main__":
    end_well(main)
