"""A committee's mean and spread: published numbers, agreement with its members, folders that moved."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.calculator.committee import CommitteeCalculator, _spreads
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.cli.main import app
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.io import from_ase
from alignn_ff.models import Committee
from tests.conftest import random_potential

MEMBERS = [random_potential(seed=seed) for seed in (0, 1, 2)]


def silicon(amplitude: float = 0.1):
    atoms = bulk("Si", cubic=True)
    atoms.rattle(amplitude, seed=1)
    return atoms


def test_spread_as_published():
    """Energies 1, 2, 4 and one atom's forces (1,0,0), (0,0,0), (2,3,0)."""
    forces = torch.tensor([[[1.0, 0, 0]], [[0, 0, 0]], [[2, 3, 0]]], dtype=torch.float64)
    stacked = {"energy": torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64), "forces": forces}
    (spread,) = _spreads(stacked, from_ase(molecule("O2")[:1]))
    assert spread["energy_std"] == pytest.approx(1.247219128925)
    assert spread["forces_std"][0] == pytest.approx([0.816496580928, 1.414213562373, 0])
    assert spread["force_uncertainty"] == pytest.approx([0.743570047767])
    assert "stress_std" not in spread


def test_mean_and_spread_are_those_of_the_members():
    atoms = silicon()
    said = [AlignnFFCalculator(member, domain_check=False).evaluate([atoms])[0] for member in MEMBERS]
    atoms.calc = CommitteeCalculator(MEMBERS, domain_check=False)
    for name in ("energy", "forces", "stress"):
        each = np.array([result[name] for result in said])
        atoms.get_forces()
        assert atoms.calc.results[name] == pytest.approx(each.mean(0), abs=1e-10)
        assert atoms.calc.results[f"{name}_std"] == pytest.approx(each.std(0), abs=1e-10)
    assert atoms.calc.results["energy_std"] > 0


def test_many_at_once_are_each_as_alone():
    structures = [silicon(), molecule("H2O"), silicon(0.3)]
    calculator = CommitteeCalculator(MEMBERS, domain_check=False)
    together = calculator.evaluate(structures, batch_edges=1)
    for packed, own in zip(calculator.evaluate(structures), together, strict=True):
        assert set(packed) == set(own)
        for name, value in own.items():
            assert packed[name] == pytest.approx(value, abs=1e-9), name
    assert "stress_std" not in together[1]


def test_members_all_alike_agree():
    result = CommitteeCalculator([MEMBERS[0]] * 3, domain_check=False).evaluate([silicon()])[0]
    assert result["energy_std"] < 1e-12 and result["force_uncertainty"].max() < 1e-12


@pytest.mark.parametrize("by", ["forces", "energy"])
def test_most_uncertain_come_first(by):
    structures = [silicon(0.0), silicon(0.4), silicon(0.1), silicon(0.2)]
    calculator = CommitteeCalculator(MEMBERS, domain_check=False)
    top = calculator.top_uncertain(structures, 3, by=by)
    spreads = [
        r["force_uncertainty"].max() if by == "forces" else r["energy_std"] / 8 for r in calculator.evaluate(structures)
    ]
    assert [place for place, _ in top] == np.argsort(spreads)[::-1][:3].tolist()
    assert [spread for _, spread in top] == pytest.approx(sorted(spreads)[::-1][:3])


def trained(folder):
    """What a committee's training leaves behind, as far as loading goes."""
    for k, member in enumerate(MEMBERS):
        (folder / f"member_{k}").mkdir(parents=True)
        save_checkpoint(folder / f"member_{k}" / "best_model.safetensors", member)
    save_checkpoint(folder / "best_model.safetensors", Committee(MEMBERS))
    (folder / "config.json").write_text(json.dumps({"committee_size": 3}))
    return folder


def test_folder_that_moved_still_loads(tmp_path):
    before = CommitteeCalculator(trained(tmp_path / "here"), domain_check=False).evaluate([silicon()])[0]
    shutil.move(tmp_path / "here", tmp_path / "there")
    after = CommitteeCalculator(tmp_path / "there", domain_check=False).evaluate([silicon()])[0]
    assert after["energy"] == before["energy"] and after["energy_std"] == before["energy_std"] > 0
    for k in range(3):
        shutil.rmtree(tmp_path / "there" / f"member_{k}")
    alone = CommitteeCalculator(str(tmp_path / "there"), domain_check=False).evaluate([silicon()])[0]
    assert alone["energy_std"] == before["energy_std"]


def test_member_that_is_missing_is_an_error(tmp_path):
    shutil.rmtree(trained(tmp_path / "run") / "member_1")
    with pytest.raises(CheckpointError, match=r"of 3 members was expected.*member_0, member_2"):
        CommitteeCalculator(tmp_path / "run")


@pytest.mark.parametrize("alone", [MEMBERS[0], [MEMBERS[0]]])
def test_one_model_is_no_committee(alone):
    with pytest.raises(ConfigError, match="is a single model"):
        CommitteeCalculator(alone)


def test_table_holds_what_the_members_said(tmp_path):
    structures = [silicon(0.1), molecule("H2O"), silicon(0.4)]
    prediction = CommitteeCalculator(MEMBERS, domain_check=False).predict(structures)
    assert len(prediction) == 3 and prediction[1]["energy"] == prediction.results[1]["energy"]
    prediction.write_csv(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["formula"] for row in rows] == ["Si8", "H2O", "Si8"]
    for row, atoms in zip(rows, structures, strict=True):
        own = [AlignnFFCalculator(m, domain_check=False).evaluate([atoms])[0]["energy"] for m in MEMBERS]
        assert [float(row[f"energy_{k}"]) for k in range(3)] == pytest.approx(own)
        assert float(row["energy_std"]) == pytest.approx(np.std(own))
        assert float(row["energy_std_per_atom"]) == pytest.approx(np.std(own) / len(atoms))
    assert prediction.top_uncertain(1)[0][0] == int(np.argmax([float(row["max_force_uncertainty"]) for row in rows]))


def test_a_committee_is_predicted_with_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "run")
    write("si.extxyz", [silicon(0.1), silicon(0.4)])
    words = ["predict", "run", "si.extxyz"]
    rows = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert [row["structure"] for row in rows] == ["si.extxyz@0", "si.extxyz@1"]
    said = CliRunner().invoke(app, [*words, "--top", "1", "--out", "table.csv"])
    assert said.exit_code == 0 and "si.extxyz@1" in said.output and "si.extxyz@0" not in said.output
    table = [line.split(",")[:2] for line in (tmp_path / "table.csv").read_text().splitlines()]
    assert table == [["index", "structure"], ["1", "si.extxyz@1"], ["0", "si.extxyz@0"]]  # the worst first
    worst = max(rows, key=lambda row: row["energy_std_per_atom"])["structure"]
    said = CliRunner().invoke(app, [*words, "--top", "1", "--by", "energy"])
    assert said.exit_code == 0 and worst in said.output
    assert CliRunner().invoke(app, [*words, "--by", "stress"]).exit_code == 2
    again = CliRunner().invoke(app, [*words, "--out", "table.csv"])
    assert again.exit_code == 2 and "exists already" in again.output
