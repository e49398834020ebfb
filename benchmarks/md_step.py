"""Seconds for one MD step of this package and of every peer installed, side by side in one run.

    python -m benchmarks.md_step --structure si512 --threads 2

Everybody walks through their own ASE calculator and ASE's VelocityVerlet, in a process of their own;
`benchmarks/README.md` says what is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from alignn_ff.progress import track
from benchmarks.command import add_contenders, end_well, setup_of, write_json
from benchmarks.contenders import CONTENDERS, OURS, SEED, STRUCTURES, TEMPERATURE, build, kind

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from ase.md.verlet import VelocityVerlet

    from benchmarks.walker import Walker

TIME_STEP = 1.0  # fs
TURN = 0.5  # s; a turn lasts at least so long
CROWDED = 0.2  # CPUs that others may use beyond the free ones before the numbers are doubted
PACKAGES = ("torch", "numpy", "ase", "vesin", "matscipy", "alignn", "mace-torch", "e3nn", "chgnet", "matgl")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class Walk:
    """One contender on its own trajectory.

    Attributes:
        forces: [N, 3] eV/Å at the present positions, handed from step to step.
        run_calls: evaluations that one step of `VelocityVerlet.run` asks of this calculator.
    """

    dynamics: VelocityVerlet
    forces: Any = None
    run_calls: int = 0

    @property
    def atoms(self) -> Atoms:
        return self.dynamics.atoms


def start(name: str, atoms: Atoms, args: argparse.Namespace) -> Walk:
    """A contender built and warmed up: first calls, compilation and first lists lie behind it."""
    import torch
    from ase import units
    from ase.md.verlet import VelocityVerlet

    atoms.calc = build(name, atoms, setup_of(args))
    torch.set_num_threads(args.threads)  # after the peer's own imports
    walk = Walk(VelocityVerlet(atoms, timestep=TIME_STEP * units.fs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers' deprecation notes; their errors still end the run
        walk.dynamics.run(args.warmup)
        walk.run_calls = count_calls(atoms.calc, lambda: walk.dynamics.run(1))
        walk.forces = atoms.get_forces(md=True)
    return walk


def count_calls(calculator: Calculator, action: Callable[[], Any]) -> int:
    """How many times `action` makes `calculator` evaluate."""
    calls = 0
    calculate = calculator.calculate

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return calculate(*args, **kwargs)

    calculator.calculate = counted
    try:
        action()
    finally:
        del calculator.calculate
    return calls


def time_turn(walk: Walk, steps: int) -> float:
    """Mean seconds per step over at least `steps` steps and `TURN` seconds, one evaluation each.

    Handing the forces on spares calculators without a result cache the evaluations that `run` would repeat.
    The first step is not timed: it finds the processor's caches full of another contender.
    """
    walk.forces = walk.dynamics.step(walk.forces)
    begin, done, elapsed = perf_counter(), 0, 0.0
    while done < steps or elapsed < TURN:
        walk.forces = walk.dynamics.step(walk.forces)
        done += 1
        elapsed = perf_counter() - begin
    return elapsed / done


def failure(name: str, walk: Walk) -> str:
    """What is wrong with a trajectory that has left the numbers, whose timing would mean nothing; else nothing."""
    import numpy as np

    if np.isfinite(walk.forces).all() and np.isfinite(walk.atoms.calc.results["energy"]):
        return ""
    return f"{name}: energy or forces are no longer finite. Name the others with --contender."


def race(walkers: dict[str, Walker], repeat: int) -> None:
    """Rounds of one turn each, in an order drawn anew so that nobody always follows the same neighbour."""
    draw = Random(SEED)
    with track("timing", repeat * len(walkers), show=sys.stderr.isatty()) as advance:
        for _ in range(repeat):
            for name in draw.sample(list(walkers), len(walkers)):
                walkers[name].turn()
                advance(note=name)


class Occupancy:
    """CPUs that other processes kept busy since this object was made (Linux; None elsewhere)."""

    def __init__(self) -> None:
        self.begin = self._now()

    @staticmethod
    def _now() -> tuple[float, float] | None:
        """Wall-clock time and CPU time of all processes, both in s."""
        table = Path("/proc/stat")
        if not table.is_file():
            return None
        user, nice, system, _, _, irq, softirq, steal = map(int, table.read_text().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return perf_counter(), busy

    def by_others(self, own: float) -> float | None:
        """CPUs that were busy beside the `own` seconds of CPU time of this benchmark."""
        now = self._now()
        if now is None or self.begin is None:
            return None
        return round(max(0.0, (now[1] - self.begin[1] - own) / (now[0] - self.begin[0])), 2)


def summarise(name: str, walker: Walker | str, reference: Walker | str | None, atoms: int) -> dict[str, Any]:
    """One row: s per step, atoms·steps/s, median over rounds of the time relative to `reference`."""
    row: dict[str, Any] = {"name": name, "what": CONTENDERS[kind(name)].__doc__}
    if isinstance(walker, str):
        return row | {"status": walker}
    seconds = median(walker.seconds)
    ratio = run_ratio = None
    if reference is not None and not isinstance(reference, str):
        ratio = median(t / t0 for t, t0 in zip(walker.seconds, reference.seconds, strict=True))
        run_ratio = ratio * walker.run_calls / reference.run_calls
    return row | {
        "status": "timed",
        "seconds_per_step": seconds,
        "seconds_per_step_fastest": min(walker.seconds),
        "atoms_steps_per_second": atoms / seconds,
        "ratio_to_ours": ratio,
        "evaluations_per_run_step": walker.run_calls,
        "run_ratio_to_ours": run_ratio,
        "final_temperature": walker.temperature,  # K
        "rounds": walker.seconds,
    }


def describe(args: argparse.Namespace, atoms: Atoms) -> dict[str, Any]:
    """What a reader needs to judge the numbers: machine, versions, settings."""
    from alignn_ff import __version__

    versions = {"python": platform.python_version(), "alignn_ff": __version__}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "processor": processor_name(args.device),
        "cpus": os.cpu_count(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "versions": versions,
        "atoms": len(atoms),
        "temperature_K": TEMPERATURE,
        "time_step_fs": TIME_STEP,
        **vars(args),
    }


def processor_name(device: str) -> str:
    """The model name of the CPU, or of the GPU that computes."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    table = Path("/proc/cpuinfo")
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def show(facts: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Prints the table and what it was measured on."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"One MD step, {facts['structure']} ({facts['atoms']} atoms), float32")
    table.add_column("", no_wrap=True, min_width=max(len(row["name"]) for row in rows))
    for heading in (
        "s/step",
        "fastest",
        "atoms·steps/s",
        "time / ours",
        "calls in run()",
        "run() / ours",
        "T at end, K",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row["name"], *cells(row))
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(table)
    console.print(
        f"{facts['processor']}, {facts['threads']} threads ({facts['wait_policy']} waiting) of {facts['cpus']} CPUs; "
        f"median of {facts['repeat']} interleaved rounds, at least {facts['steps']} steps each",
        highlight=False,
    )
    console.print(", ".join(f"{name} {v}" for name, v in facts["versions"].items()), highlight=False)
    others = facts["cpus_used_by_others"]
    if others is not None and others + facts["threads"] > facts["cpus"] + CROWDED:
        console.print(
            f"Other processes used {others:.1f} CPUs meanwhile: the threads above had to share. "
            "Do not quote these numbers.",
            style="yellow",
        )


def cells(row: dict[str, Any]) -> list[str]:
    """The printed columns of one row after its name."""
    if row["status"] != "timed":
        return [row["status"].partition(":")[0], "", "", "", "", "", ""]
    ratio, run_ratio = row["ratio_to_ours"], row["run_ratio_to_ours"]
    return [
        f"{row['seconds_per_step']:.4f}",
        f"{row['seconds_per_step_fastest']:.4f}",
        f"{row['atoms_steps_per_second']:.0f}",
        "" if ratio is None else f"{ratio:.2f}",
        str(row["evaluations_per_run_step"]),
        "" if run_ratio is None else f"{run_ratio:.2f}",
        f"{row['final_temperature']:.0f}",
    ]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--structure", choices=sorted(STRUCTURES), default="si512")
    add_contenders(parser, default=list(CONTENDERS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2, help="MD steps per turn, at least")
    parser.add_argument("--repeat", type=int, default=7, help="rounds; the median is over them")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the clock starts")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/md_step.json"))
    return parser.parse_args(argv)


