"""`make demo`: train a small potential; relax, squeeze and heat a silicon crystal with the embedded one."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
from rich.console import Console
from rich.table import Table

from alignn_ff import AlignnFFCalculator, run_eos, run_md, run_relax, train
from alignn_ff.training import TrainConfig
from alignn_ff.workflows.eos import EOSResult, EOSSettings
from alignn_ff.workflows.md import MDResult, MDSettings
from alignn_ff.workflows.relax import RelaxResult, RelaxSettings

OUT = Path("demo_output")
FILES = {
    "train/run/best_model.safetensors": "trained potential",
    "train/run/learning_curve.png": "learning curve",
    "train/run/test_parity_forces_by_element.png": "predicted forces",
    "relax/relax.png": "relaxation",
    "eos/eos.png": "equation of state",
    "md/md.png": "dynamics",
    "md/trajectory.extxyz": "trajectory",
    "summary.json": "these numbers",
}
STEPS_PER_S_OF_1_NS_PER_DAY = 1e6 / 86400.0  # at the default time step, 1 fs


@dataclass(frozen=True)
class Scale:
    """How much work the demo does."""

    structures: int = 120
    epochs: int = 60
    md_steps: int = 2000


FULL = Scale()


class Silicon(NamedTuple):
    """What the embedded model says of silicon."""

    model: str
    relaxed: RelaxResult
    eos: EOSResult
    md: MDResult


def main(scale: Scale = FULL, out: Path = OUT) -> dict[str, Any]:
    """Run both parts, print a summary; returns its numbers, which also go to `summary.json`."""
    console, began = Console(), time.perf_counter()
    console.rule("1  train: copper-nickel alloys, labels from ASE's EMT potential")
    training = train_alloy(scale, out / "train")
    console.rule("2  use: silicon with the embedded model")
    silicon = use_embedded(scale, out)
    numbers = {"training": training, "silicon": _numbers(silicon), "wall_time_s": time.perf_counter() - began}
    (out / "summary.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    show(console, numbers, silicon, out)
    return numbers


def alloy_structures(count: int, seed: int = 0) -> list[Atoms]:
    """Random fcc Cu-Ni crystals of 32 atoms, strained and rattled, with EMT energy, forces and stress."""
    rng = np.random.default_rng(seed)
    return [_alloy(rng) for _ in range(count)]


def _alloy(rng: np.random.Generator) -> Atoms:
    share = rng.uniform()  # of nickel; the lattice constant follows Vegard's law
    atoms = bulk("Cu", a=3.61 - 0.09 * share, cubic=True) * (2, 2, 2)
    atoms.symbols[rng.uniform(size=len(atoms)) < share] = "Ni"
    strain = rng.uniform(-0.03, 0.03, size=(3, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True)
    atoms.positions += rng.normal(scale=rng.uniform(0.02, 0.12), size=(len(atoms), 3))
    atoms.calc = EMT()
    atoms.get_stress()
    return atoms


def train_alloy(scale: Scale, folder: Path) -> dict[str, Any]:
    """Label, train, test; errors on structures the training never saw."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "cu_ni_emt.extxyz"
    write(data, alloy_structures(scale.structures))
    config = TrainConfig(
        data=str(data),
        train_ratio=0.8,
        val_ratio=0.1,
        test_ratio=0.1,
        random_seed=0,
        model={"name": "alignn_smooth", "cutoff": 4.5, "hidden_features": 32, "density_channels": 8},
        loss={"energy_weight": 4.0, "force_weight": 1.0, "stress_weight": 0.5},
        epochs=scale.epochs,
        batch_size=4,
        learning_rate=0.003,
        ema_decay=0.98,
        device="cpu",
        output_dir=str(folder / "run"),
    )
    began = time.perf_counter()
    result = train(config, overwrite=True, progress=True)
    if not result.finished:
        raise KeyboardInterrupt
    rows = json.loads((Path(result.folder) / "test_errors.json").read_text(encoding="utf-8"))
    return {
        "seconds": time.perf_counter() - began,
        "best_epoch": result.best["epoch"],
        "test": {row["quantity"]: row for row in rows if row["by"] == "all"},
    }


