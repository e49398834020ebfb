"""What a model says of squeezed pairs and crystals, without and with its core, and what the core costs.

    python -m benchmarks.squeezed [--model NAME_OR_FILE] [--elements Si Cu]

Energies per atom at shares of the nearest distance in the element's crystal; seconds of an evaluation of 512 silicon
atoms that move a little from one to the next, both kinds in turn.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import ConfigError
from alignn_ff.models import Core, Potential, Sum
from alignn_ff.pretrained import load_potential
from benchmarks.command import end_well

SHARES = (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)
FARTHEST = 6.0  # Å, to the nearest neighbour of any crystal
ROUNDS = 40


def without_core(potential: Potential) -> Sum:
    """The terms of a model with what its core holds in the place of the core."""
    terms = list(potential.terms) if isinstance(potential, Sum) else []
    if not any(isinstance(term, Core) for term in terms):
        raise ConfigError("the model has no core in a sum of terms; `alignn_ff.training.core.add_core` adds one.")
    return Sum([term.parts[0] if isinstance(term, Core) else term for term in terms])  # type: ignore[misc]


def squeezed(element: str) -> dict[str, list[Atoms]]:
    """Pairs and crystals of an element at every share."""
    try:
        crystal = bulk(element)
    except ValueError as error:
        raise ConfigError(f"--elements: {error} Choose elements that ASE knows a crystal of.") from error
    bond = min(neighbor_list("d", crystal, FARTHEST))
    pairs = [Atoms([element] * 2, positions=[[0, 0, 0], [0, 0, share * bond]]) for share in SHARES]
    crystals = [crystal.copy() for _ in SHARES]
    for atoms, share in zip(crystals, SHARES, strict=True):
        atoms.set_cell(share * crystal.cell.array, scale_atoms=True)
    return {"pair": pairs, "crystal": crystals}


def seconds(calculators: tuple[AlignnFFCalculator, ...]) -> list[float]:
    """Median of an evaluation by each, s."""
    rng = np.random.default_rng(0)
    walks = [bulk("Si", cubic=True).repeat(4) for _ in calculators]
    spent: list[list[float]] = [[] for _ in calculators]
    for _ in range(ROUNDS):
        for atoms, calculator, taken in zip(walks, calculators, spent, strict=True):
            atoms.calc = calculator
            atoms.positions += rng.normal(0, 0.002, atoms.positions.shape)
            begin = perf_counter()
            atoms.get_forces()
            taken.append(perf_counter() - begin)
    return [median(taken) for taken in spent]


def main() -> None:
    """Print the table and the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or file; the embedded model unless given")
    parser.add_argument("--elements", nargs="+", default=["Si", "Cu"])
    arguments = parser.parse_args()
    potential = load_potential(arguments.model).potential
    both = tuple(AlignnFFCalculator(p, domain_check=False) for p in (without_core(potential), potential))
    print(f"{'':12}" + "".join(f"{share:>24}" for share in SHARES))
    for element in arguments.elements:
        for kind, structures in squeezed(element).items():
            plain, held = ([r["energy"] / len(r["forces"]) for r in c.evaluate(structures)] for c in both)
            cells = (f"{a:,.1f} / {b:,.1f}" for a, b in zip(plain, held, strict=True))
            print(f"{element + ' ' + kind:12}" + "".join(f"{cell:>24}" for cell in cells))
    if "Si" in potential.elements:
        plain_s, held_s = seconds(both)
        print(
            f"evaluation of 512 Si: {plain_s:.4f} s without, {held_s:.4f} s with a core, ratio {held_s / plain_s:.3f}"
        )


if __name__ == "__main__":
    end_well(main)
