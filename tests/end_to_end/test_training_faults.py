"""Trainings that run out of memory, or whose process is killed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.errors import ConfigError
from alignn_ff.evaluate import Want
from alignn_ff.training import force_subset, train
from alignn_ff.training.config import to_json
from tests.end_to_end.test_training import (  # noqa: F401 (fixtures among them)
    complete,
    config,
    contents,
    frames,
    history,
    timeless,
    weights,
)


def run_out(monkeypatch, structures: int, error: RuntimeError) -> None:
    """No memory for the prediction of so many structures to learn from."""
    original = force_subset.evaluate

    def evaluate(potential, graph, *, want):
        if want in (Want.TRAINING, Want.TRAINING_ENERGY) and len(graph.cell) >= structures:
            raise error
        return original(potential, graph, want=want)

    monkeypatch.setattr(force_subset, "evaluate", evaluate)


@pytest.mark.parametrize(
    ("criterion", "error"),
    [
        ("huber", torch.cuda.OutOfMemoryError("CUDA out of memory.")),
        ("rmse", RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")),
    ],
    ids=["gpu", "cpu"],
)
def test_batches_without_memory_are_learned_from_in_halves(config, monkeypatch, caplog, criterion, error):  # noqa: F811
    fields = {"dtype": "float64", "loss": {"criterion": criterion, "stress_weight": 0.1}, "force_fraction": 0.6}
    fields |= {"sampling_policy": "error_weighted"}
    whole = train(config("whole", **fields))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        run_out(patch, 5, error)
        halved = train(config("halved", **fields))
    assert caplog.text.count("memory ran out on a batch of 8 structures; each is learned from in two halves") == 1
    for own, theirs in zip(timeless(history(halved.folder)), timeless(history(whole.folder)), strict=True):
        assert own == pytest.approx(theirs, rel=1e-6)
    for name, value in weights(whole.folder).items():
        assert torch.allclose(weights(halved.folder)[name], value, rtol=1e-7, atol=1e-9), name


def test_a_half_that_is_too_large_says_what_to_lower(config, monkeypatch):  # noqa: F811
    run_out(monkeypatch, 3, torch.cuda.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(ConfigError, match=r"a batch of 8 structures, also in halves. Lower batch_size"):
        train(config())


def test_other_errors_are_not_taken_for_a_lack_of_memory(config, monkeypatch):  # noqa: F811
    run_out(monkeypatch, 3, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes"):
        train(config())


KILLED = """
import os, signal, sys
import torch
from alignn_ff.training import load_config, loop, train

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def kill_before(place, name, calls):
    original, left = getattr(place, name), [calls]
    def counted(*args, **options):
        left[0] -= 1
        return original(*args, **options) if left[0] else die()
    setattr(place, name, counted)

def kill_within_writing_of_state(calls):
    original, left = torch.save, [calls]
    def save(state, path, *rest, **options):
        original(state, path, *rest, **options)
        left[0] -= 1
        if not left[0]:
            os.truncate(path, os.path.getsize(path) // 2)
            die()
    torch.save = save

def run(folder, moment):
    kind, _, calls = moment.partition(":")
    if kind in ("step", "workers"):
        kill_before(loop, "step", int(calls))
    elif kind == "replace":
        kill_before(os, "replace", int(calls))
    else:
        kill_within_writing_of_state(int(calls))
    train(load_config(sys.argv[1], [f"--output_dir={folder}", f"--num_workers={2 * (kind == 'workers')}"]))

for moment in sys.argv[2:]:
    child = os.fork()  # from a process that has not computed yet
    if child == 0:
        run(os.path.join(os.path.dirname(sys.argv[1]), moment.replace(":", "_")), moment)
        os._exit(1)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), f"{moment} was never reached"
"""

MOMENTS = ("step:5", "workers:5", "replace:11", "replace:13", "replace:15", "state:2")
"""In the second epoch: within a step, also where two processes make the batches; before the current model, the table of
the history and the state take their place, when the state before has left its own; while the state is written."""


def test_a_killed_run_goes_on_as_if_unbroken_to_the_last_bit(config, complete):  # noqa: F811
    """float64, averaged weights, onecycle, structures drawn by their errors."""
    fields = {"dtype": "float64", "scheduler": "onecycle", "ema_decay": 0.9, "sampling_policy": "error_weighted"}
    unbroken = train(config("unbroken", data=complete, **fields))
    settings = config(data=complete, **fields)
    path = Path(settings.output_dir).parent / "config.json"
    path.write_text(to_json(settings))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, str(path), *MOMENTS], check=True, timeout=300, env=environment)
    for moment in MOMENTS:
        folder = path.parent / moment.replace(":", "_")
        assert load_checkpoint(folder / "current_model.safetensors").facts["training"]["epoch"] in (1, 2)
        update = {"output_dir": str(folder), "num_workers": 2 * moment.startswith("workers")}
        broken = train(settings.model_copy(update=update), resume=True)
        assert timeless(history(folder)) == timeless(history(unbroken.folder)), moment
        for name in ("current_model", "best_model"):
            found, expected = weights(folder, name), weights(unbroken.folder, name)
            assert all(torch.equal(value, expected[key]) for key, value in found.items()), moment
        assert broken.best["epoch"] == unbroken.best["epoch"]
        assert set(contents(folder)) == set(contents(Path(unbroken.folder))), moment
