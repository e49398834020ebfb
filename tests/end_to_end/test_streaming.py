"""Training on data that stay on disk is training on the same data in memory, bit for bit."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal

import pytest
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff.cli.main import app
from alignn_ff.data import cache
from alignn_ff.errors import CacheError, ConfigError
from alignn_ff.training import TrainConfig, loop, references, train
from alignn_ff.training.domain import domain_of
from alignn_ff.training.estimate import estimate
from alignn_ff.training.prepare import prepare
from tests.end_to_end.test_training import (  # noqa: F401 (fixtures)
    complete,
    config,
    frames,
    history,
    interrupt_after,
    timeless,
    weights,
)


def assert_same_run(one: str, other: str) -> None:
    assert timeless(history(one)) == timeless(history(other))
    ours, theirs = weights(one), weights(other)
    assert all(ours[name].equal(values) for name, values in theirs.items())


WAYS = {
    "plain": {},
    "graphs not kept": {"cache_limit_gb": 0},
    "batches by edges": {"batch_edges": 900},
    "forces of some": {"force_fraction": 0.5, "force_scale_unbiased": True},
    "groups weighed": {"group_weights": {"pure": 0.25}},
    "errors draw": {"sampling_policy": "error_weighted"},
    "bounds": {"max_forces": 2.0},
    "stratified": {"stratify_split": True},
}


@pytest.mark.parametrize("changes", WAYS.values(), ids=WAYS)
def test_streamed_training_equals_training_in_memory(config, tmp_path, changes):  # noqa: F811
    if "max_forces" in changes:
        changes = {**changes, "n_train": None, "n_val": None, "n_test": None}
    runs = [
        train(config(name, **changes, epochs=2, use_lmdb=on_disk)).folder
        for name, on_disk in (("held", False), ("streamed", True))
    ]
    assert_same_run(*runs)
    assert {p.name for p in tmp_path.iterdir()} == {"held", "streamed"}  # what was on disk is gone


def test_low_energies_are_drawn_alike(config, complete):  # noqa: F811
    fields = {"data": str(complete), "sampling_policy": "energy_weighted", "epochs": 2}
    runs = [train(config(f"run {on_disk}", **fields, use_lmdb=on_disk)).folder for on_disk in (False, True)]
    assert_same_run(*runs)


def test_streamed_fine_tuning_and_validation_files_equal_those_in_memory(config, frames, tmp_path):  # noqa: F811
    first = train(config("first", epochs=1)).folder
    write(tmp_path / "own.extxyz", read(frames, ":6"), format="extxyz")
    fields = {
        "start_from": f"{first}/best_model.safetensors",
        "validation_data": str(tmp_path / "own.extxyz"),
        "n_val": None,
        "n_test": 0,
        "epochs": 1,
    }
    runs = []
    for on_disk in (False, True):
        asked = config(f"run {on_disk}", **fields, use_lmdb=on_disk).model_dump(exclude={"model"})
        runs.append(train(TrainConfig(**asked)).folder)
    assert_same_run(*runs)


def test_many_samples_are_gone_through_in_pieces(config, frames, monkeypatch):  # noqa: F811
    whole = prepare(config(dtype="float64", use_lmdb=False))
    monkeypatch.setattr(references, "_CHUNK", 5)
    pieces = prepare(config(dtype="float64", use_lmdb=True))
    for (name, one), other in zip(
        whole.potential.state_dict().items(), pieces.potential.state_dict().values(), strict=True
    ):
        assert one.sub(other).abs().max() < 1e-10 * (1 + one.abs().max()), name
    assert pieces.facts["domain"] == whole.facts["domain"] == domain_of(pieces.train).facts()


def test_a_resumed_streamed_run_equals_an_unbroken_one(config, monkeypatch, tmp_path):  # noqa: F811
    unbroken = train(config("unbroken", use_lmdb=False)).folder
    streamed = config("streamed", use_lmdb=True)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        assert not train(streamed).finished
    assert train(streamed, resume=True).finished
    assert_same_run(unbroken, streamed.output_dir)


def test_a_cache_dir_is_kept_and_read_by_the_next_run(config, tmp_path):  # noqa: F811
    kept = {"use_lmdb": True, "cache_dir": str(tmp_path / "kept"), "epochs": 1}
    one = train(config("one", **kept)).folder
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "kept").glob("*.lmdb")}
    assert set(made) == {"data_structures.lmdb", "data_graphs.lmdb"}
    other = train(config("other", **kept, read_existing=True)).folder
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "kept").glob("*.lmdb")} == made
    assert_same_run(one, other)
    wider = {"model": {**config().model, "cutoff": 4.5}}
    with pytest.raises(CacheError, match=re.escape("cutoff is 4.0 there, 4.5 asked for")):
        train(config("wider", **kept, **wider, read_existing=True))
    assert not (tmp_path / "wider").exists()
    train(config("wider", **kept, **wider))
    assert (tmp_path / "kept" / "data_graphs.lmdb").stat().st_mtime_ns != made["data_graphs.lmdb"]
    assert (tmp_path / "kept" / "data_structures.lmdb").stat().st_mtime_ns == made["data_structures.lmdb"]


def test_an_estimate_on_data_on_disk_writes_nothing(config, tmp_path):  # noqa: F811
    found = estimate(config(use_lmdb=True))
    assert found.train == estimate(config(use_lmdb=False)).train
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("on_disk", [False, True])
def test_runs_with_workers_and_resumed_by_more_or_fewer_equal_an_unbroken_one(
    config,  # noqa: F811
    monkeypatch,
    on_disk,
):
    fields = {"sampling_policy": "error_weighted", "force_fraction": 0.6, "dtype": "float64", "use_lmdb": on_disk}
    unbroken = train(config("unbroken", **fields))
    broken = config("broken", **fields, num_workers=2)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2, 5)
        assert not train(broken).finished
        assert not multiprocessing.active_children()
        assert not train(config("broken", **fields, num_workers=0), resume=True).finished
        assert train(config("broken", **fields, num_workers=2, prefetch_factor=1), resume=True).finished
    assert_same_run(unbroken.folder, broken.output_dir)
    assert not multiprocessing.active_children()


def test_a_second_ctrl_c_leaves_no_workers(config, monkeypatch):  # noqa: F811
    original = loop.step

    def step(run, indices):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        return original(run, indices)

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train(config(num_workers=2))
    assert not multiprocessing.active_children()


def test_read_existing_needs_a_place(config):  # noqa: F811
    with pytest.raises(ConfigError, match="cache_dir"):
        config(read_existing=True)


def test_errors_on_data_on_disk_are_those_on_data_in_memory(config, frames, monkeypatch, tmp_path):  # noqa: F811
    model = f"{train(config('first', epochs=1)).folder}/best_model.safetensors"
    told = []
    for limit in (1e12, 0.0):
        monkeypatch.setattr(cache, "IN_MEMORY_BYTES", limit)
        command = [
            "evaluate",
            model,
            str(frames),
            "--out",
            str(tmp_path / f"{limit}"),
            "--batch-edges",
            "900",
            "--json",
        ]
        told.append(json.loads(CliRunner().invoke(app, command).output))
    assert told[0] == told[1] and {row["of"] for row in told[0]} >= {"all", "Cu", "Ni"}
    assert {path.name for path in tmp_path.iterdir()} == {"first", "0.0", "1000000000000.0"}


def test_a_schedule_with_an_end_of_its_own_lets_a_run_go_on_for_longer(config):  # noqa: F811
    unbroken = train(config("unbroken", epochs=3, lr_total_epochs=4)).folder
    shorter = config("broken", epochs=2, lr_total_epochs=4)
    train(shorter)
    longer = shorter.model_copy(update={"epochs": 3})
    assert_same_run(unbroken, train(longer, resume=True).folder)
    assert history(unbroken)[-1]["learning_rate"] > 0.1 * shorter.learning_rate  # it is not at the schedule's end
