"""Upstream's property models say here what they say there: formulaic weights, recorded by record_property.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from alignn_ff import load_property, predict_property, testing
from alignn_ff.checkpoint import load_property_checkpoint, save_checkpoint
from alignn_ff.graph import edge_vectors
from alignn_ff.models import build_property
from alignn_ff.models.property import PropertyModel, Scores
from tests.reference.property_weights import CASES, EXTRA, GRAPH, fill
from tests.reference.test_alignn_atomwise import SIZES, salt
from tests.reference.test_alignn_atomwise import fill as golden_fill

FOLDER = Path(__file__).parent / "upstream"
RECORD = json.loads((FOLDER / "property.json").read_text())
STRUCTURES = json.loads((FOLDER / "record.json").read_text())["structures"]


def structure(name: str) -> Atoms:
    return Atoms(**STRUCTURES[name], pbc=True)


def published(case: str, folder: Path, **model: Any) -> Path:
    """A folder as upstream's trainer leaves it, with formulaic weights."""
    fields = {**CASES[case], **model}
    (folder / "config.json").write_text(json.dumps({"target": "gap", **GRAPH, "model": fields}))
    torch.save(weights(fields), folder / "best_model.pt")
    return folder


def weights(model: dict[str, Any]) -> dict[str, torch.Tensor]:
    """What `fill` gives under upstream's names, which are ours but for an unused layer."""
    known = (
        "name",
        "calculate_gradient",
        "use_penalty",
        "atom_input_features",
        "atomwise_weight",
        "energy_mult_natoms",
    )
    name = "alignn" if model["name"] == "alignn" else "alignn_atomwise_property"
    fields = {k: v for k, v in model.items() if k not in known}
    ours = in_float64({"name": name, "elements": ["H"], **fields})
    if model.get("extra_features"):  # upstream keeps the layer that they replace
        ours.fc = torch.nn.Linear(model["hidden_features"], model.get("output_features", 1)).to(torch.float64)
    fill(ours)
    return dict(ours.state_dict())


def in_float64(config: dict[str, Any]) -> PropertyModel:
    """A legacy model made in float64, as upstream made it: Gaussians rounded to float32 would stand elsewhere."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return build_property({"mode": "legacy", **config}).eval()
    finally:
        torch.set_default_dtype(default)


def scores(model: PropertyModel, atoms: Atoms) -> Scores:
    atoms.info["extra_features"] = EXTRA
    graph = testing.build_graph(model, atoms)  # type: ignore[arg-type]
    with torch.no_grad():
        return model(graph, edge_vectors(graph).to(model.dtype))


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_upstream(case, tmp_path):
    model = load_property(published(case, tmp_path)).model
    for name, expected in RECORD[case].items():
        found = scores(model, structure(name))
        assert np.allclose(found.raw[0], expected["out"], rtol=0, atol=1e-9)
        for head, own in (("additional", found.additional), ("atomwise_pred", found.atomwise)):
            if own is not None:
                assert np.allclose(own.reshape(-1), expected[head], rtol=0, atol=1e-9)
    spread = [RECORD[case][name]["out"][0] for name in RECORD[case]]
    assert np.ptp(spread) > 1e-6, "the record tells structures apart"


def test_every_head_of_the_record_is_read(tmp_path):
    model = load_property(published("atomwise_more_heads", tmp_path)).model
    found = scores(model, structure("salt"))
    assert found.additional.shape == (1, 3) and found.atomwise.shape == (8, 2)


def test_g8_energy_of_the_original_model():
    """G8 of the golden numbers: BatchNorm with mean 0 and variance 1, all angles."""
    model = in_float64({"name": "alignn", "elements": ["Na", "Cl"], "three_body_cutoff": None, **SIZES})
    state = model.state_dict()
    golden_fill(_Learnt(state))
    assert float(scores(model, salt()).value) == pytest.approx(-0.0073077166, abs=2e-10)


class _Learnt(torch.nn.Module):
    """A state dict without running statistics, for a formula that leaves them out."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self._state = {k: v for k, v in state.items() if "running" not in k and "num_batches" not in k}

    def state_dict(self, *_: Any, **__: Any) -> Any:
        return self._state


def test_published_number_of_parameters():
    model = build_property({"name": "alignn", "elements": ["H"]})
    assert sum(p.numel() for p in model.parameters()) == 4_026_753
    assert len(model.state_dict()) == 279


def test_link_log_leaves_a_bias_without_dimension(tmp_path):
    path = published("alignn_log", tmp_path)
    state = torch.load(path / "best_model.pt", weights_only=True)
    expected = predict_property(path, [structure("salt")])
    torch.save({"model": {**state, "fc.bias": state["fc.bias"][0]}}, path / "checkpoint_300.pt")
    (path / "best_model.pt").unlink()  # older property models come like this
    torch.save({"model": {}}, path / "checkpoint_9.pt")
    assert np.array_equal(predict_property(path, [structure("salt")]), expected)


def test_classes_once_were_one_logistic_unit(tmp_path):
    path = published("alignn_classes", tmp_path, num_classes=2)
    state = torch.load(path / "best_model.pt", weights_only=True)
    one = {**state, "fc.weight": state["fc.weight"][1:], "fc.bias": state["fc.bias"][1:]}
    torch.save(one, path / "best_model.pt")
    plain = build_property({**load_property(path).model.config, "classification": False}).to(torch.float64).eval()
    plain.load_state_dict(one)
    logit = float(scores(plain, structure("salt")).value)
    found = predict_property(path, [structure("salt")])[0]
    assert found == pytest.approx([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))])


def test_our_file_keeps_every_bit(tmp_path):
    model = load_property(published("alignn", tmp_path)).model
    save_checkpoint(tmp_path / "saved.safetensors", model)
    again = load_property_checkpoint(tmp_path / "saved.safetensors").model
    assert again.predicts == "gap"
    assert torch.equal(scores(model, structure("salt")).value, scores(again, structure("salt")).value)
