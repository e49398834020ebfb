"""Committees: trained one after another or at once, interrupted, with a member that fails; what their spread says."""

from __future__ import annotations

import json
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.stats import spearmanr
from typer.testing import CliRunner

from alignn_ff.calculator import CommitteeCalculator
from alignn_ff.cli.main import app
from alignn_ff.errors import CommitteeError, ConfigError, RunawayError
from alignn_ff.training import members, train
from tests.end_to_end.test_training import (  # noqa: F401 (fixtures among them)
    config,
    frames,
    history,
    interrupt_after,
    timeless,
    weights,
)


def told(folder: Path | str) -> list[dict]:
    return json.loads((Path(folder) / "committee_metadata.json").read_text())["members"]


def test_members_at_once_go_on_as_one_after_another_would(config, monkeypatch):  # noqa: F811
    fields = {"committee_size": 2, "epochs": 2, "n_test": 0}
    unbroken = train(config("unbroken", **fields))
    assert [(m["status"], m["seed"], m["model_path"]) for m in told(unbroken.folder)] == [
        ("completed", 123, "member_000/best_model.safetensors"),
        ("completed", 124, "member_001/best_model.safetensors"),
    ]
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        broken = train(config("broken", **fields))
        assert not broken.finished
    assert [m["status"] for m in told(broken.folder)] == ["interrupted", "not begun"]
    again = train(config("broken", **fields, committee_parallel=2), resume=True)
    assert again.finished and again.best == pytest.approx(unbroken.best)
    for name in ("member_000", "member_001"):
        own, theirs = Path(again.folder) / name, Path(unbroken.folder) / name
        assert timeless(history(own)) == timeless(history(theirs))
        assert all(torch.equal(value, weights(theirs)[key]) for key, value in weights(own).items())
    assert set(contents_of(again.folder)) == set(contents_of(unbroken.folder))
    assert [m["metrics"]["epoch"] for m in told(again.folder)] == [m["metrics"]["epoch"] for m in told(unbroken.folder)]


def contents_of(folder: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in Path(folder).rglob("*")]


def test_a_member_that_fails_does_not_stop_the_others_and_is_gone_on_with(config, monkeypatch):  # noqa: F811
    original = members.train_one

    def train_one(settings, **how):
        if settings.output_dir.endswith("member_000"):
            raise RunawayError("the loss is nan.")
        return original(settings, **how)

    with monkeypatch.context() as patch:
        patch.setattr(members, "train_one", train_one)
        with pytest.raises(CommitteeError, match=r"member 0 of 2 failed: the loss is nan.*--resume"):
            train(config(committee_size=2, epochs=1))
    folder = Path(config().output_dir)
    assert [m["status"] for m in told(folder)] == ["failed", "completed"]
    assert told(folder)[0]["error"] == "RunawayError: the loss is nan."
    whole = json.loads((folder / "committee_metadata.json").read_text())
    assert [m["member_index"] for m in whole["failures"]] == [0] and whole["execution_mode"] == "sequential"
    assert whole["committee_config"] == {"num_members": 2, "base_seed": 123, "split_seed": 123, "max_parallel": 1}
    own = json.loads((folder / "member_001" / "summary.json").read_text())
    assert own["model_path"] == "best_model.safetensors" and own["metrics"]["valid_energy_mae_mev_per_atom"] > 0
    assert train(config(committee_size=2, epochs=1), resume=True).finished
    assert [m["status"] for m in told(folder)] == ["completed", "completed"]


def test_a_member_whose_process_dies_is_an_ending_too(tmp_path):
    said, tell = Pipe(duplex=False)
    tell.close()
    child = members._Child(1, SimpleNamespace(exitcode=-9, join=lambda: None), said)
    endings: dict = {}
    assert members._ended(child, [None, SimpleNamespace(output_dir="run/member_001")], endings)
    assert isinstance(endings[1], CommitteeError) and "exit code -9" in str(endings[1])


def test_what_is_wrong_with_the_config_is_said_once(config):  # noqa: F811
    with pytest.raises(ConfigError, match="`reference_energies` has no Ni"):
        train(config(committee_size=3, reference_energies={"Cu": 0.0}))


def test_a_committee_is_asked_for_on_the_command_line(config, tmp_path):  # noqa: F811
    path = tmp_path / "config.json"
    path.write_text(config().model_dump_json())
    said = CliRunner().invoke(app, ["train", str(path), "--committee", "4", "--print-config"])
    assert json.loads(said.output)["committee_size"] == 4


def test_members_disagree_where_they_are_wrong(config):  # noqa: F811
    """Structures rattled up to four times as far as those trained on."""
    folder = train(config(committee_size=4, epochs=6)).folder
    rng = np.random.default_rng(1)
    structures, truth = [], []
    for k in range(30):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: k % 5] = "Ni"
        atoms.positions += rng.normal(0, 0.1 + 0.008 * k, atoms.positions.shape)
        structures.append(atoms.copy())
        atoms.calc = EMT()
        truth.append(atoms.get_forces())
    said = CommitteeCalculator(folder, device="cpu", domain_check=False).predict(structures)
    errors = [np.abs(one["forces"] - forces).max() for one, forces in zip(said, truth, strict=True)]
    spreads = [row["max_force_uncertainty"] for row in said.rows]
    assert spearmanr(spreads, errors).statistic > 0.5
