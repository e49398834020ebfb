"""Seconds from nothing to energy, forces and stress of 20 crystals over 40 elements, import included.

    python -m benchmarks.two_lines [--model NAME_OR_FILE] [--python INTERPRETER] [--repeat 3]

Each measurement is a fresh Python process in an empty folder, so it uses the installed package of that interpreter,
not the checkout, and imports everything anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from alignn_ff.errors import ConfigError
from benchmarks.command import end_well, write_json

CRYSTALS = {
    "rocksalt": {
        "LiH": 4.08,
        "NaCl": 5.64,
        "KBr": 6.60,
        "RbI": 7.34,
        "CsF": 6.01,
        "MgO": 4.21,
        "CaS": 5.69,
        "BaSe": 6.60,
    },
    "zincblende": {"BN": 3.62, "AlP": 5.46, "SiC": 4.36, "GaAs": 5.65, "InSb": 6.48, "CdTe": 6.48},
    "cesiumchloride": {"CuZn": 2.95, "CoFe": 2.86, "AuMn": 3.23, "HfRu": 3.22, "SrTl": 4.04, "TiOs": 3.07},
}
"""About the measured lattice constant in Å of 20 crystals, by structure."""

PROGRAM = """
import json, sys
from ase.build import bulk
from alignn_ff import AlignnFFCalculator
crystals, model = json.loads(sys.argv[1])
calculator = AlignnFFCalculator(model, device="cpu")
done = []
for structure, lattice_constants in crystals.items():
    for name, a in lattice_constants.items():
        atoms = bulk(name, structure, a=a, cubic=True)
        if set(atoms.get_chemical_symbols()) <= set(calculator.potential.elements):
            atoms.calc = calculator
            forces, stress = atoms.get_forces(), atoms.get_stress()
            done.append([name, atoms.get_potential_energy(), abs(forces).max(), abs(stress).max()])
print(json.dumps(done, default=float))
"""


def measure(python: str, model: str | None) -> tuple[float, list[list[Any]]]:
    """Wall-clock seconds of one process, and name, energy, largest force and stress of every crystal it computed.

    Raises:
        ConfigError: the process failed.
    """
    with TemporaryDirectory() as folder:
        begin = perf_counter()
        command = [python, "-c", PROGRAM, json.dumps([CRYSTALS, model])]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = perf_counter() - begin
    if process.returncode != 0:
        raise ConfigError(f"{python} failed: {process.stderr.strip().splitlines()[-1]}")
    return seconds, json.loads(process.stdout)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="name or file; default: the embedded model")
    parser.add_argument("--python", default=sys.executable, help="interpreter in whose environment to measure")
    parser.add_argument("--repeat", type=int, default=3, help="processes; the first may find cold files")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/two_lines.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    from ase.formula import Formula

    args = parse(argv)
    model = str(Path(args.model).resolve()) if args.model and Path(args.model).is_file() else args.model
    seconds: list[float] = []
    for _ in range(max(1, args.repeat)):
        elapsed, done = measure(args.python, model)
        seconds.append(elapsed)
        print(f"{elapsed:.2f} s")
    elements = {symbol for name, *_ in done for symbol in Formula(name).count()}
    total = sum(map(len, CRYSTALS.values()))
    print(f"{len(done)} of {total} crystals, {len(elements)} elements: median {median(seconds):.2f} s")
    write_json(args.out, {"seconds": seconds, "elements": len(elements), "crystals": done})


if __name__ == "__main__":
    end_well(main)
