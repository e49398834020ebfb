"""Which model for the same training time: errors on held-out silicon after the same seconds on one core.

    python -m benchmarks.equal_time --data Si_train.extxyz [--seconds 300] [--only NAME ...] [--out FILE]

Data, split, loss and batches are those of configs/silicon.yaml. Each model in turn is trained for `--seconds` of CPU
time of this process, one thread, its learning rate following a cosine of the time spent; then the averaged weights of
its last step are scored on the held-out structures, once. Seconds of CPU time are those of one thread, so that other
processes on the machine hardly matter; an MD step is one of `md_step`'s, 512 atoms of silicon at 600 K.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch

from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.data.dataset import Dataset
from alignn_ff.device import choose_device
from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.schema import parse as parse_fields
from alignn_ff.training.config import TrainConfig, config_fields
from alignn_ff.training.loop import validate
from alignn_ff.training.optim import cosine_rate, swap_in
from alignn_ff.training.prepare import prepare
from alignn_ff.training.record import Record
from alignn_ff.training.run import Run, start
from alignn_ff.training.step import step
from benchmarks import md_step
from benchmarks.command import end_well, write_json
from benchmarks.contenders import STRUCTURES, thermal

SETTINGS = Path(__file__).parents[1] / "configs" / "silicon.yaml"
STRUCTURE, STEPS = "si512", 9  # whose MD steps are timed

_SMOOTH = {
    "name": "alignn_smooth", "cutoff": 5.0, "hidden_features": 64, "message_features": 48, "density_channels": 16,
    "radial_functions": 6,
}  # fmt: skip
_PURE = {"name": "alignn_atomwise_pure", "mode": "sound", "cutoff": 5.0, "three_body_cutoff": 3.5}
MODELS: dict[str, tuple[dict[str, Any], float]] = {
    "alignn_smooth": ({**_SMOOTH, "gcn_layers": 2}, 3e-3),
    "alignn_smooth, 1 layer": ({**_SMOOTH, "gcn_layers": 1}, 3e-3),
    "alignn_smooth, line graph": ({**_SMOOTH, "gcn_layers": 2, "line_graph_layers": 1}, 3e-3),
    "ealignn_atomwise": ({"name": "ealignn_atomwise", "cutoff": 5.0}, 3e-3),
    "alignn_atomwise_pure": (_PURE, 3e-3),
    "alignn_atomwise_pure, 1+1": ({**_PURE, "alignn_layers": 1, "gcn_layers": 1}, 3e-3),
}
"""Fields and peak learning rate of each."""


@dataclass(frozen=True)
class Scored:
    """One model after its training.

    Attributes:
        epochs: that the seconds sufficed for.
        md_step_s: CPU seconds for one step of dynamics.
    """

    name: str
    seed: int
    parameters: int
    epochs: float
    energy_mae_mev_per_atom: float
    force_mae_mev_per_a: float
    stress_mae_gpa: float
    md_step_s: float


def config_of(name: str, data: str, seed: int, rate: float | None) -> TrainConfig:
    """The settings of silicon.yaml with another model, its own rate unless one is given, and a schedule by time."""
    model, own = MODELS[name]
    fields = config_fields(SETTINGS, []) | {
        "data": [data], "model": model, "learning_rate": rate or own, "scheduler": "none", "epochs": 1,
        "committee_size": 1, "random_seed": seed, "split_seed": 0, "device": "cpu",
    }  # fmt: skip
    return parse_fields(TrainConfig, fields, name)


def fit(run: Run, seconds: float, name: str) -> float:
    """Train for so many seconds of CPU time; returns the epochs that were done."""
    _connect(run.data.train)
    (group,) = run.optim.optimizer.param_groups
    begin, spent, done = process_time(), 0.0, 0.0
    with track(name, 100, show=sys.stderr.isatty()) as advance:
        while True:
            batches = run.data.train.pack(run.sampler.order(run.position.epoch), run.budget)
            for batch in batches:
                group["lr"] = run.config.learning_rate * cosine_rate(spent / seconds)
                step(run, batch)
                done += 1 / len(batches)
                before, spent = spent, process_time() - begin
                advance(int(100 * min(spent, seconds) / seconds) - int(100 * before / seconds))
                if spent >= seconds:
                    return done
            run.sampler.close_epoch()
            run.position.epoch += 1


def _connect(data: Dataset) -> None:
    """Find all edges and angles, which are kept, before the clock starts."""
    for index in range(len(data)):
        data.graph(index)


def train(config: TrainConfig, name: str, seconds: float, folder: Path) -> Scored:
    """One training, its errors on the held-out structures, and its speed; the model is written into `folder`."""
    data = prepare(config)
    run = start(config, data, Record(folder, config), choose_device(config.device))
    epochs = fit(run, seconds, name)
    swap_in(data.potential, run.optim.average.weights)
    row = validate(data.potential, data.val, run.budget, run.device, config.loss)
    file = folder / "model.safetensors"
    save_checkpoint(file, data.potential, data.facts)
    return Scored(
        name=name,
        seed=config.random_seed,
        parameters=sum(p.numel() for p in data.potential.parameters()),
        epochs=round(epochs, 1),
        energy_mae_mev_per_atom=row["valid_energy_mae_mev_per_atom"],
        force_mae_mev_per_a=row["valid_force_mae_mev_per_a"],
        stress_mae_gpa=row["valid_stress_mae_gpa"],
        md_step_s=step_seconds(file),
    )


def step_seconds(file: Path) -> float:
    """CPU seconds of one MD step with a model, median of some."""
    args = md_step.parse(["--contender", f"ours:{file}", "--threads", "1"])
    walk = md_step.start(f"ours:{file}", thermal(STRUCTURES[STRUCTURE]()), args)
    seconds = []
    for _ in range(STEPS):
        begin = process_time()
        walk.forces = walk.dynamics.step(walk.forces)
        seconds.append(process_time() - begin)
    return median(seconds)


def show(row: Scored) -> None:
    """Prints a line of the table."""
    errors = f"{row.energy_mae_mev_per_atom:10.2f} {row.force_mae_mev_per_a:8.1f} {row.stress_mae_gpa:6.3f}"
    print(
        f"{row.name:28} {row.seed:4} {row.parameters:8,} {row.epochs:7.1f} {errors} {row.md_step_s:10.3f}", flush=True
    )


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="Si_train.extxyz of the mlearn study, or any labelled silicon")
    parser.add_argument("--seconds", type=float, default=300.0, help="CPU seconds of each training")
    parser.add_argument("--only", nargs="+", choices=sorted(MODELS), default=list(MODELS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of weights and batches; the split stays")
    parser.add_argument("--learning-rate", type=float, help="peak, instead of each model's own")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/equal_time.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.seconds <= 0:
        raise ConfigError(f"--seconds is {args.seconds}; expected a positive number.")
    md_step.prepare_threads(1)
    torch.set_num_threads(1)
    rows = []
    columns = f"{'numbers':>8} {'epochs':>7} {'E meV/atom':>10} {'F meV/Å':>8} {'σ GPa':>6} MD step, s"
    print(f"{'model':28} {'seed':>4} {columns}", flush=True)
    for seed in args.seeds:
        for name in args.only:
            with TemporaryDirectory() as folder:
                config = config_of(name, args.data, seed, args.learning_rate)
                rows.append(train(config, name, args.seconds, Path(folder)))
            show(rows[-1])
            write_json(args.out, {**_facts(args), "rows": [asdict(row) for row in rows]})


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    rates = {name: args.learning_rate or MODELS[name][1] for name in args.only}
    models = {name: {"model": MODELS[name][0], "learning_rate": rate} for name, rate in rates.items()}
    return {"processor": md_step.processor_name("cpu"), "seconds": args.seconds, "models": models}


if __name__ == "__main__":
    end_well(main)
