"""The commands `train`, `evaluate` and `models`, as a user types them."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff.cli.main import app
from alignn_ff.pretrained import default_model

SETTINGS = """
data: frames.extxyz
model: {name: alignn_smooth, cutoff: 4.0, hidden_features: 8, message_features: 8, density_channels: 4}
epochs: 2
batch_size: 4
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["config_type"] = "hot" if seed % 2 else "cold"
        frames.append(atoms)
    write("frames.extxyz", frames)
    (tmp_path / "config.yaml").write_text(SETTINGS)
    return tmp_path


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def test_train_then_evaluate(folder):
    said = call("train", "config.yaml", "--output_dir=run", "--no-progress-bar")
    assert "meV/Å" in said and "best_model.safetensors" in said
    rows = json.loads(call("evaluate", "run/best_model.safetensors", "frames.extxyz", "--json"))
    assert {row["of"] for row in rows if row["by"] == "group"} == {"hot", "cold"}
    assert {row["of"] for row in rows if row["by"] == "element"} == {"Cu"}
    assert {row["quantity"] for row in rows} == {"energy", "forces", "stress"}
    written = {path.name for path in (folder / "evaluate-best_model").iterdir()}
    assert "evaluation_errors.json" in written and "evaluation_parity_forces_by_group.png" in written


def test_train_refuses_a_used_folder_until_told(folder):
    arguments = ("train", "config.yaml", "--output_dir=run", "--no-progress-bar")
    call(*arguments)
    before = (folder / "run" / "history.csv").read_text()
    assert "--overwrite" in call(*arguments, code=2)
    assert (folder / "run" / "history.csv").read_text() == before
    call(*arguments, "--overwrite", "--random_seed=5")
    assert (folder / "run" / "history.csv").read_text() != before


def test_print_config_shows_every_field_and_trains_nothing(folder):
    shown = json.loads(call("train", "config.yaml", "--epochs=7", "--print-config"))
    assert shown["epochs"] == 7 and shown["model"]["max_degree"] == 3
    assert not (folder / "alignn_ff_run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "config.yaml", "--epcohs=3"), "did you mean `epochs`?"),
        (("train", "config.yaml", "--n_train=500"), "500 training"),
        (("train", "config.yaml", "--forces_key=nonesuch"), "no training structure has any"),
        (("train", "missing.yaml"), "cannot be read"),
        (("train", "config.yaml", "--overwrite", "--resume"), "exclude each other"),
        (("train", "config.yaml", "--resume", "--output_dir=none"), "no run to resume"),
        (("evaluate", "no-such-model", "frames.extxyz"), "neither a file nor a known name"),
        (("evaluate", "frames.extxyz", "frames.extxyz"), "not a readable .safetensors model"),
        (("evaluate", "mlearn-six", "frames.extxyz", "--stress-unit", "psi"), "stress unit 'psi' is unknown"),
        (("models", "info", "mlearn-sex"), "did you mean `mlearn-six`?"),
    ],
)
def test_bad_input_is_one_paragraph_and_leaves_nothing(folder, words, message):
    before = set(folder.iterdir())
    said = call(*words, code=2)
    assert message in said and "Traceback" not in said
    assert set(folder.iterdir()) == before


def test_models_are_listed_with_card_and_path():
    assert default_model() in call("models", "list")
    assert "TensorNet" in call("models", "info", default_model())
    assert call("models", "path", default_model()).strip().endswith(".safetensors")


def test_reference_energies_on_the_command_line(folder):
    frames = read("frames.extxyz", index=":")
    lowest = min(atoms.get_potential_energy() for atoms in frames) / 4
    found = json.loads(call("data", "references", "frames.extxyz", "--compound=Cu4", "--json"))
    assert found["energies"] == pytest.approx({"Cu": lowest}) and found["method"] == "reference_compounds"
    mean = sum(atoms.get_potential_energy() for atoms in frames) / sum(map(len, frames))
    assert f"{mean:.6f}" in call("data", "references", "frames.extxyz")
    for atoms in frames:
        atoms.symbols[:2] = "Ni"
    write("alloy.extxyz", frames)
    assert "do not determine the reference energies of cu ni" in call("data", "references", "alloy.extxyz").lower()
    fixed = json.loads(call("data", "references", "alloy.extxyz", "--fix", "Ni=-1.5", "--json"))
    assert fixed["undetermined"] == [] and fixed["energies"]["Cu"] == pytest.approx(2 * mean + 1.5)
    assert "say H=-13.6" in call("data", "references", "alloy.extxyz", "--fix", "Ni", code=2)
