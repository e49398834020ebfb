"""Lattice constants, bulk moduli and elastic constants of common crystals, against published PBE values.

    python -m benchmarks.crystals --contender ours teacher chgnet --teacher FOLDER --out runs/benchmarks/crystals.json

Each crystal starts from a perturbed cell and is relaxed with it. Lattice constant and bulk modulus come from an
equation of state about the minimum; `benchmarks/README.md` says what counts as a failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from alignn_ff import run_eos, run_relax
from alignn_ff.errors import ConfigError, RunawayError, StructureError
from alignn_ff.progress import track
from alignn_ff.workflows.elastic import ElasticSettings, run_elastic
from alignn_ff.workflows.eos import EOSSettings
from alignn_ff.workflows.relax import RelaxSettings
from benchmarks.command import add_contenders, end_well, setup_of, write_json
from benchmarks.contenders import build
from benchmarks.reference_crystals import Crystal, choose_crystals, read_crystals

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

STRAIN = 0.03  # largest of each component at the start
RATTLE = 0.05  # Å, standard deviation of each coordinate at the start
RELAX = RelaxSettings(optimizer="BFGS", fmax=0.01, steps=500, cell="full", symprec=0.1)
EQUATION_OF_STATE = EOSSettings(optimizer="BFGS")
ELASTICITY = ElasticSettings(relax=False, strain_percent=0.5, fmax=1e-3)
DEPARTURE = 0.05  # largest strain or displacement (of a bond) by which the relaxed crystal may differ from the ideal
STIFF = 10.0  # GPa; below this a fraction of a GPa is many per cent, so the mean error is also given without such
ELASTIC = ("c11", "c12", "c44")
RELAXED = "relaxed"


def perturbed(crystal: Crystal, seed: int) -> Atoms:
    """The crystal strained at random and rattled; the same for every contender and selection."""
    rng = np.random.default_rng([seed, *crystal.name.encode()])
    strain = rng.uniform(-STRAIN, STRAIN, (3, 3))
    atoms = crystal.atoms()
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + (strain + strain.T) / 2.0), scale_atoms=True)
    atoms.positions += rng.normal(0.0, RATTLE, atoms.positions.shape)
    return atoms


def measure(crystal: Crystal, calculator: Calculator, seed: int) -> dict[str, Any]:
    """One row: what was computed (Å, GPa), the errors against PBE (%), and `status`."""
    row: dict[str, Any] = {"crystal": crystal.name, "prototype": crystal.prototype}
    try:
        row |= _relaxed(crystal, calculator, seed)
    except (RunawayError, ConfigError, StructureError) as error:
        return row | {"status": str(error)}
    return row | errors(crystal, row)


def _relaxed(crystal: Crystal, calculator: Calculator, seed: int) -> dict[str, Any]:
    """Constants of the relaxed crystal, or a status that tells why there are none."""
    result = run_relax(_with(perturbed(crystal, seed), calculator), RELAX)
    away = departure(result.atoms, crystal.atoms())
    facts = {"relax_steps": result.steps, "space_group": result.space_group_after, "departure_percent": 100.0 * away}
    if not result.converged:
        return facts | {"status": f"not converged in {RELAX.steps} steps"}
    if away > DEPARTURE:
        return facts | {"status": f"left its structure by {100.0 * away:.0f} %, now {result.space_group_after}"}
    eos = run_eos(_with(result.atoms, calculator), EQUATION_OF_STATE)
    a = eos.volume_a3 ** (1.0 / 3.0)
    elastic = elastic_constants(_with(crystal.atoms(a), calculator))
    return facts | {"status": RELAXED, "a": a, "bulk_modulus": eos.bulk_modulus_gpa} | elastic


def elastic_constants(atoms: Atoms) -> dict[str, float]:
    """C11, C12, C44 in GPa of a cubic crystal at rest, the atoms relaxed in the strained cells."""
    cubic = run_elastic(atoms, ELASTICITY).cubic
    return {name: getattr(cubic, f"{name}_gpa") for name in ELASTIC}


def departure(relaxed: Atoms, ideal: Atoms) -> float:
    """How far a crystal is from another of any volume: the larger of shape strain and displacement per bond length.

    Both have their atoms in the same order; rotations and shifts of all atoms count for nothing.
    """
    deformation = np.linalg.solve(ideal.cell[:], relaxed.cell[:])
    stretches = np.linalg.svd(deformation, compute_uv=False)
    strain = np.abs(stretches / stretches.prod() ** (1.0 / 3.0) - 1.0).max()
    shifts = relaxed.get_scaled_positions(wrap=False) - ideal.get_scaled_positions(wrap=False)
    shifts = (shifts - shifts.mean(axis=0)) @ ideal.cell[:]
    bond = ideal.repeat((2, 2, 2)).get_all_distances(mic=True)[0, 1:].min()
    return float(max(strain, np.linalg.norm(shifts, axis=1).max() / bond))


def _with(atoms: Atoms, calculator: Calculator) -> Atoms:
    atoms.calc = calculator
    return atoms


def errors(crystal: Crystal, row: dict[str, Any]) -> dict[str, float]:
    """The published value of every constant in `row` that has one, and the deviation from it in %."""
    published = {"a": crystal.a, "bulk_modulus": crystal.bulk_modulus}
    published |= dict(zip(ELASTIC, crystal.elastic or (None, None, None), strict=True))
    known = {name: value for name, value in published.items() if value is not None and name in row}
    deviations = {f"{name}_error_percent": 100.0 * (row[name] / value - 1.0) for name, value in known.items()}
    return deviations | {f"{name}_pbe": value for name, value in known.items()}


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean absolute errors in %, how many crystals stand behind each, and which crystals failed."""
    stiff = [row for row in rows if row.get("bulk_modulus_pbe", 0.0) >= STIFF]
    groups = {name: _deviations(rows, name) for name in ("a", "bulk_modulus", *ELASTIC)}
    groups["bulk_modulus_stiff"] = _deviations(stiff, "bulk_modulus")
    return {
        "crystals": len(rows),
        "mae_percent": {name: float(np.mean(np.abs(found))) if found else None for name, found in groups.items()},
        "counts": {name: len(found) for name, found in groups.items()},
        "failed": {row["crystal"]: row["status"] for row in rows if row["status"] != RELAXED},
    }


