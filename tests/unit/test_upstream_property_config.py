"""Upstream's `config.json` of a property model: every field is honoured, refused with a reason, or changes nothing."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.training.property_config import PropertyTrainConfig, is_property, load_property_config
from alignn_ff.training.upstream_property_config import (
    PROPERTY_MODEL_FIELDS,
    PROPERTY_TOP_FIELDS,
    WITHOUT_FORCES_FIELDS,
)
from tests.unit.test_upstream_config import MODEL as FORCE_FIELD
from tests.unit.test_upstream_config import OTHER, TOP, other

MODEL = {
    "name": "alignn", "alignn_layers": 4, "gcn_layers": 4, "atom_input_features": 92, "edge_input_features": 80,
    "triplet_input_features": 40, "embedding_features": 64, "hidden_features": 256, "output_features": 1,
    "link": "identity", "zero_inflated": False, "classification": False, "num_classes": 2, "extra_features": 0,
}  # fmt: skip
"""Every field of upstream's `alignn`."""

WITHOUT_FORCES = {**FORCE_FIELD, "calculate_gradient": False}
"""Every field of its `alignn_atomwise`, as its example config for a property has them."""

PROPERTY_TOP = {**TOP, "target": "optb88vdw_bandgap", "criterion": "mse", "neighbor_strategy": "k-nearest"}


def load(folder: Path, top: dict[str, Any], model: dict[str, Any], *overrides: str) -> PropertyTrainConfig:
    (folder / "id_prop.csv").write_text("a.vasp,1.0\n")
    (folder / "config.json").write_text(json.dumps({**top, "model": model}))
    assert is_property(folder / "config.json", overrides)
    return load_property_config(folder / "config.json", overrides)


def test_the_lists_of_fields_are_whole():
    graph = {"cutoff", "cutoff_extra", "three_body_cutoff", "max_neighbors", "atom_features", "neighbor_strategy"}
    assert set(TOP) | {"model"} == set(PROPERTY_TOP_FIELDS)
    assert set(MODEL) | graph | {"use_canonize", "mode"} == set(PROPERTY_MODEL_FIELDS)
    assert set(WITHOUT_FORCES) | graph | {"use_canonize", "mode"} == set(WITHOUT_FORCES_FIELDS)


def test_a_config_as_upstream_writes_it(tmp_path):
    found = load(tmp_path, PROPERTY_TOP, MODEL)
    assert found.data == (str(tmp_path / "id_prop.csv"),) and found.target == "optb88vdw_bandgap"
    model = {"name": "alignn", "mode": "legacy", "neighbor_strategy": "k-nearest", "max_neighbors": 12, "cutoff": 5.0}
    assert found.model.items() >= model.items()
    assert (found.epochs, found.batch_size, found.criterion, found.keep_data_order) == (30, 16, "mse", True)
    (tmp_path / "id_prop.json").write_text("[]")
    assert load_property_config(tmp_path / "config.json").data == (str(tmp_path / "id_prop.json"),)


def test_fields_left_out_mean_what_they_mean_upstream(tmp_path):
    found = load(tmp_path, {"id_tag": "jid"}, {"name": "alignn"})
    assert (found.epochs, found.batch_size, found.learning_rate, found.keep_data_order) == (300, 64, 0.01, True)
    assert found.model.items() >= MODEL.items() - {("atom_input_features", 92)}
    assert (found.model["neighbor_strategy"], found.model["max_neighbors"]) == ("k-nearest", 12)


@pytest.mark.parametrize(
    ("place", "name"), [("top", n) for n in TOP] + [("model", n) for n in MODEL if n != "name"], ids=lambda value: value
)
def test_every_field_changes_something_or_says_why_not(tmp_path, caplog, place, name):
    top, model = dict(PROPERTY_TOP), dict(MODEL)
    if name == "num_classes":
        model["classification"] = True
    base = load(tmp_path, top, model)
    changed = top if place == "top" else model
    changed[name] = "l1" if name == "criterion" else other(name, changed[name])
    with caplog.at_level(logging.INFO):
        caplog.clear()
        try:
            found = load(tmp_path, top, model)
        except ConfigError as refusal:
            assert f"{name}`" in str(refusal) or name == "atom_features", refusal
            return
    said = any(f"{name}` changes nothing" in record.getMessage() for record in caplog.records)
    assert (found != base) != said


@pytest.mark.parametrize("name", [n for n in WITHOUT_FORCES if n not in ("name", "calculate_gradient")])
def test_every_field_of_a_force_field_without_forces_does_so_too(tmp_path, caplog, name):
    base = load(tmp_path, PROPERTY_TOP, WITHOUT_FORCES)
    model = {**WITHOUT_FORCES, name: other(name, WITHOUT_FORCES[name])}
    if name == "multiply_cutoff":  # says how the cutoff function is used
        model["use_cutoff_function"] = True
        base = load(tmp_path, PROPERTY_TOP, {**WITHOUT_FORCES, "use_cutoff_function": True})
    with caplog.at_level(logging.INFO):
        caplog.clear()
        try:
            found = load(tmp_path, PROPERTY_TOP, model)
        except ConfigError as refusal:
            assert f"{name}`" in str(refusal), refusal
            return
    said = any(f"{name}` changes nothing" in record.getMessage() for record in caplog.records)
    assert (found != base) != (said or name == "num_heads")


