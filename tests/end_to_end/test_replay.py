"""Learning old structures again beside new ones: the rule of mixing, one scale of energies, less is forgotten."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.data.sources import read_samples
from alignn_ff.errors import ConfigError
from alignn_ff.models import Potential
from alignn_ff.schema import parse
from alignn_ff.testing import predict
from alignn_ff.training import TrainConfig, train
from alignn_ff.training.replay import aligned, epoch_order
from tests.end_to_end.test_training import SMALL_MODEL
from tests.unit.test_html_page import Reader

OFFSETS = {"Cu": -1800.5, "Ni": 37.25}
"""eV per atom by which another functional's energies differ, exaggerated."""


def labelled(elements: str, count: int, seed: int, offsets: dict[str, float] | None = None) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = bulk("Cu", a=3.6, cubic=True)
        symbols = elements.split()
        atoms.symbols[:] = [symbols[int(i)] for i in rng.integers(0, len(symbols), len(atoms))]
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        atoms.calc = EMT()
        shift = sum((offsets or {}).get(s, 0.0) for s in atoms.symbols)
        labels = {"energy": atoms.get_potential_energy() + shift, "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Alloys that a model was trained on, and copper, nickel but once, on another scale of energies."""
    folder = tmp_path_factory.mktemp("replay")
    write(folder / "old.extxyz", labelled("Cu Ni", 24, 0))
    write(folder / "old_elsewhere.extxyz", labelled("Cu Ni", 24, 0, OFFSETS))
    write(folder / "held.extxyz", labelled("Cu Ni", 12, 1))
    write(folder / "new.extxyz", [*labelled("Ni", 1, 3), *labelled("Cu", 15, 2, {"Cu": 5.0})])
    train(config(folder, "old", epochs=16, n_train=24, n_val=0, n_test=0))
    return folder


def config(folder: Path, data: str, output: str | None = None, **fields: Any) -> TrainConfig:
    plain = {
        "data": str(folder / f"{data}.extxyz"), "epochs": 12, "batch_size": 4, "learning_rate": 0.01, "ema_decay": 0.9,
        "device": "cpu", "keep_data_order": True, "output_dir": str(folder / (output or data)),
        "n_train": 14, "n_val": 2, "n_test": 0,
    }  # fmt: skip
    model = {} if "start_from" in fields else {"model": SMALL_MODEL}
    return parse(TrainConfig, {**plain, **model, **fields}, "test")


def started(folder: Path, output: str, **fields: Any) -> TrainConfig:
    return config(folder, "new", output, start_from=str(folder / "old" / "best_model.safetensors"), **fields)


def force_error(potential: Potential, path: Path) -> float:
    """RMSE of force components, eV/Å."""
    frames = read(path, index=":")
    labels = torch.from_numpy(np.concatenate([atoms.get_forces() for atoms in frames]))
    return float((predict(potential, frames).forces - labels).square().mean().sqrt())


def test_an_epoch_holds_all_that_is_new_and_its_share_of_the_old():
    seen: Counter[int] = Counter()
    for epoch in range(9):
        order = epoch_order(12, 5, 0.25, seed=3, epoch=epoch)
        assert len(order) == 16 and sorted(i for i in order if i < 12) == list(range(12))
        assert order != sorted(order) and order == epoch_order(12, 5, 0.25, seed=3, epoch=epoch)
        seen.update(i for i in order if i >= 12)
    assert set(seen) == set(range(12, 17)) and max(seen.values()) - min(seen.values()) <= 1
    assert len(epoch_order(10, 3, 0.8, seed=0, epoch=0)) == 50  # old ones several times, where there are few


def test_energies_come_onto_one_scale_whatever_that_of_the_old_was(files):
    potential = load_checkpoint(files / "old" / "best_model.safetensors").potential
    here, elsewhere = (aligned(read_samples(files / f"{n}.extxyz"), potential) for n in ("old", "old_elsewhere"))
    for one, other in zip(here, elsewhere, strict=True):
        assert float(one.targets.energy) == pytest.approx(float(other.targets.energy), abs=1e-8)
    before = read_samples(files / "old.extxyz")
    counts = np.array([np.bincount(s.graph.numbers, minlength=30)[[28, 29]] for s in before])
    shift = np.array([float(a.targets.energy - b.targets.energy) for a, b in zip(here, before, strict=True)])
    assert np.abs(shift - counts @ np.linalg.lstsq(counts, shift, rcond=None)[0]).max() < 1e-9  # by element alone


def test_less_is_forgotten(files):
    """Copper learnt long: what alloys are like is forgotten, unless they are learned again."""
    held = files / "held.extxyz"
    before = force_error(load_checkpoint(files / "old" / "best_model.safetensors").potential, held)
    replay = {"replay_data": str(files / "old_elsewhere.extxyz"), "replay_share": 0.5}
    train(started(files, "without"))
    train(started(files, "with", **replay))
    without, again = (load_checkpoint(files / name / "best_model.safetensors") for name in ("without", "with"))
    assert force_error(again.potential, held) < 1.2 * before < force_error(without.potential, held)
    assert again.facts["replay"] == {"structures": 24, "elements": ["Ni", "Cu"], "share": 0.5, "weight": 1.0}
    assert again.facts["data"]["structures"]["train"] == 14 and "replay" not in without.facts
    texts = Reader((files / "with" / "report.html").read_text()).texts
    assert texts[texts.index("replay") + 1] == "24"


@pytest.mark.parametrize(
    "fields",
    [{"replay_data": "old.extxyz"}, {"start_from": "m", "replay_data": "o", "sampling_policy": "energy_weighted"}],
)
def test_replay_is_for_a_started_network(tmp_path, fields):
    with pytest.raises(ConfigError, match="replay_data is for start_from"):
        config(tmp_path, "new", **fields)