def _deviations(rows: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Errors of one constant in %, of the crystals that have it."""
    return [row[f"{name}_error_percent"] for row in rows if f"{name}_error_percent" in row]


def show(contender: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints the table of one contender."""
    table = Table(title=f"{contender} against PBE")
    for heading in ("", "a, Å", "error", "B, GPa", "error", "C11", "C12", "C44", "steps"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in rows:
        table.add_row(row["crystal"], *cells(row))
    _console().print(table)


def show_means(summaries: dict[str, dict[str, Any]]) -> None:
    """Prints the mean errors of all contenders, and which crystals failed."""
    table = Table(title="Mean absolute error against PBE, % (crystals)")
    table.add_column("")
    for heading in ("a", "B", "C11", "C12", "C44", f"B ≥ {STIFF:.0f} GPa", "relaxed"):
        table.add_column(heading, justify="right")
    for contender, summary in summaries.items():
        means = [f"{summary['mae_percent'][name]:.2f} ({n})" if n else "" for name, n in summary["counts"].items()]
        relaxed = summary["crystals"] - len(summary["failed"])
        table.add_row(contender, *means, f"{relaxed} of {summary['crystals']}")
    _console().print(table)
    for contender, summary in summaries.items():
        for name, status in summary["failed"].items():
            _console().print(f"{contender}: {name} failed: {status}", style="yellow", highlight=False)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 110)


def cells(row: dict[str, Any]) -> list[str]:
    """The printed columns of one row after its name; published elastic constants add their error."""
    if row["status"] != RELAXED:
        return ["failed"]
    printed = [f"{row['a']:.4f}", _percent(row, "a", 2), f"{row['bulk_modulus']:.1f}", _percent(row, "bulk_modulus", 1)]
    printed += [f"{row[name]:.0f} {_percent(row, name, 0)}".strip() for name in ELASTIC]
    return [*printed, str(row["relax_steps"])]


def _percent(row: dict[str, Any], name: str, digits: int) -> str:
    error = row.get(f"{name}_error_percent")
    return "" if error is None else f"{error:+.{digits}f}%"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_contenders(parser, default=["ours"])
    parser.add_argument("--only", help="crystals, as in Si,NaCl; default: all of crystals.toml")
    parser.add_argument("--seed", type=int, default=0, help="of the perturbation")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/crystals.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    setup = replace(setup_of(args), dtype="float64")
    crystals = choose_crystals(args.only.split(",") if args.only else list(read_crystals()))
    results: dict[str, Any] = {}
    for contender in args.contender:
        calculator = build(contender, crystals[0].atoms(), setup)
        rows: list[dict[str, Any]] = []
        with track(contender, len(crystals), show=sys.stderr.isatty()) as advance:
            for crystal in crystals:
                rows.append(measure(crystal, calculator, args.seed))
                results[contender] = {"summary": summarise(rows), "rows": rows}
                write_json(args.out, {"seed": args.seed, "strain": STRAIN, "rattle": RATTLE, "contenders": results})
                advance(note=crystal.name)
        show(contender, rows)
    show_means({contender: result["summary"] for contender, result in results.items()})


if __name__ == "__main__":
    end_well(main)
