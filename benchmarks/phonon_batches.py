"""Forces of displaced supercells: one after the other through the calculator, and in batches as `phonons` has them.

    python -m benchmarks.phonon_batches [--model NAME_OR_FILE] [--cells 24] [--rounds 5] [--threads 2]

Silicon in supercells of 64 and 216 atoms, each with another atom displaced by 0.01 Å along x, y or z, as a crystal of
low symmetry has them. Both ways take turns; what counts is the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from numpy.typing import NDArray

from alignn_ff import AlignnFFCalculator
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.frames import stored_forces
from benchmarks.command import end_well, write_json

LATTICE_A, DISPLACEMENT_A = 5.469, 0.01
"""Of silicon (PBE), and that of `phonons`."""

REPEATS = (2, 3)
"""Conventional cells along each direction of a supercell."""


def displaced_cells(repeats: int, count: int) -> list[Atoms]:
    """Supercells with one displaced atom each, another one or another direction in each."""
    perfect = bulk("Si", a=LATTICE_A, cubic=True) * repeats
    cells = [perfect.copy() for _ in range(count)]
    for place, atoms in enumerate(cells):
        atoms.positions[place // 3, place % 3] += DISPLACEMENT_A
    return cells


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


def compare(cells: Sequence[Atoms], calculator: AlignnFFCalculator, rounds: int) -> dict[str, Any]:
    """One row of the table: seconds a cell both ways, and by how much forces differ at most."""
    ways: dict[str, Callable[..., NDArray]] = {"serial": serial, "batched": batched}
    found = {name: way(cells, calculator) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way(cells, calculator)
            seconds[name].append((time.perf_counter() - began) / len(cells))
    ratios = [one / other for one, other in zip(seconds["serial"], seconds["batched"], strict=True)]
    return {
        "atoms": len(cells[0]),
        "cells": len(cells),
        "serial_s": float(np.median(seconds["serial"])),
        "batched_s": float(np.median(seconds["batched"])),
        "speedup": float(np.median(ratios)),
        "largest_difference_ev_per_a": float(np.abs(found["serial"] - found["batched"]).max()),
    }


def main() -> None:
    """Run, print the table, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or file (default: the embedded model)")
    parser.add_argument("--cells", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch (default: all cores)")
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    calculator = AlignnFFCalculator(args.model, device="cpu", domain_check=False)
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    print(f"{calculator.provenance['model']}, {threads} threads; load of the machine before: {load:.1f}")
    print(f"{'atoms':>6} {'cells':>6} {'serial s/cell':>14} {'batched s/cell':>15} {'speedup':>8} {'differ eV/Å':>12}")
    rows = []
    for repeats in REPEATS:
        row = compare(displaced_cells(repeats, args.cells), calculator, args.rounds)
        rows.append(row)
        print(
            f"{row['atoms']:6d} {row['cells']:6d} {row['serial_s']:14.4f} {row['batched_s']:15.4f} "
            f"{row['speedup']:8.2f} {row['largest_difference_ev_per_a']:12.1e}",
            flush=True,
        )
    if args.out:
        write_json(args.out, {"provenance": calculator.provenance, "threads": threads, "load": load, "rows": rows})


if __name__ == "__main__":
    end_well(main)
