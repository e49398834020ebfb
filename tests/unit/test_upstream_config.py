"""Upstream's `config.json` as it stands: every field is honoured, refused with a reason, or said to change nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.training.config import TrainConfig, load_config
from alignn_ff.training.presets import PRESETS
from alignn_ff.training.upstream_config import MODEL_FIELDS, TOP_FIELDS
from alignn_ff.units import GPA_PER_EV_A3

TOP = {
    "version": "af3ae5d1", "dataset": "user_data", "target": "total_energy", "atom_features": "cgcnn",
    "neighbor_strategy": "radius_graph", "id_tag": "jid", "dtype": "float32", "random_seed": 123,
    "classification_threshold": None, "n_val": None, "n_test": None, "n_train": None, "train_ratio": 0.8,
    "val_ratio": 0.1, "test_ratio": 0.1, "target_multiplication_factor": None, "epochs": 30, "batch_size": 16,
    "gpu_memory_fraction": None, "use_amp": False, "ddp_find_unused_parameters": False, "resume_checkpoint": False,
    "lr_total_epochs": None, "deterministic": False, "weight_decay": 1e-5, "learning_rate": 0.001, "filename": "sample",
    "warmup_steps": 2000, "criterion": "l1", "optimizer": "adamw", "scheduler": "onecycle", "pin_memory": False,
    "save_dataloader": False, "write_checkpoint": True, "write_predictions": True, "store_outputs": True,
    "progress": True, "log_tensorboard": False, "standard_scalar_and_pca": False, "use_canonize": True,
    "compute_line_graph": True, "num_workers": 4, "cutoff": 5.0, "cutoff_extra": 3.0, "three_body_cutoff": 3.5,
    "max_neighbors": 12, "keep_data_order": True, "normalize_graph_level_loss": False, "distributed": False,
    "data_parallel": False, "n_early_stopping": None, "output_dir": "out", "use_lmdb": True, "read_existing": False,
    "device": "cpu",
}  # fmt: skip
"""Every field at the top of upstream's reference, with the value of a force field's config."""

MODEL = {
    "name": "alignn_atomwise", "alignn_layers": 2, "gcn_layers": 2, "atom_input_features": 92,
    "edge_input_features": 80, "triplet_input_features": 40, "embedding_features": 64, "hidden_features": 64,
    "output_features": 1, "grad_multiplier": -1, "calculate_gradient": True, "atomwise_output_features": 0,
    "graphwise_weight": 1.0, "gradwise_weight": 1.0, "stresswise_weight": 0.0, "atomwise_weight": 0.0,
    "link": "identity", "zero_inflated": False, "classification": False, "force_mult_natoms": False,
    "energy_mult_natoms": True, "include_pos_deriv": False, "use_cutoff_function": False, "inner_cutoff": 3.0,
    "stress_multiplier": 1, "add_reverse_forces": True, "lg_on_fly": True, "batch_stress": True,
    "multiply_cutoff": False, "use_penalty": True, "extra_features": 0, "exponent": 5, "penalty_factor": 0.1,
    "penalty_threshold": 1, "additional_output_features": 0, "additional_output_weight": 0, "use_zbl": None,
    "zbl_cutoff": 0.9, "conv_type": "alignn", "num_heads": 1, "lighten_edges": False, "backtracking": True,
    "mlp_first": True, "remove_torque": True,
}  # fmt: skip
"""Every field of its force fields' model."""

OTHER: dict[str, Any] = {
    "atom_features": "atomic_number", "neighbor_strategy": "pure_torch", "id_tag": "name", "dtype": "float64",
    "classification_threshold": 0.1, "n_val": 3, "n_test": 3, "n_train": 9, "target_multiplication_factor": 2.0,
    "gpu_memory_fraction": 0.5, "lr_total_epochs": 99, "criterion": "mse", "optimizer": "sgd", "scheduler": "none",
    "n_early_stopping": 4, "three_body_cutoff": 3.0, "max_neighbors": 8, "train_ratio": 0.7, "link": "log",
    "conv_type": "t_alignn", "cutoff": 6.0, "use_zbl": True, "target": "other", "device": "auto",
    "name": "alignn_atomwise_pure",
    "grad_multiplier": 1, "atom_input_features": 1, "use_cutoff_function": True, "multiply_cutoff": True,
}  # fmt: skip
"""Another value of a field, where turning a flag or adding one does not give one."""


def other(name: str, value: Any) -> Any:
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    return f"{value}_2" if isinstance(value, str) else value * 0.5 if isinstance(value, float) and value else value + 1


def load(folder: Path, top: dict[str, Any], model: dict[str, Any], *overrides: str) -> TrainConfig:
    (folder / "id_prop.json").write_text("[]")
    (folder / "config.json").write_text(json.dumps({**top, "model": model}))
    return load_config(folder / "config.json", overrides)


@pytest.fixture
def base(tmp_path) -> TrainConfig:
    return load(tmp_path, TOP, MODEL)


def test_the_lists_above_are_whole():
    ours = {"mode", "radial_basis", "angular_basis", "radial_cutoff", "smooth_cutoff_coeff", "radial_learnable"}
    ours |= {"angular_learnable", "use_atomref", "num_classes", "cutoff", "cutoff_extra", "three_body_cutoff"}
    ours |= {
        "atomwise_target",
        "additional_target",
        "max_neighbors",
        "atom_features",
        "neighbor_strategy",
        "use_canonize",
    }
    assert set(TOP) | {"model"} == set(TOP_FIELDS)
    assert set(MODEL) == set(MODEL_FIELDS) - ours


