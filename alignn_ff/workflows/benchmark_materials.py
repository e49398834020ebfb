"""Tables of materials with reference values, as `benchmark` reads them.

A table is TOML or JSON with a list `materials`, or CSV with a header; the suffix says which. A material has

- `name`: unique in the table.
- A structure, periodic in 3D: `structure`, a file that ASE reads, beside the table or with its path (`file@index` where
  it holds several); or `formula` and `prototype` as `ase.build.bulk` knows them (fcc, bcc, hcp, diamond, rocksalt,
  zincblende, cesiumchloride, fluorite, wurtzite, ...), with `a`, `b`, `c` in Å, `alpha` in degrees, `covera` and `u`
  where the prototype has them. It is the start of a relaxation, so a rough lattice constant will do.
- Reference values, each named after its quantity and unit: `c11_gpa`, `lattice_a_angstrom`, `max_frequency_thz`.
  `benchmark_quantities` lists all quantities and units. What has no reference is absent (in CSV: empty).
- `source`, if you like: where the values come from. The report shows it.

For example:

    [[materials]]
    name = "Cu"
    formula = "Cu"
    prototype = "fcc"
    a = 3.6
    lattice_a_angstrom = 3.6317
    c11_gpa = 175.1
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from alignn_ff.errors import DataError, StructureError, did_you_mean
from alignn_ff.io import read_frames
from alignn_ff.workflows.benchmark_quantities import REFERENCES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HELP = (
    "Table of materials: TOML or JSON with a list materials, or CSV with a header. Each has a name; a structure (file "
    "that ASE reads, beside the table), or formula and prototype (fcc, diamond, rocksalt, ... of ase.build.bulk) with "
    "a, b, c in Å; and references named after quantity and unit: lattice_a_angstrom, volume_per_atom_angstrom3, "
    "c11_gpa to c66_gpa, bulk_modulus_gpa, eos_bulk_modulus_gpa, max_frequency_thz, entropy_300k_j_per_k_mol and more. "
    "examples/benchmark.toml is one."
)
"""The format in short, for the command line."""

TEXTS = ("name", "structure", "formula", "prototype", "source")
LATTICE = ("a", "b", "c", "alpha", "covera", "u")
"""Numbers that `ase.build.bulk` takes."""

MATERIALS = "materials"
SUFFIXES = (".toml", ".json", ".csv")


@dataclass(frozen=True)
class Material:
    """A material to be judged by: where its relaxation starts, and its references by the name of the quantity."""

    name: str
    atoms: Atoms
    references: Mapping[str, float]
    source: str = ""


def read_materials(path: str | Path) -> list[Material]:
    """The materials of a table, in its order; the format is that of the module's docstring.

    Raises:
        DataError: no such table, another format, or a material that is not complete; the message names it.
    """
    path = Path(path)
    entries = _entries(path)
    if not entries:
        raise DataError(f"table {path} holds no materials; one at least was expected.")
    found = [_material(entry, f"table {path}, material {place}", path.parent) for place, entry in enumerate(entries, 1)]
    names = [material.name for material in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"table {path} names {', '.join(twice)} more than once. Give each material a name of its own.")
    return found


def _entries(path: Path) -> Sequence[Mapping[str, Any]]:
    """What the table says of each material; empty cells of CSV are left out."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"table {path}: the suffix is {path.suffix!r}; one of {', '.join(SUFFIXES)} was expected.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return _csv_entries(text, path)
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise DataError(f"table {path} cannot be read ({error.strerror}).") from error
    except ValueError as error:  # those of TOML, JSON and UTF-8 are among them
        raise DataError(f"table {path} is no {path.suffix[1:].upper()} ({error}).") from error
    entries = content.get(MATERIALS) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f"table {path} has no list `{MATERIALS}` of names and values; begin with that.")
    return entries