@pytest.mark.parametrize("how", [{"calculate_gradient": False}, {"gradwise_weight": 0.0}])
@pytest.mark.parametrize("name", ["alignn_atomwise", "alignn_atomwise_pure"])
def test_a_force_field_without_forces_is_a_property_model(tmp_path, name, how):
    found = load(tmp_path, PROPERTY_TOP, {**FORCE_FIELD, "name": name, "output_features": 3, **how})
    network = {"name": "alignn_atomwise_property", "mode": "legacy", "output_features": 3, "hidden_features": 64}
    assert found.model.items() >= {**network, "neighbor_strategy": "k-nearest"}.items()
    (tmp_path / "config.json").write_text(json.dumps({**PROPERTY_TOP, "model": {**FORCE_FIELD, "name": name}}))
    assert not is_property(tmp_path / "config.json")


def test_the_angles_of_the_graph_are_not_those_of_torchscript(tmp_path):
    model = {**WITHOUT_FORCES, "name": "alignn_atomwise_pure", "three_body_cutoff": 3.5}
    found = load(tmp_path, {**PROPERTY_TOP, "neighbor_strategy": "pure_torch", "three_body_cutoff": None}, model)
    assert found.model["three_body_cutoff"] is None


def test_several_values_in_a_csv_file_make_a_model_of_as_many(tmp_path):
    (tmp_path / "several.csv").write_text("a.vasp,1.0,2.0,-3.0\n")
    data = f"--data={tmp_path / 'several.csv'}"
    assert load(tmp_path, PROPERTY_TOP, WITHOUT_FORCES, data).model["output_features"] == 3
    assert load(tmp_path, PROPERTY_TOP, MODEL, data).model["output_features"] == 3
    assert load(tmp_path, PROPERTY_TOP, {**MODEL, "output_features": 2}, data).model["output_features"] == 2


def test_a_threshold_makes_a_classifier(tmp_path):
    found = load(tmp_path, {**PROPERTY_TOP, "classification_threshold": OTHER["classification_threshold"]}, MODEL)
    assert found.classification_threshold == 0.1 and found.model["classification"]


def test_likelihoods_of_upstream_bring_what_they_need(tmp_path):
    zig = load(tmp_path, {**PROPERTY_TOP, "criterion": "zig"}, {**MODEL, "link": "log"})
    assert (zig.criterion, zig.model["zero_inflated"], zig.model["link"]) == ("zig", True, "identity")
    counts = load(tmp_path, {**PROPERTY_TOP, "criterion": "poisson"}, {"name": "alignn"})
    assert (counts.criterion, counts.model["link"]) == ("poisson", "log")
    with pytest.raises(ConfigError, match=r"criterion poisson is that of a positive mean; set model\.link to log"):
        load(tmp_path, {**PROPERTY_TOP, "criterion": "poisson"}, MODEL)


def test_extra_features_are_called_as_upstream_calls_them(tmp_path):
    assert load(tmp_path, PROPERTY_TOP, {**MODEL, "extra_features": 3}).extra_features_key == "extra_features"
    named = load(tmp_path, {**PROPERTY_TOP, "extra_features_key": "density"}, {**MODEL, "extra_features": 1})
    assert named.extra_features_key == "density"


@pytest.mark.parametrize(
    ("top", "model", "said"),
    [
        ({"criterion": "wasserstein"}, {}, "`criterion` of an upstream config is 'wasserstein'"),
        ({"neighbor_strategy": "voronoi"}, {}, "neighbor_strategy"),
        ({"optimizer": "lbfgs"}, {}, "`optimizer` is 'lbfgs'"),
        ({"epcohs": 3}, {}, "did you mean `epochs`"),
        ({}, {"calculate_gradient": True}, "unknown field `model.calculate_gradient`"),
        ({}, {"atom_input_features": 1}, "atom_features cgcnn are 92 numbers"),
        ({}, {"mode": "sound"}, "mode to legacy"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_reason(tmp_path, top, model, said):
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, {**PROPERTY_TOP, **top}, {**MODEL, **model})


def test_a_config_of_ours_with_a_target_is_ours(tmp_path):
    (tmp_path / "config.yaml").write_text("data: a.xyz\ntarget: gap\nmodel: {name: alignn}\n")
    found = load_property_config(tmp_path / "config.yaml")
    assert (found.target, found.model["mode"], found.keep_data_order) == ("gap", "sound", False)


def test_without_files_it_says_how_to_give_them(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"dataset": "dft_3d", "model": {"name": "alignn"}}))
    with pytest.raises(ConfigError, match=r"no id_prop.json.zip or id_prop.json or id_prop.csv in .*--data="):
        load_property_config(tmp_path / "config.json")


def test_forces_that_are_not_learned_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        load(tmp_path, PROPERTY_TOP, {**FORCE_FIELD, "gradwise_weight": 0.0})
    assert "forces, where there are labels of them, will not be learned" in caplog.text


def test_the_preset_of_the_published_model_stands_below_the_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: a.xyz\npreset: alignn\nepochs: 5\nmodel: {hidden_features: 8}\n")
    assert is_property(path)
    found = load_property_config(path)
    assert (found.epochs, found.batch_size, found.learning_rate, found.criterion) == (5, 64, 0.001, "mse")
    assert (found.model["name"], found.model["alignn_layers"], found.model["hidden_features"]) == ("alignn", 4, 8)
    with pytest.raises(ConfigError, match="did you mean `alignn`"):
        load_property_config(path, ["--preset=alignm"])
