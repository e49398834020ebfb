"""Trainings that run out of memory, or whose process is killed."""

from __future__ import annotations

import logging

import pytest
import torch

from alignn_ff.errors import ConfigError
from alignn_ff.evaluate import Want
from alignn_ff.training import force_subset, train
from tests.end_to_end.test_training import config, frames, history, timeless, weights  # noqa: F401 (fixtures among them)


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