def use_embedded(scale: Scale, out: Path) -> Silicon:
    """Relax a squeezed and rattled silicon crystal, fit its equation of state, heat it to 300 K."""
    calculator = AlignnFFCalculator(device="cpu")
    crystal = bulk("Si", a=5.30, cubic=True) * (2, 2, 2)
    crystal.rattle(0.1, seed=0)
    crystal.calc = calculator
    relaxed = run_relax(crystal, RelaxSettings(fmax=0.005), folder=out / "relax", progress=True)
    still = relaxed.atoms.copy()
    still.calc = calculator
    eos = run_eos(still, EOSSettings(relax=False), folder=out / "eos", progress=True)
    still = eos.atoms.copy()
    still.calc = calculator
    settings = MDSettings(temperature_k=300.0, steps=scale.md_steps, equilibration_steps=scale.md_steps // 4)
    md = run_md(still, settings, folder=out / "md", progress=True)
    return Silicon(calculator.provenance["model"], relaxed, eos, md)


def _numbers(silicon: Silicon) -> dict[str, Any]:
    steps_per_s = silicon.md.ns_per_day * STEPS_PER_S_OF_1_NS_PER_DAY
    return {
        "model": silicon.model,
        "relax_converged": silicon.relaxed.converged,
        # eight atoms fill the cubic cell of diamond
        "lattice_constant_a": float((8 * silicon.eos.volume_per_atom_a3) ** (1 / 3)),
        "bulk_modulus_gpa": silicon.eos.bulk_modulus_gpa,
        "mean_temperature_k": silicon.md.mean_temperature_k,
        "std_temperature_k": silicon.md.std_temperature_k,
        "energy_drift_mev_per_atom_ps": silicon.md.energy_drift_mev_per_atom_ps,
        "steps_per_s": steps_per_s,
        "atom_steps_per_s": steps_per_s * len(silicon.md.atoms),
        "ns_per_day": silicon.md.ns_per_day,
    }


def show(console: Console, numbers: dict[str, Any], silicon: Silicon, out: Path) -> None:
    """The summary for people."""
    console.rule("3  summary")
    _table(console, "Trained potential, Cu-Ni, on structures it never saw", _training_rows(numbers["training"]))
    _table(
        console,
        f"Silicon with the embedded model {silicon.model}",
        _silicon_rows(numbers["silicon"], silicon),
    )
    _table(console, "Where the files are", [(what, str(out / path)) for path, what in FILES.items()])
    console.print(f"\n[dim]{numbers['wall_time_s']:.0f} s in all[/dim]", highlight=False)


def _table(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(min_width=20, style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("  " + row[0], row[1])
    console.print(f"\n[bold]{title}[/bold]", highlight=False)
    console.print(table)


def _training_rows(training: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (f"{quantity}, MAE", f"{e['mae']:.3g} {e['unit']}  (R² {e['r2']:.4f})")
        for quantity, e in training["test"].items()
    ]
    return [*rows, ("training time", f"{training['seconds']:.0f} s")]


def _silicon_rows(numbers: dict[str, Any], silicon: Silicon) -> list[tuple[str, str]]:
    relaxed, _, md = silicon[1:]
    return [
        ("relaxation", f"{relaxed.outcome} after {relaxed.steps} steps, {relaxed.space_group_after}"),
        ("lattice constant", f"{numbers['lattice_constant_a']:.3f} Å"),
        ("bulk modulus", f"{numbers['bulk_modulus_gpa']:.1f} GPa"),
        ("dynamics", f"{len(md.atoms)} atoms, NVT at {md.settings.temperature_k:g} K, {md.time_ps:g} ps"),
        ("mean temperature", f"{md.mean_temperature_k:.0f} K (fluctuates by {md.std_temperature_k:.0f} K)"),
        ("energy drift", f"{md.energy_drift_mev_per_atom_ps:+.4f} meV/atom/ps of the conserved energy"),
        ("speed", f"{numbers['steps_per_s']:.0f} steps/s, {md.ns_per_day:.1f} ns/day"),
    ]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted")
