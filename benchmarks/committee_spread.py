"""Does a committee disagree where it is wrong? Rank correlation of its spread with its true error.

    python -m benchmarks.committee_spread runs/silicon --labelled held_out.extxyz
    python -m benchmarks.committee_spread runs/silicon --start Si_train.extxyz --truth universal

With labelled structures outside the training range (the hottest frames of an AIMD run that were held out) the errors
are those against their labels. Without, structures of a file are rattled and `--truth`, a better model, a calculator
of ASE (`ase:NAME`) or a function that makes one (`examples/teacher_matgl.py:make`), says what is true: then the errors
hold its own, and the table says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from alignn_ff.errors import ConfigError
from benchmarks.command import end_well, write_json

if TYPE_CHECKING:
    from ase import Atoms

AMPLITUDES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
"""Å, standard deviation of a coordinate of a rattled structure."""
BAR = 0.5


def rattled(frames: Sequence[Atoms], count: int) -> list[Atoms]:
    """`count` structures of the frames, moved by each amplitude in turn."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(count):
        atoms = frames[rng.integers(len(frames))].copy()
        atoms.positions += rng.normal(0.0, AMPLITUDES[k % len(AMPLITUDES)], atoms.positions.shape)
        found.append(atoms)
    return found


def true_forces(structures: Sequence[Atoms], truth: str) -> list[tuple[float, np.ndarray]]:
    """Energy, eV, and forces, eV/Å, of each structure by the better judge."""
    from alignn_ff.distill.teacher import make_teacher

    calculator = make_teacher(truth)
    found = []
    for atoms in structures:
        atoms.calc = calculator
        found.append((atoms.get_potential_energy(), atoms.get_forces().copy()))
    return found


def correlations(committee: str, structures: Sequence[Atoms], truth: list[tuple[float, np.ndarray]]) -> dict[str, Any]:
    """Spearman's coefficients, over structures and over atoms, and the errors themselves."""
    from scipy.stats import spearmanr

    from alignn_ff.calculator import CommitteeCalculator

    said = CommitteeCalculator(committee, domain_check=False).predict(structures)
    by_atom = [np.linalg.norm(one["forces"] - forces, axis=1) for one, (_, forces) in zip(said, truth, strict=True)]
    spread = [one["force_uncertainty"] for one in said]
    sizes = np.array([len(atoms) for atoms in structures])
    shift = np.array([one["energy"] - energy for one, (energy, _) in zip(said, truth, strict=True)]) / sizes
    off = np.abs(shift - np.median(shift))  # judges may count energies from another zero
    rows = said.rows
    return {
        "structures": len(structures),
        "force_mae_mev_per_a": 1000.0 * float(np.mean([np.abs(e).mean() for e in by_atom])),
        "spearman_force_of_structures": _rank(spearmanr, [s.max() for s in spread], [e.max() for e in by_atom]),
        "spearman_force_of_atoms": _rank(spearmanr, np.concatenate(spread), np.concatenate(by_atom)),
        "spearman_energy": _rank(spearmanr, [row["energy_std_per_atom"] for row in rows], off),
    }


def _rank(spearmanr: Any, one: Any, other: Any) -> float:
    return float(spearmanr(one, other).statistic)


def main() -> None:
    from ase.io import read

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("committee", help="folder of its training")
    parser.add_argument("--labelled", help="structures outside the training range, with energy and forces")
    parser.add_argument("--start", help="structures to rattle")
    parser.add_argument("--truth", help="who says what is true of these: a model, ase:NAME, or FILE.py:FUNCTION")
    parser.add_argument("--count", type=int, default=60, help="structures to rattle")
    parser.add_argument("--out", default="runs/benchmarks/committee_spread.json")
    args = parser.parse_args()
    if args.labelled:
        structures = read(args.labelled, ":")
        truth = [(atoms.get_potential_energy(), atoms.get_forces()) for atoms in structures]
    elif args.start and args.truth:
        structures = rattled(read(args.start, ":"), args.count)
        truth = true_forces(structures, args.truth)
    else:
        raise ConfigError("there is nothing to compare with; give --labelled FILE, or --start FILE and --truth MODEL.")
    found = correlations(args.committee, structures, truth)
    table = Table(title=f"{args.committee} against {args.labelled or args.truth}", show_header=False)
    for name, value in found.items():
        table.add_row(name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
    passed = found["spearman_force_of_structures"] >= BAR
    table.add_row(f"force of structures, at least {BAR}", "yes" if passed else "no")
    Console().print(table)
    write_json(args.out, {"committee": args.committee, "truth": args.labelled or args.truth, **found})


if __name__ == "__main__":
    end_well(main)
