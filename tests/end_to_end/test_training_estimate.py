"""What a dry run says of a training, against the training itself."""

from __future__ import annotations

import time

import pytest
import torch
from typer.testing import CliRunner

from alignn_ff.cli.main import app
from alignn_ff.training import loop
from alignn_ff.training.estimate import estimate, size_of
from alignn_ff.training.prepare import prepare
from tests.end_to_end.test_cli_training import folder  # noqa: F401 (a fixture)
from tests.end_to_end.test_training import config, frames  # noqa: F401 (fixtures)


def test_sizes_are_those_of_the_training(config, tmp_path):  # noqa: F811
    settings = config(committee_size=2, batch_size=5)
    found, data = estimate(settings), prepare(settings)
    assert found.train == size_of(data.train) and found.val == size_of(data.val)
    assert (found.train.structures, found.val.structures, found.train.atoms) == (24, 8, 96)
    assert found.train.edges == sum(len(data.train.graph(i).edge_src) for i in range(24))
    assert found.parameters == sum(p.numel() for p in data.potential.parameters())
    assert (found.steps, found.epochs) == (5, 6)
    assert found.peak_memory_mb > 50
    assert not (tmp_path / "run").exists(), "nothing is written"


def test_time_of_an_epoch_is_that_of_its_steps(config, monkeypatch):  # noqa: F811
    """Steps that take as long as they have edges, so that a busy machine does not matter."""
    now = [0.0]
    original = loop.step

    def step(run, indices):
        values = original(run, indices)
        now[0] += sum(len(run.data.train.graph(i).edge_src) for i in indices)
        return values

    monkeypatch.setattr("alignn_ff.training.estimate.step", step)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    found = estimate(config(batch_size=7))
    assert found.seconds_per_epoch == pytest.approx(found.train.edges)


def test_dry_run_prints_and_writes_nothing(folder):  # noqa: F811
    before = set(folder.iterdir())
    result = CliRunner().invoke(app, ["train", "config.yaml", "--dry-run"])
    assert result.exit_code == 0, result.output
    for said in ("edges", "parameters", "an epoch", "MiB"):
        assert said in result.output
    assert set(folder.iterdir()) == before
    assert torch.is_grad_enabled()


def test_dry_run_of_a_property_is_refused_and_does_not_train(folder):  # noqa: F811
    (folder / "property.yaml").write_text("data: frames.extxyz\nmodel: {name: alignn}\n")
    before = set(folder.iterdir())
    result = CliRunner().invoke(app, ["train", "property.yaml", "--dry-run"])
    assert result.exit_code == 2 and "--dry-run is for potentials" in result.output
    assert set(folder.iterdir()) == before


def test_schema_tells_editors_every_field(folder):  # noqa: F811
    import json

    from alignn_ff.training import TrainConfig

    schema = json.loads(CliRunner().invoke(app, ["train", "--json-schema"]).output)
    assert set(TrainConfig.model_fields) | {"preset"} == set(schema["properties"])
    names = [one["properties"]["name"]["const"] for one in schema["properties"]["model"]["anyOf"]]
    assert {"alignn_smooth", "alignn_atomwise"} <= set(names) and schema["additionalProperties"] is False
    smooth = schema["properties"]["model"]["anyOf"][names.index("alignn_smooth")]
    assert smooth["properties"]["cutoff"]["description"]
