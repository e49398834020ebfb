"""Trainings of property models: every field counts, data on disk are the data in memory, faults end as they should."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.io import write
from matplotlib.figure import Figure

from alignn_ff.checkpoint import load_property_checkpoint
from alignn_ff.errors import AlignnFFError, CacheError, CheckpointError, ConfigError, RunawayError
from alignn_ff.training import page, property_loop, property_outcome
from alignn_ff.training.property_config import PropertyTrainConfig
from alignn_ff.training.property_data import prepare_property
from alignn_ff.training.property_loop import train_property
from alignn_ff.training.shared_fields import Keeping
from tests.unit.test_property import compounds, settings, write_json

PLAIN: dict[str, Any] = {"epochs": 2, "batch_size": 6, "model": {}}
ATOMWISE = {"name": "alignn_atomwise_property"}
PATIENT = {"learning_rate": 1e-30, "epochs": 4, "model": ATOMWISE}
RATIOS = {"train_ratio": 0.5, "val_ratio": 0.25, "test_ratio": 0.25}
WALK: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({}, {"data": "other"}),
    "validation_data": ({}, {"validation_data": "other/id_prop.json"}),
    "target": ({}, {"target": "second"}),
    "unit": ({}, {"unit": "eV"}),
    "extra_features_key": (
        {"model": {"extra_features": 1}, "extra_features_key": "more"},
        {"extra_features_key": "second"},
    ),
    "classification_threshold": (
        {"model": {"classification": True}, "classification_threshold": -1.7},
        {"classification_threshold": -2.05},
    ),
    "target_multiplication_factor": ({}, {"target_multiplication_factor": 2.0}),
    "n_train": ({}, {"n_train": 9}),
    "n_val": ({}, {"n_val": 1}),
    "n_test": ({}, {"n_test": 1}),
    "train_ratio": (RATIOS, {"train_ratio": 0.4}),
    "val_ratio": (RATIOS, {"val_ratio": 0.1}),
    "test_ratio": (RATIOS, {"test_ratio": 0.1}),
    "keep_data_order": ({}, {"keep_data_order": True}),
    "random_seed": ({}, {"random_seed": 1}),
    "model": ({}, {"model": {"cutoff": 4.4}}),
    "criterion": ({}, {"criterion": "l1"}),
    "normalize_graph_level_loss": ({}, {"normalize_graph_level_loss": True}),
    "epochs": ({}, {"epochs": 3}),
    "batch_size": ({}, {"batch_size": 4}),
    "batch_atoms": ({}, {"batch_atoms": 6}),
    "learning_rate": ({}, {"learning_rate": 0.01}),
    "optimizer": ({}, {"optimizer": "sgd"}),
    "momentum": ({"optimizer": "sgd"}, {"momentum": 0.5}),
    "weight_decay": ({}, {"weight_decay": 0.5}),
    "scheduler": ({}, {"scheduler": "cosine"}),
    "lr_total_epochs": ({}, {"lr_total_epochs": 9}),
    "plateau_patience": ({**PATIENT, "learning_rate": 1e-7, "scheduler": "plateau"}, {"plateau_patience": 0}),
    "gradient_clip": ({}, {"gradient_clip": 1e-3}),
    "ema_decay": ({"model": ATOMWISE}, {"ema_decay": 0.9}),
    "n_early_stopping": (PATIENT, {"n_early_stopping": 1}),
    "device": ({}, {"device": "cuda"}),
    "dtype": ({}, {"dtype": "float64"}),
    "use_amp": ({}, {"use_amp": True}),
    "gpu_memory_fraction": ({}, {"gpu_memory_fraction": 0.5}),
    "output_dir": ({}, {"output_dir": "elsewhere"}),
    "loggers": ({}, {"loggers": ["tensorboard"]}),
}
"""Fields of which the training tells: what is set in both cases, and what in one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two data sets."""
    found = tmp_path_factory.mktemp("property")
    for place, seed in ((found, 0), (found / "other", 1)):
        place.mkdir(exist_ok=True)
        records = json.loads((write_json(place, compounds(12, seed=seed)) / "id_prop.json").read_text())
        for k, record in enumerate(records):
            record |= {"second": 0.1 * k, "more": [0.3 * k % 1.0], "jid": f"{place.name}-{k}"}
        (place / "id_prop.json").write_text(json.dumps(records))
    return found


@pytest.fixture(autouse=True)
def blank(monkeypatch) -> None:
    """Figures are not what is looked at."""
    for module, name in ((page, "learning_curve_figure"), (property_outcome, "parity_figure")):
        monkeypatch.setattr(module, name, lambda *_: Figure(figsize=(0.1, 0.1)))


@pytest.fixture
def config(folder, tmp_path):
    """Makes a config that writes to `tmp_path / name`."""

    def make(name: str = "run", **fields: Any) -> PropertyTrainConfig:
        return settings(folder, **{**PLAIN, "output_dir": str(tmp_path / name), **fields})

    return make


def weights(folder: str | Path, name: str = "current_model") -> dict[str, torch.Tensor]:
    return dict(load_property_checkpoint(Path(folder) / f"{name}.safetensors").model.state_dict())


def assert_same_run(one: str | Path, other: str | Path) -> None:
    assert (Path(one) / "history.jsonl").read_text() == (Path(other) / "history.jsonl").read_text()
    ours, theirs = weights(one), weights(other)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_walk_is_whole():
    kept = set(Keeping.model_fields)  # place and speed of what is the same by any of them, see below
    assert set(WALK) | kept == set(PropertyTrainConfig.model_fields)


@pytest.mark.parametrize("name", WALK)
def test_each_field_changes_what_comes_out_or_is_refused(folder, monkeypatch, tmp_path, name):
    said = []
    for place, changes in enumerate(({}, WALK[name][1])):
        work = tmp_path / str(place)
        work.mkdir()
        monkeypatch.chdir(work)
        fields = {"output_dir": "run", **PLAIN, **WALK[name][0], **changes}
        fields |= {key: str(folder / fields[key]) for key in ("data", "validation_data") if key in fields}
        try:
            made = train_property(settings(folder, **fields)).folder
        except AlignnFFError as refusal:
            said.append(str(refusal))
            continue
        model = load_property_checkpoint(work / made / "best_model.safetensors").model
        names = sorted(str(path.relative_to(work)) for path in work.rglob("*") if "tfevents" not in path.name)
        values = {key: (str(t.dtype), t.tolist()) for key, t in model.state_dict().items()}
        told = [(work / made / name).read_text() for name in ("history.jsonl", "ids_train_val_test.json")]
        said.append((told, values, model.predicts, names))
    assert not isinstance(said[0], str), said[0]
    assert said[0] != said[1]


@pytest.mark.parametrize("changes", [{}, {"cache_limit_gb": 0.0}, {"num_workers": 2}, {"graph_cache_mb": 0.0}])
def test_data_on_disk_are_the_data_in_memory(config, tmp_path, changes):
    model = {"extra_features": 1}
    fields = {"model": model, "extra_features_key": "more", "dtype": "float64"}
    held = train_property(config("held", **fields, use_lmdb=False))
    on_disk = train_property(config("streamed", **fields, use_lmdb=True, **changes))
    assert_same_run(held.folder, on_disk.folder)
    for part in ("validation", "test"):
        files = [Path(run.folder) / f"prediction_results_{part}_set.csv" for run in (held, on_disk)]
        assert files[0].read_text() == files[1].read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"held", "streamed"}  # what was on disk is gone


def test_a_cache_is_read_again_and_a_foreign_one_refused(config, tmp_path):
    kept = {"use_lmdb": True, "cache_dir": str(tmp_path / "kept")}
    one = train_property(config("one", **kept)).folder
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.lmdb")}
    assert set(made) == {"data_structures.lmdb", "data_graphs.lmdb"}
    other = train_property(config("other", **kept, read_existing=True)).folder
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept").glob("*.lmdb")} == made
    assert_same_run(one, other)
    with pytest.raises(CacheError, match=r"labels\.target is 'target' there, 'second' asked for"):
        prepare_property(config("wrong", **kept, read_existing=True, target="second"))


def test_frames_of_a_file_are_read_one_by_one(config, folder, tmp_path):
    structures = [atoms for atoms, _ in compounds(12)]
    for k, atoms in enumerate(structures):
        atoms.info["target"] = float(k)
    write(tmp_path / "all.extxyz", structures, format="extxyz")
    fields = {"data": str(tmp_path / "all.extxyz"), "epochs": 1}
    runs = [train_property(config(str(on_disk), **fields, use_lmdb=on_disk)).folder for on_disk in (False, True)]
    assert_same_run(*runs)


def test_a_schedule_with_an_end_of_its_own_lets_a_run_go_on_for_longer(config):
    unbroken = train_property(config("unbroken", epochs=3, lr_total_epochs=3, scheduler="cosine"))
    first = config("broken", epochs=2, lr_total_epochs=3, scheduler="cosine")
    train_property(first)
    longer = first.model_copy(update={"epochs": 3})
    assert_same_run(unbroken.folder, train_property(longer, resume=True).folder)
    assert json.loads((Path(first.output_dir) / "config.json").read_text())["epochs"] == 3
    without = config("without")
    train_property(without)
    with pytest.raises(ConfigError, match="other values of epochs"):
        train_property(without.model_copy(update={"epochs": 3}), resume=True)


def test_a_damaged_state_falls_back_to_the_one_before(config, caplog):
    unbroken = train_property(config("unbroken", epochs=3))
    broken = config("broken", epochs=3)
    train_property(broken)
    state, before = (Path(broken.output_dir) / name for name in ("resume.pt", "resume_before.pt"))
    state.write_bytes(state.read_bytes()[:500])
    with caplog.at_level(logging.WARNING):
        again = train_property(broken, resume=True)
    assert "is damaged; going on from the state before it" in caplog.text
    assert_same_run(unbroken.folder, again.folder)
    for path in (state, before):
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"neither resume\.pt nor resume_before\.pt can be read"):
        train_property(broken, resume=True)


def test_a_loss_that_is_not_finite_names_structures(config, monkeypatch):
    original = property_loop.property_loss
    calls = []

    def strange(*arguments: Any) -> torch.Tensor:
        calls.append(None)
        return original(*arguments) * (torch.nan if len(calls) > 5 else 1.0)

    monkeypatch.setattr(property_loop, "property_loss", strange)
    with pytest.raises(RunawayError, match=r"nan in epoch 3; the largest label of the batch is that of property0-\d+"):
        train_property(config(epochs=5))
    assert weights(config().output_dir, "best_model")


def test_a_batch_too_large_for_the_memory_says_what_to_lower(config, monkeypatch):
    def full(*_: Any) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(property_loop, "property_loss", full)
    with pytest.raises(ConfigError, match=r"memory ran out on a batch of 6 structures\. Lower batch_size"):
        train_property(config())
