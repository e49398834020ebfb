"""`alignn-ff models convert`: published weights to one file of ours, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from alignn_ff import predict_property
from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.cli.main import app
from tests.reference import test_property_models
from tests.reference.test_upstream import published, structure


def call(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, " ".join(done.output.split())


def energy(path: Path) -> float:
    return AlignnFFCalculator(path, dtype="float64").evaluate([structure("slab")])[0]["energy"]


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return published("pure_matpes", tmp_path / "matpes")


def test_there_and_back(source, tmp_path):
    ours, theirs = tmp_path / "model.safetensors", tmp_path / "out"
    assert call("models", "convert", source, ours)[0] == 0
    assert call("models", "convert", ours, theirs)[0] == 0
    assert sorted(file.name for file in theirs.iterdir()) == ["best_model.pt", "config.json"]
    assert energy(source) == energy(ours) == energy(theirs)


def test_a_property_model_there_and_back(tmp_path):
    (tmp_path / "gap").mkdir()
    source = test_property_models.published("alignn_three_outputs", tmp_path / "gap")
    ours, theirs = tmp_path / "model.safetensors", tmp_path / "out"
    assert call("models", "convert", source, ours)[0] == 0
    assert call("models", "convert", ours, theirs)[0] == 0
    assert sorted(file.name for file in theirs.iterdir()) == ["best_model.pt", "config.json"]
    first, *others = (predict_property(path, [structure("slab")]).tolist() for path in (source, ours, theirs))
    assert others == [first, first]


def test_what_is_no_model_is_refused(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a model")
    for source, word in ((broken, "not a readable"), (tmp_path, "holds no"), (tmp_path / "none", "neither a file")):
        code, said = call("models", "convert", source, tmp_path / "out")
        assert code == 2 and word in said, said
        assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unless_asked(source, tmp_path):
    ours = tmp_path / "model.safetensors"
    ours.write_text("mine")
    code, said = call("models", "convert", source, ours)
    assert code == 2 and "--overwrite" in said and ours.read_text() == "mine"
    assert call("models", "convert", source, ours, "--overwrite")[0] == 0
    code, said = call("models", "convert", ours, source)
    assert code == 2 and "not empty" in said
    assert call("models", "convert", ours, source, "--overwrite")[0] == 0
    assert energy(ours) == energy(source)


def test_a_model_that_upstream_lacks_is_refused(source, tmp_path):
    code, said = call("models", "convert", "mlearn-six", tmp_path / "out")
    assert code == 2 and "upstream has no model like this" in said
    assert not (tmp_path / "out").exists()


def test_a_published_folder_is_a_model_for_every_command(source, tmp_path):
    write(tmp_path / "ni.extxyz", bulk("NiO", "rocksalt", a=4.2))
    code, said = call("relax", "ni.extxyz", "--model", source, "--fmax", 5, "--cell", "none", "--no-progress-bar")
    assert code == 0, said
    summary = json.loads((tmp_path / "ni-relax" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["model"]["sha256"]
