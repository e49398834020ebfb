"""Relaxations of small crystals: one after the other, and in lockstep as `alignn-ff relax` has several files.

    python -m benchmarks.relax_batches [--model NAME_OR_FILE] [--crystals 40] [--rounds 3] [--threads 2]

Crystals of 2 to 8 atoms of elements that both embedded models know, strained by a few percent and rattled, cells and
atoms relaxed by BFGS to 0.02 eV/Å or for 40 steps, in double precision, so that both ways must take the same steps. The
ways take turns; what counts is the median of the rounds, and the least time of each way where something else runs on
the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from alignn_ff import run_relax, run_relax_many
from alignn_ff.workflows.relax import RelaxSettings
from benchmarks.command import add_one_model, end_well, one_model, write_json

PROTOTYPES = (
    bulk("Cu") * (2, 1, 1),
    bulk("Si"),
    bulk("Ni", cubic=True),
    bulk("Ge") * (2, 1, 1),
    bulk("Li", cubic=True) * (1, 1, 2),
    bulk("Si", cubic=True),
    bulk("Mo", cubic=True),
    bulk("Ge", cubic=True),
)


def crystals(count: int) -> list[Atoms]:
    """Prototypes in turn, each with a strain and a rattle of its own."""
    random = np.random.default_rng(0)
    found = []
    for place in range(count):
        atoms = PROTOTYPES[place % len(PROTOTYPES)].copy()
        strain = np.eye(3) + random.uniform(-0.03, 0.03, (3, 3))
        atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        atoms.rattle(0.05, rng=random)
        found.append(atoms)
    return found


def compare(starts: Sequence[Atoms], settings: RelaxSettings, rounds: int) -> dict[str, Any]:
    """Seconds each way, and whether both led to the same ends."""
    run_relax_many(starts[:2], settings)  # what is imported or built once
    seconds: dict[str, list[float]] = {"serial": [], "lockstep": []}
    for _ in range(rounds):
        began = time.perf_counter()
        ones = [run_relax(atoms, settings) for atoms in starts]
        between = time.perf_counter()
        many: list[Any] = run_relax_many(starts, settings)
        seconds["serial"].append(between - began)
        seconds["lockstep"].append(time.perf_counter() - between)
    ratios = [one / other for one, other in zip(seconds["serial"], seconds["lockstep"], strict=True)]
    steps = [(one.steps, other.steps) for one, other in zip(ones, many, strict=True)]
    apart = [np.abs(one.atoms.positions - other.atoms.positions).max() for one, other in zip(ones, many, strict=True)]
    return {
        "crystals": len(starts),
        "atoms": [min(map(len, starts)), max(map(len, starts))],
        "steps": [min(steps)[0], max(steps)[0]],
        "seconds": seconds,
        "speedups": ratios,
        "speedup": float(np.median(ratios)),
        "speedup_of_least_times": min(seconds["serial"]) / min(seconds["lockstep"]),
        "same_steps": all(one == other for one, other in steps),
        "largest_difference_a": float(max(apart)),
    }


def main() -> None:
    """Run, print, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_one_model(parser, rounds=3)
    parser.add_argument("--crystals", type=int, default=40)
    args = parser.parse_args()
    calculator, stated = one_model(args, dtype="float64")
    starts = crystals(args.crystals)
    for atoms in starts:
        atoms.calc = calculator
    row = compare(starts, RelaxSettings(optimizer="BFGS", fmax=0.02, steps=40), args.rounds)
    (fewest, most), (least, largest) = row["steps"], row["atoms"]
    print(f"{row['crystals']} crystals of {least} to {largest} atoms, {fewest} to {most} steps")
    for way, times in row["seconds"].items():
        print(f"{way:>9}: " + " ".join(f"{t:7.2f}" for t in times) + " s")
    print(f"  speedup: {row['speedup']:.2f}, of least times {row['speedup_of_least_times']:.2f}")
    print(f"     same: steps {row['same_steps']}, positions within {row['largest_difference_a']:.1e} Å")
    if args.out:
        write_json(args.out, stated | row)


if __name__ == "__main__":
    end_well(main)
