"""Lattice constants and bulk moduli of the six mlearn elements, against PBE.

    python -m benchmarks.lattice_constants [--model NAME_OR_FILE]

Each crystal starts with a cell 2 % too large and is relaxed with its cell; the bulk modulus comes from an equation of
state about that minimum. PBE lattice constants are those of the issue this model was made for (they agree with the
perfect crystals of the mlearn training sets).
"""

from __future__ import annotations

import argparse
import json

from ase.build import bulk

from alignn_ff import AlignnFFCalculator, run_eos, run_relax
from alignn_ff.files import write_text
from alignn_ff.workflows.eos import EOSSettings
from alignn_ff.workflows.relax import RelaxSettings

PBE_A = {
    "Cu": ("fcc", 3.63),
    "Ge": ("diamond", 5.76),
    "Li": ("bcc", 3.44),
    "Mo": ("bcc", 3.16),
    "Ni": ("fcc", 3.52),
    "Si": ("diamond", 5.47),
}
START = 1.02


def crystal(symbol: str, calculator: AlignnFFCalculator) -> dict[str, float | str]:
    """Relaxed lattice constant (Å), its error against PBE (%) and bulk modulus (GPa) of one element."""
    structure, reference = PBE_A[symbol]
    atoms = bulk(symbol, structure, a=START * reference, cubic=True)
    atoms.calc = calculator
    relaxed = run_relax(atoms, RelaxSettings(fmax=1e-4, hydrostatic=True)).atoms
    lattice = (relaxed.get_volume() / len(relaxed) * len(atoms)) ** (1 / 3)
    relaxed.calc = calculator
    eos = run_eos(relaxed, EOSSettings())
    error = 100 * (lattice / reference - 1)
    return {"element": symbol, "structure": structure, "a": lattice, "pbe": reference, "error_percent": error,
            "bulk_modulus_gpa": eos.bulk_modulus_gpa}  # fmt: skip


def main() -> None:
    """Print the table; write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or file; the embedded model unless given")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    calculator = AlignnFFCalculator(arguments.model, dtype="float64")
    rows = [crystal(symbol, calculator) for symbol in PBE_A if symbol in calculator.potential.elements]
    print(f"{'':3} {'':8} {'a (Å)':>8} {'PBE (Å)':>8} {'error':>8} {'B (GPa)':>8}")
    for row in rows:
        print(
            f"{row['element']:3} {row['structure']:8} {row['a']:8.4f} {row['pbe']:8.2f} {row['error_percent']:+7.2f}% "
            f"{row['bulk_modulus_gpa']:8.1f}"
        )
    if arguments.out:
        write_text(arguments.out, json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
