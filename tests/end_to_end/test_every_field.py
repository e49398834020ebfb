"""A walk through every field of a training config: each changes what comes out, or is refused with a reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from matplotlib.figure import Figure

from alignn_ff.errors import AlignnFFError
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig, committee, loop, members, page, report, train
from alignn_ff.training.loss import LossConfig, LossStage
from alignn_ff.training.prepare import prepare
from alignn_ff.training.shared_fields import Keeping
from alignn_ff.training.warm_start import settled

TINY = {"name": "alignn_smooth", "cutoff": 3.2, "hidden_features": 4, "density_channels": 2, "message_features": 3,
        "radial_functions": 3, "max_degree": 1, "body_order": 3}  # fmt: skip
ATOMWISE = {
    "cutoff": 3.2,
    "three_body_cutoff": None,
    "alignn_layers": 0,
    "gcn_layers": 1,
    "hidden_features": 4,
    "embedding_features": 3,
}
BASE: dict[str, Any] = {
    "data": "a.extxyz", "model": TINY, "epochs": 2, "batch_size": 4, "n_train": 10, "n_val": 2, "n_test": 2,
    "loss": {"stress_weight": 0.1}, "ema_decay": 0.5, "scheduler": "none", "device": "cpu", "output_dir": "run",
}  # fmt: skip
RATIOS = {"n_train": None, "n_val": None, "n_test": None}
START = "start/best_model.safetensors"
PATIENT = {"learning_rate": 1e-30, "epochs": 4}
HALF = {"force_fraction": 0.5, "epochs": 3}

DATA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "data": ({}, {"data": "b.extxyz"}),
    "validation_data": ({"n_val": None}, {"validation_data": "c.extxyz"}),
    "energy_key": ({}, {"energy_key": "other_energy"}),
    "forces_key": ({}, {"forces_key": "other_forces"}),
    "stress_key": ({}, {"stress_key": "other_stress"}),
    "stress_unit": ({}, {"stress_unit": "gpa"}),
    "atom_energy_key": ({"loss": {"atom_energy_weight": 1.0}}, {"atom_energy_key": "other_energies"}),
    "atomwise_key": (
        {"model": {**TINY, "atomwise_output_features": 1}, "loss": {"atomwise_weight": 1.0}, "atomwise_key": "bader"},
        {"atomwise_key": "other_bader"},
    ),
    "additional_key": (
        {
            "model": {**TINY, "additional_output_features": 2},
            "loss": {"additional_output_weight": 1.0},
            "additional_key": ["gap", "bulk"],
        },
        {"additional_key": ["bulk", "gap"]},
    ),
    "extra_features_key": (
        {"model": {"name": "alignn_atomwise_pure", **ATOMWISE, "extra_features": 1}, "extra_features_key": "gap"},
        {"extra_features_key": "bulk"},
    ),
    "group_key": ({}, {"group_key": "family"}),
    "split_group_key": ({}, {"split_group_key": "family"}),
    "stratify_split": ({}, {"stratify_split": True}),
    "n_train": ({}, {"n_train": 9}),
    "n_val": ({}, {"n_val": 1}),
    "n_test": ({}, {"n_test": 1}),
    "train_ratio": (RATIOS, {"train_ratio": 0.5}),
    "val_ratio": (RATIOS, {"val_ratio": 0.2, "train_ratio": 0.7}),
    "test_ratio": (RATIOS, {"test_ratio": 0.0}),
    "keep_data_order": ({}, {"keep_data_order": True}),
    "split_file": ({}, {"split_file": "split.json"}),
    "random_seed": ({}, {"random_seed": 1}),
    "split_seed": ({}, {"split_seed": 1}),
    "model": ({}, {"model": {**TINY, "cutoff": 3.4}}),
    "start_from": ({"model": None}, {"start_from": START}),
    "fresh_elements": (
        {"model": None, "start_from": START, "data": "b.extxyz"},
        {"fresh_elements": True},
    ),
    "replay_data": ({"model": None, "start_from": START}, {"replay_data": "c.extxyz"}),
    "replay_weight": ({"model": None, "start_from": START, "replay_data": "c.extxyz"}, {"replay_weight": 0.5}),
    "reference_compounds": ({}, {"reference_compounds": ["Cu4"]}),
    "freeze": ({}, {"freeze": ["embedding"]}),
    "zbl": ({}, {"zbl": False}),
    "core": ({}, {"core": False}),
    "reference_energies": ({}, {"reference_energies": {"Cu": -1.0}}),
    "weight_key": ({}, {"weight_key": "share"}),
    "group_weights": ({}, {"group_weights": {"odd": 3.0}}),
    "max_energy": (RATIOS, {"max_energy": 0.08}),
    "max_forces": (RATIOS, {"max_forces": 2.0}),
    "dtype": ({}, {"dtype": "float64"}),
    "graph_cache_mb": ({}, {"graph_cache_mb": 0.0}),
}
"""Fields of which the prepared data and the first potential tell: what is set in both cases, and what in one."""

TRAINING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "committee_size": ({"epochs": 1}, {"committee_size": 2}),
    "committee_parallel": ({"epochs": 1, "committee_size": 2}, {"committee_parallel": 2}),
    "loss": ({}, {"loss": {"stress_weight": 0.1, "energy_weight": 3.0}}),
    "loss_stages": ({}, {"loss_stages": [{"start_epoch": 2, "force_weight": 0.0}]}),
    "replay_share": ({"model": None, "start_from": START, "replay_data": "c.extxyz"}, {"replay_share": 0.1}),
    "loggers": ({}, {"loggers": ["tensorboard"]}),
    "sampling_policy": ({}, {"sampling_policy": "energy_weighted"}),
    "force_fraction": ({}, {"force_fraction": 0.5}),
    "force_sampling": ({**HALF, "force_resample_num_epochs": 1}, {"force_sampling": "fixed"}),
    "force_resample_num_epochs": (HALF, {"force_resample_num_epochs": 1}),
    "force_min_structures_per_epoch": (HALF, {"force_min_structures_per_epoch": 8}),
    "force_scale_unbiased": (HALF, {"force_scale_unbiased": True}),
    "epochs": ({}, {"epochs": 3}),
    "batch_size": ({}, {"batch_size": 3}),
    "batch_atoms": ({}, {"batch_atoms": 8}),
    "batch_edges": ({}, {"batch_edges": 100}),
    "learning_rate": ({}, {"learning_rate": 0.002}),
    "optimizer": ({}, {"optimizer": "sgd"}),
    "momentum": ({"optimizer": "sgd"}, {"momentum": 0.5}),
    "weight_decay": ({}, {"weight_decay": 0.5}),
    "lr_total_epochs": ({"scheduler": "cosine"}, {"lr_total_epochs": 9}),
    "use_amp": ({}, {"use_amp": True}),
    "gpu_memory_fraction": ({}, {"gpu_memory_fraction": 0.5}),
    "scheduler": ({}, {"scheduler": "cosine"}),
    "plateau_patience": ({**PATIENT, "scheduler": "plateau"}, {"plateau_patience": 0}),
    "gradient_clip": ({}, {"gradient_clip": 1e-3}),
    "ema_decay": ({}, {"ema_decay": 0.0}),
    "n_early_stopping": (PATIENT, {"n_early_stopping": 1}),
    "data_parallel": ({}, {"data_parallel": True}),
    "device": ({}, {"device": "cuda"}),
    "save_energies": ({}, {"save_energies": True}),
    "save_forces": ({}, {"save_forces": True}),
    "output_dir": ({}, {"output_dir": "elsewhere"}),
}
"""Fields of which the training tells."""

VALUES = {"atomwise_weight": 1.0, "additional_output_weight": 1.0}
LOSS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "criterion": ({}, {"criterion": "mse"}),
    **{f"{term}_weight": ({}, {f"{term}_weight": 0.7}) for term in ("energy", "force", "stress", "atom_energy")},
    "atomwise_weight": (VALUES, {"atomwise_weight": 0.7}),
    "additional_output_weight": (VALUES, {"additional_output_weight": 0.7}),
    "atomwise_delta": (VALUES, {"atomwise_delta": 1e-4}),
    "additional_output_delta": (VALUES, {"additional_output_delta": 1e-4}),
    **{f"{term}_delta": ({"stress_weight": 1.0}, {f"{term}_delta": 1e-4}) for term in ("energy", "force", "stress")},
}


def test_the_walk_is_whole():
    stored = set(
        Keeping.model_fields
    )  # speed and place of what is the same by any of them: test_streaming, test_loading
    assert set(DATA) | set(TRAINING) | stored == set(TrainConfig.model_fields)
    assert set(LOSS) == set(LossConfig.model_fields)
    assert set(LossStage.model_fields) <= {"start_epoch", *LOSS}


def frames(seed: int, count: int, element: str) -> list:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        atoms = bulk(element, cubic=True)
        atoms.positions += rng.normal(0, 0.08, (4, 3))
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        energies = atoms.get_potential_energies()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress, energies=energies)
        atoms.info |= {"config_type": "odd" if k % 2 else "even", "family": k // 2, "share": 0.5}
        atoms.info |= {"gap": energy, "bulk": stress[0]}
        atoms.arrays |= {"bader": forces[:, 0], "other_bader": forces[:, 1]}
        atoms.info |= {"other_energy": energy - 1.0, "other_stress": 2.0 * stress}
        atoms.arrays |= {"other_forces": 2.0 * forces, "other_energies": 2.0 * energies}
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("walk")
    write(folder / "a.extxyz", frames(0, 14, "Cu"))
    write(folder / "b.extxyz", [*frames(1, 12, "Cu"), *frames(2, 2, "Ni")])
    write(folder / "c.extxyz", frames(3, 2, "Cu"))
    keys = [f"a.extxyz@{k}" for k in range(14)]
    (folder / "split.json").write_text(json.dumps({"id_train": keys[4:], "id_val": keys[:2], "id_test": keys[2:4]}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        blank(patch)
        train(settings({"epochs": 1, "output_dir": "start"}))
    return folder


def blank(patch: pytest.MonkeyPatch) -> None:
    """Figures are not what is looked at."""
    figures = ((loop, "learning_curve_figure"), (page, "learning_curve_figure"), (report, "parity_figure"))
    for module, name in figures:
        patch.setattr(module, name, lambda *_: Figure(figsize=(0.1, 0.1)))


def settings(changes: dict[str, Any]) -> TrainConfig:
    fields = {key: value for key, value in {**BASE, **changes}.items() if key != "model" or value is not None}
    return parse(TrainConfig, fields, "test")


def digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def prepared(config: TrainConfig) -> str:
    """What the prepared data and the first potential are."""
    data = prepare(settled(config))
    samples = [(s.key, s.group, s.weight, [t.tolist() for t in s.targets]) for part in data[:3] for s in part.samples]
    state = {name: (str(t.dtype), t.tolist()) for name, t in data.potential.state_dict().items()}
    learned = [p.requires_grad for p in data.potential.parameters()]
    data.train.batch(range(len(data.train)))
    return digest(data.split, samples, state, learned, len(data.train._kept), data.potential.config)


def trained(config: TrainConfig, folder: Path) -> str:
    """History, errors by group, and weights that a training leaves behind; and where."""
    result = train(config)
    found = sorted(path for path in folder.glob(f"{result.folder}/**/*") if path.is_file())
    rows = [
        {key: value for key, value in json.loads(line).items() if key != "seconds"}
        for path in found
        for line in (path.read_text().splitlines() if path.name == "history.jsonl" else [])
    ]
    errors = [path.read_text() for path in found if path.name.endswith("_errors.json")]
    return digest(rows, errors, [str(path) for path in found])


def outcome(work: Any, changes: dict[str, Any], *where: Path) -> str:
    try:
        return work(settings(changes), *where)
    except AlignnFFError as refusal:
        return f"refused: {refusal}"


@pytest.mark.parametrize("name", DATA)
def test_field_of_the_data(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    both, one = DATA[name]
    assert outcome(prepared, both) != outcome(prepared, {**both, **one})


@pytest.mark.parametrize("name", TRAINING)
def test_field_of_the_training(folder, monkeypatch, tmp_path, name):
    blank(monkeypatch)
    at_once = []
    monkeypatch.setattr(committee, "train_at_once", lambda configs, count, manner: (
        at_once.append(count) or [members.train_member(c, manner) for c in configs]
    ))  # fmt: skip
    said = []
    for place, changes in enumerate(TRAINING[name]):
        work = tmp_path / str(place)
        work.mkdir()
        monkeypatch.chdir(work)
        both = {"data": "a.extxyz", **TRAINING[name][0], **changes}
        both |= {key: str(folder / both[key]) for key in ("data", "start_from", "replay_data") if key in both}
        said.append((outcome(trained, both, work).replace(str(work), ""), tuple(at_once)))
    assert said[0] != said[1]
    assert not said[0][0].startswith("refused")


@pytest.mark.parametrize("name", LOSS)
def test_field_of_the_loss(folder, monkeypatch, tmp_path, name):
    blank(monkeypatch)
    said = []
    both, one = LOSS[name]
    model = {**TINY, "atomwise_output_features": 1, "additional_output_features": 2} if both == VALUES else TINY
    fields = {"model": model, "atomwise_key": "bader", "additional_key": ["gap", "bulk"]}
    for place, loss in enumerate((both, {**both, **one})):
        work = tmp_path / str(place)
        work.mkdir()
        monkeypatch.chdir(work)
        said.append(outcome(trained, {**fields, "loss": loss, "epochs": 1, "data": str(folder / "a.extxyz")}, work))
    assert said[0] != said[1]
