"""Forces of displaced supercells: one after the other through the calculator, and in batches as `phonons` has them.

    python -m benchmarks.phonon_batches [--model NAME_OR_FILE] [--cells 24] [--rounds 5] [--threads 2]

Silicon in supercells of 64 and 216 atoms, each with another atom displaced by 0.01 Å along x, y or z, as a crystal of
low symmetry has them; then all that `phonons` computes of silicon and copper by default, the perfect supercell and the
one displaced that symmetry leaves. The ways take turns; what counts is the median of the rounds, and the least time of
each way where something else runs on the machine. One after the other is tried with all threads, as torch has them, and
with one. The error is that to the same model in double precision.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from numpy.typing import NDArray

from alignn_ff import AlignnFFCalculator
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.force_constants import HarmonicSettings, from_phonopy, supercell_matrix, to_phonopy
from alignn_ff.workflows.frames import stored_forces
from benchmarks.command import add_one_model, end_well, one_model, write_json

LATTICE_A, DISPLACEMENT_A = 5.469, 0.01
"""Of silicon (PBE), and that of `phonons`."""

REPEATS = (2, 3)
"""Conventional cells along each direction of a supercell."""

CRYSTALS = {"Si": bulk("Si", a=LATTICE_A), "Cu": bulk("Cu", a=3.63)}


def displaced_cells(repeats: int, count: int) -> list[Atoms]:
    """Supercells with one displaced atom each, another one or another direction in each."""
    perfect = bulk("Si", a=LATTICE_A, cubic=True) * repeats
    cells = [perfect.copy() for _ in range(count)]
    for place, atoms in enumerate(cells):
        atoms.positions[place // 3, place % 3] += DISPLACEMENT_A
    return cells


def default_cells(crystal: Atoms, calculator: AlignnFFCalculator) -> list[Atoms]:
    """What `phonons` evaluates of a crystal, all settings at their defaults."""
    settings = HarmonicSettings()
    phonon = to_phonopy(crystal, supercell_matrix(crystal, settings, calculator), settings.symprec)
    phonon.generate_displacements(distance=settings.displacement_a)
    return [from_phonopy(cell, crystal) for cell in (phonon.supercell, *phonon.supercells_with_displacements)]


def serial(cells: Sequence[Atoms], calculator: AlignnFFCalculator) -> NDArray:
    """Forces [cells, N, 3] in eV/Å, cell by cell."""
    forces = []
    for atoms in cells:
        work = atoms.copy()
        work.calc = calculator
        forces.append(work.get_forces())
    return np.array(forces)


def batched(cells: Sequence[Atoms], calculator: AlignnFFCalculator) -> NDArray:
    """The same, as the workflows do it."""
    return np.array([stored_forces(frame) for frame in evaluate_each(cells, calculator)])


def with_one_thread(cells: Sequence[Atoms], calculator: AlignnFFCalculator) -> NDArray:
    """As `serial`, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return serial(cells, calculator)
    finally:
        torch.set_num_threads(threads)


def compare(cells: Sequence[Atoms], calculator: AlignnFFCalculator, rounds: int) -> dict[str, Any]:
    """One row of the table: seconds a cell each way, by how much forces differ at most, and how wrong they are."""
    ways: dict[str, Callable[..., NDArray]] = {"serial": serial, "one_thread": with_one_thread, "batched": batched}
    found = {name: way(cells, calculator) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way(cells, calculator)
            seconds[name].append((time.perf_counter() - began) / len(cells))
    ratios = [one / other for one, other in zip(seconds["serial"], seconds["batched"], strict=True)]
    exact = batched(cells, calculator.variant(dtype="float64"))
    return {
        "atoms": len(cells[0]),
        "cells": len(cells),
        **{f"{name}_s": float(np.median(each)) for name, each in seconds.items()},
        "speedup": float(np.median(ratios)),
        "speedup_of_least_times": min(seconds["serial"]) / min(seconds["batched"]),
        "speedup_to_one_thread": min(seconds["one_thread"]) / min(seconds["batched"]),
        "largest_difference_ev_per_a": float(np.abs(found["serial"] - found["batched"]).max()),
        "largest_errors_ev_per_a": {name: float(np.abs(forces - exact).max()) for name, forces in found.items()},
    }


def main() -> None:
    """Run, print the table, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_one_model(parser, rounds=5)
    parser.add_argument("--cells", type=int, default=24)
    args = parser.parse_args()
    calculator, stated = one_model(args)
    jobs = {f"Si, {8 * repeats**3} atoms": displaced_cells(repeats, args.cells) for repeats in REPEATS}
    jobs |= {f"{name} by default": default_cells(crystal, calculator) for name, crystal in CRYSTALS.items()}
    columns = ("cells", "serial", "1 thread", "batched", "speedup", "least", "to 1", "differ", "error")
    print(f"{'':>14} " + " ".join(f"{column:>8}" for column in columns) + "   (s/cell, eV/Å)")
    rows = []
    for what, cells in jobs.items():
        row = {"what": what, **compare(cells, calculator, args.rounds)}
        rows.append(row)
        times = [row[name] for name in ("serial_s", "one_thread_s", "batched_s")]
        speed = [row[name] for name in ("speedup", "speedup_of_least_times", "speedup_to_one_thread")]
        forces = [row["largest_difference_ev_per_a"], row["largest_errors_ev_per_a"]["batched"]]
        print(
            f"{what:>14} {row['cells']:8d} "
            + " ".join([f"{t:8.4f}" for t in times] + [f"{s:8.2f}" for s in speed] + [f"{f:8.1e}" for f in forces]),
            flush=True,
        )
    if args.out:
        write_json(args.out, stated | {"rows": rows})


if __name__ == "__main__":
    end_well(main)
