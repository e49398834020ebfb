"""A property model by the commands: train, predict, and refused where a force field is needed."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.cli.main import app

CONFIG = """
data: frames.extxyz
target: gap
unit: eV
n_train: 6
n_val: 2
n_test: 2
model: {name: alignn, cutoff: 3.5, three_body_cutoff: 3.0, alignn_layers: 1, gcn_layers: 0, hidden_features: 8}
epochs: 2
batch_size: 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    frames = []
    for place in range(10):
        frames.append(
            bulk("CuNi"[: 2 + 2 * (place % 2)], "fcc" if place % 2 == 0 else "rocksalt", a=3.6 + 0.03 * place)
        )
        frames[-1].info["gap"] = 0.1 * place
    write("frames.extxyz", frames)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def test_train_then_predict(folder):
    said = call("train", "config.yaml", "--output_dir=run", "--no-progress-bar")
    assert "gap, best epoch" in said and "baseline mae" in said and "alignn-ff predict" in said
    assert (folder / "run" / "prediction_results_test_set.csv").is_file()
    found = json.loads(call("predict", "run/best_model.safetensors", "frames.extxyz", "--json"))
    assert found["predicts"] == "gap (eV)" and len(found["rows"]) == 10
    assert found["rows"][3]["structure"] == "frames.extxyz@3"
    assert "frames.extxyz@3" in call("predict", "run/best_model.safetensors", "frames.extxyz")
    refused = call("relax", "frames.extxyz", "--model=run/best_model.safetensors", code=2)
    assert "predicts gap (eV); it is a property model" in " ".join(refused.split())
    refused = call("predict", "mlearn-six", "frames.extxyz", code=2)
    assert "is a force field" in " ".join(refused.split())


def test_fields_of_a_force_field_are_refused(folder):
    assert "unknown field `zbl`" in call("train", "config.yaml", "--zbl=true", code=2)
    assert json.loads(call("train", "config.yaml", "--print-config"))["model"]["hidden_features"] == 8
