"""Training steps on batches of all sorts of structures: atoms that differ share tables of edges, or one serves all.

    python -m benchmarks.mixed_batches [--data FILE] [--frames 256] [--batch 32] [--model NAME_OR_FILE] [--rounds 5]

By default primitive cells of elements, squeezed and stretched, whose atoms have from a few to hundreds of neighbours;
`--data` takes structures of any file that ASE reads. A step is energy, forces and stress and the gradient of their sum
in the weights. The ways take turns; what counts is the median of the rounds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read

from alignn_ff.evaluate import Want, evaluate
from alignn_ff.graph import AtomGraph, concat
from alignn_ff.io import from_ase
from alignn_ff.models import Potential, ops
from alignn_ff.neighbors import connect
from benchmarks.command import add_one_model, end_well, one_model, write_json

ELEMENTS = ("C", "Si", "Ge", "Li", "Na", "K", "Mo", "W", "Cu", "Ag", "Ni", "Al")


def crystals(count: int) -> list[Atoms]:
    """Elements in turn, each at 0.75 to 1.35 of its length."""
    random = np.random.default_rng(0)
    found = [bulk(ELEMENTS[place % len(ELEMENTS)]) for place in range(count)]
    for atoms in found:
        atoms.set_cell(atoms.cell[:] * random.uniform(0.75, 1.35), scale_atoms=True)
    return found


def batches(structures: Sequence[Atoms], potential: Potential, size: int) -> list[AtomGraph]:
    """Graphs of `size` structures each."""
    graphs = [connect(from_ase(atoms), **potential.wants) for atoms in structures]
    return [concat(graphs[start : start + size]) for start in range(0, len(graphs), size)]


def filled(batch: AtomGraph) -> float:
    """Share of the places that edges take in one table for all."""
    count = torch.bincount(batch.edge_dst, minlength=len(batch.numbers))
    return float(count.sum() / (len(count) * count.max()))


def steps(potential: Potential, learned: Sequence[AtomGraph]) -> float:
    """Seconds a step."""
    began = time.perf_counter()
    for batch in learned:
        potential.zero_grad()
        seen = evaluate(potential, batch, want=Want.TRAINING)
        assert seen.forces is not None and seen.stress is not None
        (seen.energy.sum() + seen.forces.abs().sum() + seen.stress.abs().sum()).backward()
    return (time.perf_counter() - began) / len(learned)


def main() -> None:
    """Run, print, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_one_model(parser, rounds=5)
    parser.add_argument("--data", help="structures (default: crystals of elements)")
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    calculator, stated = one_model(args)
    potential = calculator.potential.requires_grad_(True)
    structures = read(args.data, f":{args.frames}") if args.data else crystals(args.frames)
    learned = batches(structures, potential, args.batch)
    seconds: dict[str, list[float]] = {"shared": [], "single": []}
    for _ in range(args.rounds + 1):  # the first warms up
        seconds["shared"].append(steps(potential, learned))
        with patch.object(ops, "_SPARE", math.inf):
            seconds["single"].append(steps(potential, learned))
    medians = {way: float(np.median(times[1:])) for way, times in seconds.items()}
    fill = float(np.mean([filled(batch) for batch in learned]))
    print(f"{len(structures)} structures in batches of {args.batch}; one table for all is {100 * fill:.0f} % full")
    print(" ".join(f"{way} {1e3 * each:.0f} ms a step;" for way, each in medians.items()), end=" ")
    print(f"ratio {medians['single'] / medians['shared']:.2f}")
    if args.out:
        write_json(args.out, stated | {"filled": fill, "seconds": medians})


if __name__ == "__main__":
    end_well(main)
