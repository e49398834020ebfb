"""Property models as upstream's two files: what upstream reads there, what comes back, and what it has no place for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alignn_ff import load_property, predict_property
from alignn_ff.errors import CheckpointError, OutputExistsError
from alignn_ff.models import PropertyModel
from alignn_ff.pretrained.publish import save_upstream
from tests.reference.property_weights import CASES, EXTRA
from tests.reference.test_property_models import published
from tests.structures import SMALL
from tests.unit.test_property import model

STRUCTURES = [make() for make in SMALL.values()]


def legacy(name: str = "alignn", **fields: Any) -> PropertyModel:
    return model(name, mode="legacy", target="gap", **fields)


def values(network: PropertyModel) -> np.ndarray:
    extra = np.array([EXTRA] * len(STRUCTURES)) if network.extra_features else None
    return predict_property(network, STRUCTURES, extra_features=extra, device="cpu")


def written(network: PropertyModel, folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    save_upstream(folder, network)
    state = torch.load(folder / "best_model.pt", weights_only=True)
    return json.loads((folder / "config.json").read_text()), state.get("model", state)


@pytest.mark.parametrize("case", CASES)
def test_what_upstream_published_is_written_as_it_was(case, tmp_path):
    """Upstream's own predictions from these weights are recorded (record_property.py)."""
    (tmp_path / "theirs").mkdir()
    theirs = published(case, tmp_path / "theirs")
    config, state = written(load_property(theirs).model, tmp_path / "again")
    expected = torch.load(theirs / "best_model.pt", weights_only=True)
    unused = {"fc.weight", "fc.bias"} if "fc3.weight" in expected else set()
    assert set(state) == set(expected)
    assert all(torch.equal(state[name].reshape(-1), expected[name].reshape(-1)) for name in set(state) - unused)
    told = json.loads((theirs / "config.json").read_text())
    free = {"use_penalty", "energy_mult_natoms", "atomwise_weight", "neighbor_strategy"}  # change no value of these
    for field, value in {**told, **told["model"]}.items():
        assert field in (*free, "model") or {**config, **config["model"]}[field] == value, field


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("alignn", {"link": "logit"}),
        ("alignn", {"classification": True, "num_classes": 3, "extra_features": 4}),
        ("alignn_atomwise_property", {"link": "log", "neighbor_strategy": "pure_torch"}),
        ("alignn_atomwise_property", {"additional_output_features": 2, "neighbor_strategy": "torch_graph"}),
        ("alignn_atomwise_property", {"conv_type": "n_alignn", "num_heads": 2, "neighbor_strategy": "pure_torch"}),
    ],
)
def test_there_and_back_changes_no_bit(name, fields, tmp_path):
    network = legacy(name, **fields)
    save_upstream(tmp_path, network)
    again = load_property(tmp_path).model
    assert np.array_equal(values(again), values(network)) and np.ptp(values(network)) > 1e-6
    ours, theirs = network.state_dict(), again.state_dict()
    assert list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert again.predicts == network.predicts == ("the class of gap" if "classification" in fields else "gap")


@pytest.mark.parametrize("extra", [0, 4])
def test_shift_and_scale_become_part_of_the_last_layer(extra, tmp_path):
    network = legacy(output_features=2, shift=[-3.0, 5.0], scale=[0.2, 40.0], extra_features=extra)
    save_upstream(tmp_path, network)
    again = load_property(tmp_path).model
    assert again.config["shift"] == [0.0, 0.0] and again.config["scale"] == [1.0, 1.0]
    assert values(again) == pytest.approx(values(network), abs=1e-12)
    assert values(again) != pytest.approx(values(legacy(output_features=2, extra_features=extra)), abs=0.1)


def test_the_pure_model_where_it_does(tmp_path):
    """Upstream's implementation without DGL has its own graph alone, and takes no extra features."""
    name, graph = "alignn_atomwise_property", {"neighbor_strategy": "pure_torch"}
    config, state = written(legacy(name, **graph), tmp_path / "pure")
    assert config["model"]["name"] == "alignn_atomwise_pure"
    assert state["_species_table"].shape == (120, 92)
    for place, fields in (("dgl", {"neighbor_strategy": "k-nearest", "max_neighbors": 12}),
                          ("extra", {**graph, "extra_features": 4})):  # fmt: skip
        config, state = written(legacy(name, **fields), tmp_path / place)
        assert config["model"]["name"] == "alignn_atomwise" and "_species_table" not in state


def test_the_bias_of_link_log_has_no_dimension_there(tmp_path):
    _, state = written(legacy(link="log"), tmp_path)
    assert state["fc.bias"].shape == ()


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("alignn", {"mode": "sound"}, "mode is 'sound', where upstream's is 'legacy'"),
        ("alignn", {"zero_inflated": True}, "zero_inflated is True"),
        ("alignn", {"additional_output_features": 2}, "additional_output_features is 2"),
        ("alignn", {"atomwise_output_features": 2}, "atomwise_output_features is 2"),
        ("alignn", {"atom_features": "learnt"}, "its features of atoms are learnt"),
        ("alignn", {"link": "log", "output_features": 2}, "log with several values"),
        ("alignn_atomwise_property", {"classification": True, "num_classes": 3}, "num_classes is 3"),
        ("alignn_atomwise_property", {"lighten_edges": True}, "lighten_edges is True"),
        (
            "alignn_atomwise_property",
            {"conv_type": "t_alignn", "neighbor_strategy": "torch_graph"},
            "conv_type is 't_alignn'",
        ),
        (
            "alignn_atomwise_property",
            {"neighbor_strategy": "radius_graph", "cutoff_extra": 2.0},
            "cutoff_extra is 2.0",
        ),
    ],
)
def test_a_model_that_upstream_lacks_is_refused_and_the_reason_told(name, fields, said, tmp_path):
    network = model(name, **{"mode": "legacy", **fields})
    with pytest.raises(CheckpointError, match="upstream has no model like this") as error:
        save_upstream(tmp_path / "out", network)
    assert said in str(error.value) and not (tmp_path / "out").exists()


def test_what_stands_there_is_kept(tmp_path):
    (tmp_path / "config.json").write_text("mine")
    with pytest.raises(OutputExistsError):
        save_upstream(tmp_path, legacy())
    assert (tmp_path / "config.json").read_text() == "mine"