def _csv_entries(text: str, path: Path) -> list[dict[str, str]]:
    found = []
    for line, row in enumerate(csv.DictReader(text.splitlines(), skipinitialspace=True), 2):
        if None in row or None in row.values():
            raise DataError(f"table {path}, line {line}: it has more or fewer cells than the header has names.")
        found.append({name.strip(): value.strip() for name, value in row.items() if value.strip()})
    return found


def _material(entry: Mapping[str, Any], where: str, folder: Path) -> Material:
    texts = {name: _text(entry[name], name, where) for name in TEXTS if name in entry}
    if "name" not in texts:
        raise DataError(f"{where}: it has no `name`.")
    if not set(",\n\r").isdisjoint(texts["name"]):  # they part the cells of our own tables
        raise DataError(f"{where}: `name` = {texts['name']!r}; a name without commas and line breaks was expected.")
    where = f"{where} ({texts['name']})"
    known = (*TEXTS, *LATTICE, *REFERENCES)
    for name in entry:
        if name not in known:
            raise DataError(f"{where}: unknown field `{name}`{did_you_mean(name, known)}.")
    numbers = {name: _number(value, name, where) for name, value in entry.items() if name not in TEXTS}
    lattice = {name: value for name, value in numbers.items() if name in LATTICE}
    atoms = _atoms(texts, lattice, where, folder)
    return Material(texts["name"], atoms, _references(numbers, where), texts.get("source", ""))


def _references(numbers: Mapping[str, float], where: str) -> dict[str, float]:
    """Values by quantity, in its unit."""
    found: dict[str, float] = {}
    for name, value in numbers.items():
        if name in REFERENCES:
            quantity, factor = REFERENCES[name]
            if quantity in found:
                raise DataError(f"{where}: `{quantity}` is given in two units. Leave one out.")
            found[quantity] = value * factor
    if not found:
        raise DataError(f"{where}: it has no reference value, such as lattice_a_angstrom or c11_gpa.")
    return found


def _atoms(texts: Mapping[str, str], lattice: Mapping[str, float], where: str, folder: Path) -> Atoms:
    try:
        if "structure" in texts:
            atoms = _from_file(texts, lattice, where, folder)
        else:
            atoms = _from_prototype(texts, lattice, where)
    except StructureError as error:
        raise DataError(f"{where}: {error}") from error
    if not (len(atoms) and np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell[:]).all()):
        raise DataError(f"{where}: its structure has no atoms, or positions or a cell that are not finite.")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise DataError(
            f"{where}: its structure is no crystal (pbc {atoms.pbc.tolist()}); three periods were expected."
        )
    return atoms


def _from_file(texts: Mapping[str, str], lattice: Mapping[str, float], where: str, folder: Path) -> Atoms:
    beside = [name for name in ("formula", "prototype", *LATTICE) if name in texts or name in lattice]
    if beside:
        raise DataError(f"{where}: `structure` leaves nothing to say for `{beside[0]}`. Leave one of them out.")
    name, at, index = texts["structure"].rpartition("@")
    found = read_frames(folder / (name if at else index), index if at else "-1")
    if not isinstance(found, Atoms):
        raise DataError(
            f"{where}: `structure` = {texts['structure']!r} means {len(found)} structures; one was expected."
        )
    found.calc = None
    return found


def _from_prototype(texts: Mapping[str, str], lattice: Mapping[str, Any], where: str) -> Atoms:
    if "formula" not in texts or "prototype" not in texts:
        raise DataError(f"{where}: neither a `structure` file, nor `formula` and `prototype`.")
    try:
        return bulk(texts["formula"], texts["prototype"], **lattice)
    except (ValueError, KeyError, RuntimeError) as error:  # how ASE refuses
        raise DataError(
            f"{where}: ASE cannot build {texts['formula']} as {texts['prototype']} from "
            f"{dict(lattice) or 'no lattice constants'} ({error})."
        ) from error


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: `{name}` = {value!r}; a text was expected.")
    return value


def _number(value: Any, name: str, where: str) -> float:
    try:
        number = math.nan if isinstance(value, (bool, list, dict)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: `{name}` = {value!r}; a finite number was expected.")
    return number
