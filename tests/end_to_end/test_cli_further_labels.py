"""Commands on labels beside energies: `evaluate`, and `data inspect`, `lint` and `convert`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.cli.main import app
from alignn_ff.data.sources import Keys, read_samples
from alignn_ff.evaluate import evaluate
from alignn_ff.io import from_ase, with_extra_features
from alignn_ff.models import build
from alignn_ff.neighbors import connect

KEYS = ("--atomwise-key=charges", "--atomwise-key=bader", "--additional-key=gap")
TOLD = "--extra-features-key=field"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Six structures with charges and Bader charges, a gap and a field; the last has no charges."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")
    write("data.extxyz", frames())
    return tmp_path


def frames() -> list[Atoms]:
    rng, found = np.random.default_rng(0), []
    for place in range(6):
        atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
        atoms.positions += rng.normal(0, 0.1, (8, 3))
        labels = {"energy": -20.0 + rng.normal(), "forces": rng.normal(0, 0.01, (8, 3))}
        atoms.calc = SinglePointCalculator(atoms, **labels, **({"charges": rng.normal(size=8)} if place < 5 else {}))
        atoms.arrays["bader"] = rng.normal(size=8)
        atoms.info |= {"gap": rng.normal(), "field": rng.normal(size=2), "comment": "of EMT"}
        found.append(atoms)
    return found


@pytest.fixture
def model(folder) -> str:
    torch.manual_seed(0)
    network = build({
        "name": "alignn_atomwise_pure", "elements": ["Na", "Cl"], "hidden_features": 6, "alignn_layers": 0,
        "atomwise_output_features": 2, "additional_output_features": 1, "extra_features": 2,
    })  # fmt: skip
    save_checkpoint("model.safetensors", network.double())
    return "model.safetensors"


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_evaluate_compares_what_the_model_says_beside_energies(folder, model):
    rows = json.loads(call("evaluate", model, "data.extxyz", *KEYS, TOLD, "--json"))
    found = {row["quantity"]: row for row in rows if row["by"] == "all"}
    atoms = read("data.extxyz", ":")
    errors: dict[str, list[float]] = {"atomwise": [], "additional": [], "energy": []}
    potential = AlignnFFCalculator(model).potential
    for one in atoms:
        one.info["extra_features"] = one.info["field"]
        graph = connect(with_extra_features(from_ase(one), one, 2), **potential.wants)
        said = evaluate(potential, graph)
        charges = one.calc.results.get("charges", np.full(8, np.nan))
        labels = np.stack([charges, one.arrays["bader"]], axis=1)
        errors["atomwise"] += [e for e in np.abs(said.atomwise.numpy() - labels).ravel() if np.isfinite(e)]
        errors["additional"].append(abs(float(said.additional) - one.info["gap"]))
        errors["energy"].append(1000 * abs(float(said.energy) - one.get_potential_energy()) / 8)
    for quantity, values in errors.items():
        assert found[quantity]["mae"] == pytest.approx(np.mean(values), rel=1e-9), quantity
        assert found[quantity]["count"] == len(values)
    assert found["atomwise"]["count"] == 6 * 8 + 5 * 8
    said = call("evaluate", model, "data.extxyz", *KEYS, TOLD, "--out=tables")
    assert "atomwise (as labelled)" in said and "additional (as labelled)" in said
    assert (folder / "tables" / "evaluation_parity_atomwise_by_element.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((TOLD, "--atomwise-key=charges"), "has 1 atomwise values, and the model gives 2"),
        ((TOLD, "--atomwise-key=mulliken"), "--atomwise-key: no structure has values called mulliken"),
        ((TOLD, "--additional-key=moment"), "--additional-key: no structure has values called moment"),
        ((TOLD, "--additional-key=comment"), "additional values cannot be read as numbers"),
        ((), "structure data.extxyz@0 has no extra features, and the model wants 2"),
        (("--extra-features-key=gap",), "has 1 extra features, and the model wants 2"),
    ],
)
def test_evaluate_says_what_does_not_fit_and_leaves_nothing(folder, model, words, said):
    before = set(folder.iterdir())
    assert said in call("evaluate", model, "data.extxyz", *words, code=2)
    assert set(folder.iterdir()) == before


def test_evaluate_reads_no_values_for_a_model_that_gives_none(folder):
    atoms = frames()
    for one in atoms:
        one.info |= {"additional_output": 1.0, "extra_features": [1.0]}
        one.arrays["atomwise"] = np.ones(8)
    write("named.extxyz", atoms)
    save_checkpoint("plain.safetensors", build({"name": "zbl", "elements": ["Na", "Cl"]}))
    rows = json.loads(call("evaluate", "plain.safetensors", "named.extxyz", "--json"))
    assert {row["quantity"] for row in rows} == {"energy", "forces"}
    refused = call("evaluate", "plain.safetensors", "named.extxyz", "--atomwise-key=charges", "--overwrite", code=2)
    assert "has 1 atomwise values, and the model gives 0" in refused


def test_inspect_sees_them_and_says_what_it_did_not_read(folder):
    found = json.loads(call("data", "inspect", "data.extxyz", *KEYS, TOLD, "--json"))
    atoms = read("data.extxyz", ":")
    gaps = [one.info["gap"] for one in atoms]
    assert found["values of structures"]["gap"] == pytest.approx([min(gaps), np.mean(gaps), max(gaps)])
    assert set(found["values of atoms"]) == {"charges", "bader"}
    assert set(found["extra features"]) == {"field_0", "field_1"}
    assert found["without"] == {"energy": 0, "forces": 0, "stress": 6, "values of atoms": 0, "values of structures": 0,
                                "extra features": 0}  # fmt: skip
    assert found["not_read"] == ["comment"]
    plain = json.loads(call("data", "inspect", "data.extxyz", "--json"))
    assert plain["not_read"] == ["bader", "charges", "comment", "field", "gap"] and "values of atoms" not in plain
    assert "not read │ bader, charges, comment, field, gap" in call("data", "inspect", "data.extxyz")
    assert "charges -" in call("data", "inspect", "data.extxyz", *KEYS)


def test_lint_names_uneven_and_missing_ones(folder):
    said = call("data", "lint", "data.extxyz", "--atomwise-key=charges", "--additional-key=gap", TOLD)
    assert "values of atoms from 1" in said and "fault" not in said
    atoms = frames()
    atoms[1].info["field"] = np.ones(3)
    del atoms[2].info["field"]
    atoms[3].arrays["bader"] = np.ones((8, 2))
    write("uneven.extxyz", atoms)
    found = json.loads(call("data", "lint", "uneven.extxyz", "--atomwise-key=bader", TOLD, "--json", code=1))
    faults = [(row["kind"], row["message"], row["keys"]) for row in found if row["level"] == "fault"]
    assert [(kind, keys) for kind, _, keys in faults] == [
        ("widths", ["uneven.extxyz@3"]), ("widths", ["uneven.extxyz@1"]), ("untold", ["uneven.extxyz@2"]),
    ]  # fmt: skip
    assert "another number of extra features than 2" in faults[1][1]


@pytest.mark.parametrize("name", ["out.extxyz", "id_prop.json"])
def test_convert_carries_them(folder, name):
    said = call("data", "convert", "data.extxyz", f"--out={name}", *KEYS, TOLD)
    assert "Not carried over: comment." in said
    names = {"atomwise": ("atomwise",), "additional": ("additional_output",)} if name == "id_prop.json" else {
        "atomwise": ("charges", "bader"), "additional": ("gap",)}  # fmt: skip
    before = read_samples(
        "data.extxyz", Keys(atomwise=("charges", "bader"), additional=("gap",), extra_features="field")
    )
    after = read_samples(name, Keys(**names, extra_features="extra_features"))
    for one, other in zip(before, after, strict=True):
        for label in ("atomwise", "additional"):
            assert torch.allclose(getattr(one.targets, label), getattr(other.targets, label), equal_nan=True, atol=1e-7)
        assert torch.allclose(one.graph.extra_features, other.graph.extra_features, atol=1e-7)
    if name != "id_prop.json":
        first = read(name, "0")
        assert np.allclose(first.get_charges(), before[0].targets.atomwise[:, 0], atol=1e-7)


@pytest.mark.parametrize(("name", "lost"), [("out.traj", "bader"), ("out.db", "bader, extra_features, gap")])
def test_a_format_without_room_for_them_is_refused(folder, name, lost):
    assert f"has no place for {lost}. Write .extxyz" in call("data", "convert", "data.extxyz", f"--out={name}", *KEYS,
                                                            TOLD, code=2)  # fmt: skip
    assert not (folder / name).exists()
    call("data", "convert", "data.extxyz", "--out=charges.traj", "--atomwise-key=charges", TOLD)
    first = read("charges.traj", "0")
    assert np.allclose(first.get_charges(), frames()[0].get_charges(), rtol=0, atol=1e-7)
    assert len(first.info["extra_features"]) == 2


def test_what_is_not_named_is_told_not_to_be_carried(folder):
    said = call("data", "convert", "data.extxyz", "--out=bare.extxyz")
    assert "Not carried over: bader, charges, comment, field, gap." in said