def test_a_config_as_upstream_writes_it(tmp_path, base):
    assert base.data == (str(tmp_path / "id_prop.json"),) and base.energy_key == "total_energy"
    model = {"name": "alignn_atomwise", "mode": "legacy", "cutoff": 5.0, "neighbor_strategy": "radius_graph"}
    assert base.model.items() >= model.items()
    assert (base.epochs, base.batch_size, base.learning_rate, base.keep_data_order) == (30, 16, 0.001, True)
    assert (base.loss.criterion, base.loss.energy_weight, base.loss.force_weight) == ("l1", 1.0, 1.0)
    assert base.zbl and base.output_dir == "out"


@pytest.mark.parametrize(
    ("place", "name"), [("top", n) for n in TOP] + [("model", n) for n in MODEL], ids=lambda value: value
)
def test_every_field_changes_something_or_says_why_not(tmp_path, base, caplog, place, name):
    top, model = dict(TOP), dict(MODEL)
    changed = top if place == "top" else model
    changed[name] = other(name, changed[name])
    if name == "max_neighbors":
        top["neighbor_strategy"] = "pure_torch"
        base = load(tmp_path, {**top, "max_neighbors": 12}, model)
    if name in ("use_penalty", "use_zbl"):  # either of them asks for a core
        model["use_penalty"] = False
        base = load(tmp_path, TOP, {**MODEL, "use_penalty": name == "use_penalty", "use_zbl": False})
    with caplog.at_level(logging.INFO):
        try:
            found = load(tmp_path, top, model)
        except ConfigError as refusal:
            assert f"{name}`" in str(refusal) or name in ("atom_features", "lg_on_fly"), refusal
            return
    said = any(f"{name}` changes nothing" in record.getMessage() for record in caplog.records)
    assert (found != base) != said


def test_stress_weighs_as_in_gpa(tmp_path):
    for criterion, factor in (("l1", GPA_PER_EV_A3), ("mse", GPA_PER_EV_A3**2)):
        found = load(tmp_path, {**TOP, "criterion": criterion}, {**MODEL, "stresswise_weight": 0.05})
        assert found.loss.stress_weight == pytest.approx(0.05 * factor)


@pytest.mark.parametrize(
    ("top", "model", "said"),
    [
        ({"use_amp": True, "dtype": "float64"}, {}, "use_amp trades exactness for speed, dtype float64 the other way"),
        ({"lr_total_epochs": 9, "scheduler": "none"}, {}, "lr_total_epochs is for the schedules onecycle and cosine"),
        ({"resume_checkpoint": True}, {}, "give --resume on the command line"),
        ({"neighbor_strategy": "voronoi"}, {}, "neighbor_strategy"),
        ({"criterion": "poisson"}, {}, "trained by l1 or mse"),
        ({"epcohs": 3}, {}, "did you mean `epochs`"),
        ({}, {"conv_type": "n_alignn", "num_heads": 5}, "multiple of num_heads"),
        ({}, {"link": "log"}, "an energy is unbounded"),
        ({}, {"atom_input_features": 1}, "atom_features cgcnn are 92 numbers"),
        ({}, {"name": "ealignn_atomwise"}, "`model.name` of an upstream config is 'ealignn_atomwise'"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_reason(tmp_path, top, model, said):
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, {**TOP, **top}, {**MODEL, **model})


def test_overrides_and_files_stand_above_an_upstream_config(tmp_path):
    found = load(tmp_path, TOP, MODEL, "--data=/a.xyz", "--epochs=3", "--model.hidden_features=8", "--cutoff=4.5")
    assert (found.data, found.epochs) == (("/a.xyz",), 3)
    assert (found.model["hidden_features"], found.model["cutoff"]) == (8, 4.5)


def test_data_are_kept_where_upstream_would_look_for_them(tmp_path):
    for kept in ({"save_dataloader": True}, {"read_existing": True}):
        found = load(tmp_path, {**TOP, **kept, "filename": "Si"}, MODEL)
        assert (found.use_lmdb, found.cache_dir) == (True, "Si_data")
        assert found.read_existing == ("read_existing" in kept)
    with pytest.raises(ConfigError, match="`use_lmdb` false keeps them in memory"):
        load(tmp_path, {**TOP, "save_dataloader": True, "use_lmdb": False}, MODEL)


def test_fields_of_ours_stand_beside_those_of_upstream(tmp_path):
    found = load(tmp_path, TOP, MODEL, "--committee_size=4", "--ema_decay=0.9", "--zbl=false")
    assert (found.committee_size, found.ema_decay, found.zbl) == (4, 0.9, False)
    with pytest.raises(ConfigError, match="did you mean `committee_size`"):
        load(tmp_path, TOP, MODEL, "--comittee_size=4")


def test_without_files_it_says_how_to_give_them(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"dataset": "dft_3d", "model": {"name": "alignn_atomwise"}}))
    with pytest.raises(ConfigError, match=r"dataset 'dft_3d' is not downloaded.*--data="):
        load_config(tmp_path / "config.json")


def test_presets_stand_below_the_file(tmp_path):
    for name, values in PRESETS.items():
        (tmp_path / "config.yaml").write_text(f"data: a.xyz\npreset: {name}\nepochs: 5\nmodel: {{cutoff: 4.0}}\n")
        found = load_config(tmp_path / "config.yaml")
        assert found.epochs == 5 and found.model["cutoff"] == 4.0
        assert found.model["hidden_features"] == values["model"]["hidden_features"]
        assert found.learning_rate == values["learning_rate"] and found.loss.criterion == values["loss"]["criterion"]
    other_model = ["--preset=smooth", "--model={name: alignn_atomwise}"]
    assert load_config(tmp_path / "config.yaml", other_model).model["mode"] == "sound"
    with pytest.raises(ConfigError, match="did you mean `smooth`"):
        load_config(tmp_path / "config.yaml", ["--preset=smoth"])
