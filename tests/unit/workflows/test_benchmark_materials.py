"""Tables of materials: three formats say the same, and what is wrong with one is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import write

from alignn_ff.errors import DataError
from alignn_ff.workflows.benchmark_materials import HELP, read_materials
from alignn_ff.workflows.benchmark_properties import PROPERTIES
from alignn_ff.workflows.benchmark_quantities import QUANTITIES, REFERENCES

ENTRIES = [
    {"name": "Cu", "formula": "Cu", "prototype": "fcc", "a": 3.6, "c11_gpa": 175, "source": "a; book"},
    {"name": "two", "structure": "two.extxyz@0", "lattice_a_angstrom": 4.04, "poisson_ratio": 0.3},
]


def toml(entries):
    lines = []
    for entry in entries:
        lines += ["[[materials]]", *(f"{name} = {json.dumps(value)}" for name, value in entry.items())]
    return "\n".join(lines)


def csv(entries):
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    rows = [",".join(str(entry.get(name, "")) for name in names) for entry in entries]
    return "\n".join([", ".join(names), *rows])


FORMATS = {".toml": toml, ".csv": csv, ".json": lambda entries: json.dumps({"materials": entries})}


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "two.extxyz", [bulk("Al", a=4.1), bulk("Ni")])
    write(tmp_path / "co.xyz", molecule("CO"))
    return tmp_path


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_formats_say_the_same(folder, suffix):
    path = folder / f"table{suffix}"
    path.write_text(FORMATS[suffix](ENTRIES))
    copper, other = read_materials(path)
    assert (copper.name, copper.references, copper.source) == ("Cu", {"c11": 175.0}, "a; book")
    assert copper.atoms == bulk("Cu", "fcc", a=3.6)
    assert other.references == {"lattice_a": 4.04, "poisson_ratio": 0.3} and other.source == ""
    assert str(other.atoms.symbols) == "Al" and np.allclose(other.atoms.cell.lengths(), 4.1 / np.sqrt(2))


@pytest.mark.parametrize(
    ("field", "value", "quantity", "expected"),
    [
        ("lattice_a_bohr", 7.6, "lattice_a", 4.021747),
        ("c11_kbar", 1750.0, "c11", 175.0),
        ("bulk_modulus_ev_per_angstrom3", 1.0, "bulk_modulus", 160.2176634),
        ("max_frequency_per_cm", 100.0, "max_frequency", 2.99792458),  # ν = c k
        ("max_frequency_mev", 10.0, "max_frequency", 2.417989),  # ν = E / h
        ("heat_capacity_300k_kb", 3.0, "heat_capacity_300k", 24.943388),  # 3 R
        ("free_energy_300k_kj_per_mol", 96.48533, "free_energy_300k", 1.0),
        ("volume_per_atom_nm3", 0.016, "volume_per_atom", 16.0),
        ("debye_temperature_k", 343.0, "debye_temperature", 343.0),
    ],
)
def test_units(folder, field, value, quantity, expected):
    path = folder / "t.json"
    path.write_text(FORMATS[".json"]([{"name": "x", "formula": "Cu", "prototype": "fcc", field: value}]))
    (found,) = read_materials(path)
    assert found.references == {quantity: pytest.approx(expected, rel=1e-6)}


def test_every_quantity_can_be_given_and_belongs_to_a_property():
    assert {one.property for one in QUANTITIES.values()} == set(PROPERTIES)
    assert {one.quantity for one in REFERENCES.values()} == set(QUANTITIES)
    assert {word.strip(",.;:()") for word in HELP.split() if "_" in word} <= set(REFERENCES)


COPPER = ENTRIES[0]
BAD = [
    ({"name": "x", "formula": "Cu", "prototype": "fcc", "c11": 1.0}, "unknown field `c11` (did you mean `c11_gpa`?)"),
    ({"formula": "Cu", "prototype": "fcc", "c11_gpa": 1.0}, "material 1: it has no `name`"),
    ({"name": "a, b", "c11_gpa": 1.0}, "without commas"),
    ({"name": "x", "formula": "Cu", "prototype": "fcc"}, "(x): it has no reference value"),
    ({"name": "x", "formula": "Cu", "c11_gpa": 1.0}, "neither a `structure` file"),
    ({"name": "x", "formula": "Cu", "prototype": "cubist", "c11_gpa": 1.0}, "ASE cannot build Cu as cubist"),
    ({"name": "x", "formula": "NaCl", "prototype": "rocksalt", "c11_gpa": 1.0}, "no lattice constants"),
    ({"name": "x", "formula": "Cu", "prototype": "fcc", "c11_gpa": "much"}, "`c11_gpa` = 'much'; a finite number"),
    ({"name": "x", "formula": "Cu", "prototype": "fcc", "c11_gpa": True}, "a finite number was expected"),
    ({"name": 3, "c11_gpa": 1.0}, "`name` = 3; a text was expected"),
    ({**COPPER, "c11_kbar": 1750.0}, "`c11` is given in two units"),
    ({**COPPER, "structure": "two.extxyz"}, "`structure` leaves nothing to say for `formula`"),
    ({"name": "x", "structure": "none.cif", "c11_gpa": 1.0}, "none.cif does not exist"),
    ({"name": "x", "structure": "two.extxyz@:", "c11_gpa": 1.0}, "means 2 structures; one was expected"),
    ({"name": "x", "structure": "co.xyz", "c11_gpa": 1.0}, "is no crystal"),
]


@pytest.mark.parametrize(("entry", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_wrong_with_a_material_is_said(folder, entry, message):
    path = folder / "t.json"
    path.write_text(FORMATS[".json"]([entry]))
    with pytest.raises(DataError) as caught:
        read_materials(path)
    assert message in str(caught.value) and "material 1" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.xlsx", "", "one of .toml, .json, .csv was expected"),
        ("t.json", "[1", "is no JSON"),
        ("t.toml", "materials =", "is no TOML"),
        ("t.json", '{"crystals": []}', "no list `materials`"),
        ("t.json", '{"materials": [1]}', "no list `materials`"),
        ("t.json", '{"materials": []}', "holds no materials"),
        ("t.csv", "name,c11_gpa\n", "holds no materials"),
        ("t.csv", "name,c11_gpa\nCu,1,2\n", "line 2: it has more or fewer cells"),
        ("t.csv", "name,c11_gpa\nCu\n", "line 2: it has more or fewer cells"),
        ("t.json", json.dumps({"materials": [COPPER, COPPER]}), "names Cu more than once"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        read_materials(tmp_path / name)
    assert message in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_materials(tmp_path / "none.csv")


def test_the_example_is_a_table():
    found = read_materials(Path(__file__).parents[3] / "examples" / "benchmark.toml")
    assert [material.name for material in found] == ["Al", "Si", "Ge", "C"]
    assert found[0].references["c44"] == 32.0 and all(material.source for material in found)
