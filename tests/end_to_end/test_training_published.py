"""Published ALIGNN models are trained like any other, from scratch or from weights that exist."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ase.io import write

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.models import Potential
from alignn_ff.pretrained import load_potential
from alignn_ff.testing import predict
from alignn_ff.training import TrainConfig, train
from alignn_ff.training.prepare import prepare
from alignn_ff.training.warm_start import settled
from tests.end_to_end.test_training import emt_frames
from tests.reference.test_upstream import published

SIZES = {
    "cutoff": 4.0, "three_body_cutoff": 3.0, "alignn_layers": 1, "gcn_layers": 1, "edge_input_features": 16,
    "triplet_input_features": 8, "embedding_features": 8, "hidden_features": 16,
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    write(tmp_path / "data.extxyz", emt_frames(16), format="extxyz")
    common = {
        "data": str(tmp_path / "data.extxyz"), "n_train": 12, "n_val": 4, "n_test": 0, "batch_size": 4, "epochs": 6,
        "learning_rate": 0.01, "ema_decay": 0.5, "device": "cpu",
    }  # fmt: skip
    return lambda name="run", **fields: TrainConfig(**{**common, "output_dir": str(tmp_path / name), **fields})


def losses(folder: str) -> list[float]:
    return [json.loads(line)["train_loss"] for line in (Path(folder) / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("model", "jumps"),
    [
        ({"name": "alignn_atomwise_pure"}, False),
        ({"name": "alignn_atomwise", "mode": "legacy"}, True),
        ({"name": "alignn_atomwise", "mode": "legacy", "neighbor_strategy": "k-nearest", "max_neighbors": 12}, True),
        ({"name": "alignn_atomwise_pure_smooth"}, False),
        ({"name": "alignn_atomwise_pure_smooth", "mode": "legacy"}, True),
    ],
)
def test_every_model_learns_and_jumps_are_told(config, caplog, model: dict[str, Any], jumps: bool):
    with caplog.at_level(logging.WARNING):
        result = train(config(model={**SIZES, **model}))
    history = losses(result.folder)
    assert history[-1] < 0.9 * history[0]
    assert ("jump as neighbours come and go" in caplog.text) == jumps
    best = load_checkpoint(Path(result.folder) / "best_model.safetensors").potential
    assert model["name"] in {part.name for part in best.modules() if isinstance(part, Potential)}
    assert torch.isfinite(predict(best, emt_frames(2)).forces).all()


def test_published_weights_are_fine_tuned(config, tmp_path):
    start = published("torch_graph", tmp_path / "published")
    settings = config(start_from=str(start), learning_rate=0.002, epochs=8)
    begun = prepare(settled(settings)).potential
    before = load_potential(start).potential
    assert begun.elements == ("Ni", "Cu")
    frames = emt_frames(3)
    forces = [predict(potential, frames).forces for potential in (before, begun)]
    assert torch.allclose(*forces, atol=1e-6)  # no bond here is short enough for the repulsion to differ
    result = train(settings, overwrite=True)
    assert losses(result.folder)[-1] < losses(result.folder)[0]
    trained = load_checkpoint(Path(result.folder) / "best_model.safetensors")
    assert trained.facts["started_from"]["model"] == "published"
