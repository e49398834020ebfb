"""`alignn-ff distill`, as a user types it: from a calculator to a potential."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff import AlignnFFCalculator
from alignn_ff.cli.main import app
from alignn_ff.distill.student import student_fields

SMALL = "model: {name: alignn_smooth, cutoff: 4.0, hidden_features: 8, message_features: 8, density_channels: 4}\n"
TRAINING = f"{SMALL}epochs: 2\nbatch_size: 8\ntrain_ratio: 0.6\nval_ratio: 0.2\ntest_ratio: 0.2\n"
QUICK = ("--max-atoms", "6", "--md-share", "0", "--perturbed", "1", "--no-progress-bar")
COPPER_GOLD = ("distill", "--teacher", "emt", "--elements", "Cu,Au", "--families", "8", "--output", "out", *QUICK)

SLOW = """
import time
from pathlib import Path
from ase.calculators.emt import EMT

class Slow(EMT):
    def calculate(self, *arguments, **named):
        super().calculate(*arguments, **named)
        time.sleep(0.05)
        with (Path(__file__).parent / "count").open("a") as file:
            file.write(".")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "training.yaml").write_text(TRAINING)
    return tmp_path


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_from_calculator_to_potential(folder):
    said = call(*COPPER_GOLD, "--train", "training.yaml")
    assert "distill emt: finished" in said and "meV/Å" in said and "best_model.safetensors" in said
    frames = read("out/frames.extxyz", ":")
    student = AlignnFFCalculator("out/student-8/best_model.safetensors", domain_check=False)
    alloy = bulk("Cu", cubic=True, a=3.7)
    alloy.symbols[0] = "Au"
    alloy.calc = student
    assert np.isfinite(alloy.get_potential_energy()) and np.isfinite(alloy.get_stress()).all()

    ids = json.loads(Path("out/student-8/ids_train_val_test.json").read_text())
    families = {part: {frames[int(key.split("@")[1])].info["seed"] for key in keys} for part, keys in ids.items()}
    assert sum(map(len, ids.values())) == len(frames) and all(families.values())
    assert sum(map(len, families.values())) == len(set.union(*families.values()))  # no family on two sides

    assert "distill emt: finished" in call(*COPPER_GOLD, "--train", "training.yaml")  # again: nothing left to do
    other = folder / "longer.yaml"
    other.write_text(TRAINING.replace("epochs: 2", "epochs: 3"))
    assert "epochs" in call(*COPPER_GOLD, "--train", "longer.yaml", code=2)


def test_without_training_it_leaves_a_config_to_train_with(folder):
    structures = [bulk("Cu", a=3.5), bulk("Au", a=4.2)]
    write("mine.extxyz", structures)
    said = call(*COPPER_GOLD, "--no-train", "--seeds", "mine.extxyz", "--seed", "3")
    assert "first failure" not in said and "left out" in said
    sources = {frame.info["source"] for frame in read("out/frames.extxyz", ":")}
    assert {"mine.extxyz@0", "mine.extxyz@1"} <= sources
    assert not Path("out/student-8").exists()
    words = ("train", "out/train.yaml", "--epochs=1", "--model={cutoff: 4.0, hidden_features: 8}", "--print-config")
    config = json.loads(CliRunner().invoke(app, list(words)).output)
    assert config["data"] == ["out/frames.extxyz"] and config["split_group_key"] == "seed"
    assert config["group_key"] == "tag"
    assert config["output_dir"] == "out/student-8"


def test_files_named_in_the_training_config_are_found_from_its_folder(folder):
    (folder / "configs").mkdir()
    path = folder / "configs" / "training.yaml"
    path.write_text(TRAINING + "validation_data: held_out.extxyz\nsplit_group_key: source\n")
    fields = student_fields(path, Path("out"), 8)
    assert fields["validation_data"] == str(folder / "configs" / "held_out.extxyz")
    assert fields["split_group_key"] == "source" and fields["group_key"] == "tag"  # the user's choice wins


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--elements", "Cu,Q"), "element 'Q' is unknown"),
        (("--teacher", "ase:emd"), "did you mean `emt`"),
        (("--families", "0"), "at least one of each"),
        (("--slab-share", "2"), "more than 1"),
        (("--max-temperature-k", "10"), "at least 300 K"),
        (("--config", "none.yaml"), "none.yaml cannot be read"),
        (("--seeds", "none.xyz"), "none.xyz does not exist"),
        (("--train", "training.yaml", "--no-train"), "exclude each other"),
        (("--train", "with_data.yaml"), "which distill sets itself"),
        (("--train", "misspelt.yaml"), "did you mean `epochs`"),
    ],
)
def test_bad_input_is_one_paragraph_and_leaves_nothing(folder, words, message):
    (folder / "with_data.yaml").write_text(TRAINING + "data: frames.extxyz\n")
    (folder / "misspelt.yaml").write_text(TRAINING.replace("epochs", "epcohs"))
    before = set(folder.iterdir())
    said = call(*COPPER_GOLD, *words, code=2)
    assert message in said and "Traceback" not in said
    assert set(folder.iterdir()) == before


def test_another_seed_in_the_same_folder_is_refused(folder):
    call(*COPPER_GOLD, "--no-train")
    assert "begun with another recipe: settings" in call(*COPPER_GOLD, "--no-train", "--seed", "1", code=2)


def test_ctrl_c_keeps_what_was_labelled_and_the_same_command_goes_on(folder):
    """The signal goes to the whole group, workers included, as a terminal sends it."""
    (folder / "slow.py").write_text(SLOW)
    words = ["distill", "--teacher", "slow.py:Slow", "--elements", "Cu,Au", "--families", "8", "--output", "slow"]
    command = [sys.executable, "-m", "alignn_ff.cli.main", *words, "--workers", "2", "--no-train", *QUICK]
    run = subprocess.Popen(command, cwd=folder, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (folder / "count").exists() or (folder / "count").stat().st_size < 15:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(300) == 130
    kept = json.loads((folder / "slow" / "provenance.json").read_text())
    assert kept["status"] == "interrupted" and 0 < kept["families"] < 8
    call(*words, "--no-train", *QUICK)
    call(*COPPER_GOLD, "--no-train")
    assert Path("slow/frames.extxyz").read_bytes() == Path("out/frames.extxyz").read_bytes()
