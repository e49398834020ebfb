"""Services that are told the history: what they are told, once, offline, and a refusal before the work."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ase.io import write

from alignn_ff.errors import ConfigError
from alignn_ff.training import TrainConfig, train
from alignn_ff.training.logs import LOGS, Log, Logs, check_installed, tagged
from tests.end_to_end.test_training import SMALL_MODEL, emt_frames

ROWS = [
    {"epoch": e, "learning_rate": 0.1 / e, "train_loss": 2.0 / e, "valid_energy_mae_mev_per_atom": 9.0}
    for e in (1, 2, 3)
]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulator.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_names_are_grouped_as_the_services_do():
    assert tagged(ROWS[0]) == {"learning_rate": 0.1, "train/loss": 2.0, "valid/energy_mae_mev_per_atom": 9.0}


def test_tensorboard_holds_every_epoch_once_after_a_resume(tmp_path):
    """A run killed after it told the third epoch, but before it kept it, tells the third again."""
    pytest.importorskip("tensorboard")
    first = Logs(["tensorboard"], tmp_path, {"epochs": 3})
    for row in ROWS:
        first.write(row)
    first.close()
    second = Logs(["tensorboard"], tmp_path, {"epochs": 3}, done=2)
    second.write({**ROWS[2], "train_loss": 0.5})
    second.close()
    found = scalars(tmp_path)
    assert set(found) == set(tagged(ROWS[0]))
    assert found["train/loss"] == [(1, 2.0), (2, 1.0), (3, 0.5)]


def test_wandb_keeps_a_run_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "si"
    folder.mkdir()
    logs = Logs(["wandb"], folder, {"epochs": 3})
    for row in ROWS:
        logs.write(row)
    logs.close()
    name = (folder / "wandb_run.txt").read_text().strip()
    (kept,) = folder.glob(f"wandb/offline-run-*-{name}/run-{name}.wandb")
    end = time.monotonic() + 20.0  # a process of wandb's own writes it, a little after `close`
    while b"valid/energy_mae_mev_per_atom" not in kept.read_bytes() and time.monotonic() < end:
        time.sleep(0.05)
    content = kept.read_bytes()
    assert b"valid/energy_mae_mev_per_atom" in content and b"epochs" in content


def test_a_training_tells_what_its_history_says(tmp_path):
    pytest.importorskip("tensorboard")
    write(tmp_path / "emt.extxyz", emt_frames(8))
    fields = {"data": (str(tmp_path / "emt.extxyz"),), "model": SMALL_MODEL, "output_dir": str(tmp_path / "run")}
    train(TrainConfig(**fields, epochs=2, n_train=6, n_val=2, n_test=0, loggers=("tensorboard",), device="cpu"))
    rows = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    found = scalars(tmp_path / "run")
    assert [value for _, value in found["valid/loss"]] == pytest.approx([row["valid_loss"] for row in rows])
    assert set(found) == set(tagged(rows[0]))


def test_a_missing_package_is_told_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("alignn_ff.training.logs.find_spec", lambda name: None)
    config = TrainConfig(data=("absent.xyz",), loggers=("wandb",), output_dir=str(tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"wandb is not installed. Install it \(pip install 'alignn-ff\[wandb\]'\)"):
        train(config)
    assert not (tmp_path / "run").exists()
    check_installed(())


def test_another_service_is_one_line_of_the_table(tmp_path, monkeypatch):
    told: list[dict[str, Any]] = []

    class Memory(Log):
        def __init__(self, folder, settings, done):
            told.append({"done": done, **settings})

        def write(self, row):
            told.append(row)

        def close(self):
            told.append({"closed": True})

    monkeypatch.setattr("tests.unit.test_logs.Memory", Memory, raising=False)
    monkeypatch.setitem(LOGS, "memory", "tests.unit.test_logs:Memory")
    logs = Logs(["memory"], tmp_path, {"epochs": 3}, done=1)
    logs.write(ROWS[1])
    logs.close()
    assert told == [{"done": 1, "epochs": 3}, ROWS[1], {"closed": True}]
