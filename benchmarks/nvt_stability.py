"""Whether crystals survive molecular dynamics: NVT (Langevin) at 600 K, supercells of 50 to 100 atoms.

    python -m benchmarks.nvt_stability --contender ours --ps 10 --workers 2

A run fails if it explodes or collapses; `benchmarks/README.md` states the criteria.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from alignn_ff import run_md
from alignn_ff.errors import ConfigError, RunawayError, UnknownElementError
from alignn_ff.progress import track
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.velocities import draw_momenta
from benchmarks.command import add_contenders, end_well, setup_of, write_json
from benchmarks.contenders import Setup, build
from benchmarks.reference_crystals import Crystal, choose_crystals

if TYPE_CHECKING:
    from ase import Atoms

CRYSTALS = "Al,Ba,Th,Cu,Au,Pt,Ni,W,Nb,Si,Ge,LiF,NaCl,MgO,SrTe,LaN,ZrC,SiC,GaAs,InP"
LEAST_ATOMS = 50
LIGHT = 20.0  # u; crystals with a lighter atom get the shorter time step
SHORTEST = 1.0  # ps
FRAMES = 100  # of a trajectory that are looked at
TOO_HOT = 0.2  # mean temperature may be off the target by this share
TOO_CLOSE = 0.6  # of the sum of two covalent radii
TOO_LOW = 0.05  # eV/atom that the mean potential energy may lie below that of the crystal at rest
STABLE = "stable"


@dataclass(frozen=True)
class Task:
    """One run: a crystal with one contender."""

    contender: str
    crystal: Crystal
    setup: Setup
    temperature: float
    picoseconds: float
    seed: int


def supercell(crystal: Crystal) -> Atoms:
    """The crystal repeated as evenly as gives at least `LEAST_ATOMS` atoms."""
    unit = crystal.atoms()
    repeats = [1, 1, 1]
    while len(unit) * np.prod(repeats) < LEAST_ATOMS:
        repeats[int(np.argmin(repeats))] += 1
    return unit.repeat(repeats)


def time_step(atoms: Atoms) -> float:
    """fs: 2 where every atom is heavy, else 1."""
    return 2.0 if atoms.get_masses().min() >= LIGHT else 1.0


def closest_pair(atoms: Atoms) -> float:
    """Smallest distance as a share of the sum of both covalent radii."""
    from ase.data import covalent_radii
    from ase.neighborlist import neighbor_list

    radii = covalent_radii[atoms.numbers]
    i, j, distance = neighbor_list("ijd", atoms, 3.0 * radii.max())
    return float((distance / (radii[i] + radii[j])).min()) if len(distance) else float("inf")


def run(task: Task) -> dict[str, Any]:
    """One row: what happened, and the numbers that say so."""
    import torch

    torch.set_num_threads(1)
    atoms = supercell(task.crystal)
    row: dict[str, Any] = {"contender": task.contender, "crystal": task.crystal.name, "atoms": len(atoms)}
    step = time_step(atoms)
    steps = max(1, round(1000.0 * task.picoseconds / step))
    settings = MDSettings(
        ensemble="nvt-langevin", temperature_k=task.temperature, steps=steps, timestep_fs=step, seed=task.seed,
        equilibration_steps=steps // 2, traj_every=max(1, steps // FRAMES), velocities="keep",
    )  # fmt: skip
    row |= {"timestep_fs": step, "picoseconds": steps * step / 1000.0}
    # half of it goes into the vibrations' potential energy, which a perfect crystal starts without
    draw_momenta(atoms, 2.0 * task.temperature, np.random.default_rng(task.seed))
    try:
        atoms.calc = build(task.contender, atoms, task.setup)
        return row | _measured(atoms, settings)
    except UnknownElementError as error:
        return row | {"status": f"element unknown: {error}"}
    except RunawayError as error:
        return row | {"status": f"exploded: {error}"}


def _measured(atoms: Atoms, settings: MDSettings) -> dict[str, Any]:
    from ase.io import iread

    at_rest = atoms.get_potential_energy() / len(atoms)
    with TemporaryDirectory() as folder:
        result = run_md(atoms, settings, folder=folder)
        frames = list(iread(Path(folder) / "trajectory.extxyz"))
    if not result.completed:
        raise KeyboardInterrupt
    facts = {
        "mean_temperature_k": result.mean_temperature_k,
        "energy_above_crystal_ev_per_atom": result.mean_potential_energy_ev / len(atoms) - at_rest,
        "closest_pair": min(closest_pair(frame) for frame in frames),
        "lindemann": lindemann(atoms, frames[len(frames) // 2 :]),
        "ns_per_day": result.ns_per_day,
    }
    return facts | {"status": verdict(facts, settings.temperature_k)}


def lindemann(start: Atoms, frames: Sequence[Atoms]) -> float:
    """Root mean square displacement from the lattice sites, drift removed, as a share of the shortest bond."""
    bond = start.get_all_distances(mic=True)[np.triu_indices(len(start), 1)].min()
    moved = np.array([frame.positions - start.positions for frame in frames])
    moved -= moved.mean(axis=1, keepdims=True)
    return float(np.sqrt((moved**2).sum(axis=2).mean()) / bond)


def verdict(facts: dict[str, float], temperature: float) -> str:
    """ "stable", or in what way the run exploded or collapsed."""
    if abs(facts["mean_temperature_k"] / temperature - 1.0) > TOO_HOT:
        return f"exploded: mean temperature {facts['mean_temperature_k']:.0f} K under a thermostat of {temperature:g} K"
    if facts["closest_pair"] < TOO_CLOSE:
        return f"collapsed: two atoms came within {facts['closest_pair']:.2f} of their covalent radii"
    if facts["energy_above_crystal_ev_per_atom"] < -TOO_LOW:
        return f"collapsed: {-facts['energy_above_crystal_ev_per_atom']:.3f} eV/atom below the crystal at rest"
    return STABLE


def run_all(tasks: Sequence[Task], workers: int) -> Iterator[dict[str, Any]]:
    """The rows as they come, from that many processes."""
    if workers == 1:
        yield from map(run, tasks)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, task) for task in tasks]):
            yield future.result()


def show(rows: Sequence[dict[str, Any]], temperature: float) -> None:
    """Prints one line per run and how many were stable."""
    table = Table(title=f"NVT at {temperature:g} K")
    for heading in ("", "crystal", "atoms", "fs", "ps", "T, K", "E - E0, eV", "closest", "Lindemann", "verdict"):
        table.add_column(heading, justify="left" if heading in ("", "crystal", "verdict") else "right")
    for row in rows:
        table.add_row(*cells(row))
    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print(table)
    for contender in dict.fromkeys(row["contender"] for row in rows):
        own = [row for row in rows if row["contender"] == contender]
        stable = sum(row["status"] == STABLE for row in own)
        console.print(f"{contender}: {stable} of {len(own)} stable", highlight=False)


def cells(row: dict[str, Any]) -> list[str]:
    """The printed columns of one row."""
    head = [row["contender"], row["crystal"], str(row["atoms"]), f"{row['timestep_fs']:g}", f"{row['picoseconds']:g}"]
    formats = {
        "mean_temperature_k": ".0f",
        "energy_above_crystal_ev_per_atom": "+.3f",
        "closest_pair": ".2f",
        "lindemann": ".3f",
    }
    return [*head, *(format(row[name], f) if name in row else "" for name, f in formats.items()), row["status"]]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_contenders(parser, default=["ours"])
    parser.add_argument("--only", default=CRYSTALS, help="crystals of crystals.toml (default: %(default)s)")
    parser.add_argument("--ps", type=float, default=10.0, help="length of each run")
    parser.add_argument("--temperature", type=float, default=600.0, help="K")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/nvt_stability.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    if args.workers < 1 or not args.ps >= SHORTEST:
        raise ConfigError(
            f"--workers {args.workers}, --ps {args.ps:g}: at least one process and {SHORTEST:g} ps are needed; before "
            "that the temperature still tells of the start."
        )
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    setup, crystals = setup_of(args), choose_crystals(args.only.split(","))
    how = (setup, args.temperature, args.ps, args.seed)
    tasks = [Task(contender, crystal, *how) for contender in args.contender for crystal in crystals]
    rows: list[dict[str, Any]] = []
    criteria = {"too_hot": TOO_HOT, "too_close": TOO_CLOSE, "too_low_ev_per_atom": TOO_LOW}
    with track("nvt", len(tasks), show=sys.stderr.isatty()) as advance:
        for row in run_all(tasks, args.workers):
            rows.append(row)
            write_json(args.out, {"temperature_k": args.temperature, "seed": args.seed, **criteria, "rows": rows})
            advance(note=row["crystal"])
    show(rows, args.temperature)


if __name__ == "__main__":
    end_well(main)