def prepare_threads(threads: int) -> None:
    """Thread count and waiting, told to the numerical libraries before they load.

    How threads wait stays torch's default unless `OMP_WAIT_POLICY` says otherwise. On an idle machine spinning
    ones are faster (ours twice); where another process holds a core, PASSIVE ones lose less.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))


def main(argv: list[str] | None = None) -> None:
    from benchmarks.walker import Walker, hire

    args = parse(argv)
    setup_of(args)
    prepare_threads(args.threads)
    atoms = STRUCTURES[args.structure]()
    facts = describe(args, atoms)
    entries = {name: hire(name, args) for name in args.contender}
    walkers = {name: entry for name, entry in entries.items() if isinstance(entry, Walker)}
    begin, busy = process_time(), Occupancy()
    race(walkers, args.repeat)
    own = process_time() - begin + sum(walker.cpu_seconds for walker in walkers.values())
    facts["cpus_used_by_others"] = busy.by_others(own)
    for walker in walkers.values():
        walker.dismiss()
    reference = next((entry for name, entry in entries.items() if kind(name) == OURS), None)
    rows = [summarise(name, entry, reference, len(atoms)) for name, entry in entries.items()]
    show(facts, rows)
    write_json(args.out, {**facts, "out": str(args.out), "rows": rows})


if __name__ == "__main__":
    end_well(main)
