"""Published ALIGNN property models: the original `alignn`, and `alignn_atomwise` trained without forces."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alignn_ff.checkpoint import PropertyCheckpoint
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.models import PropertyModel, build_property
from alignn_ff.models.layers.features import known_elements
from alignn_ff.pretrained.archive import Published, read_published
from alignn_ff.pretrained.generations import complete_property
from alignn_ff.pretrained.upstream import (
    ATTENTION,
    DGL,
    GRAPH,
    PURE,
    angles_of,
    check_fields,
    check_weights,
    is_unused,
)

log = logging.getLogger(__name__)

_SIZES = (
    "alignn_layers gcn_layers edge_input_features triplet_input_features embedding_features hidden_features".split()
)
_READOUT = "output_features link classification extra_features".split()
_ATOMWISE = (
    "use_cutoff_function multiply_cutoff inner_cutoff exponent additional_output_features atomwise_output_features"
).split()
ALIGNN = "alignn"
SHARED = {
    ALIGNN: [*_SIZES, *_READOUT, "num_classes"],
    DGL: [*_SIZES, *_READOUT, *_ATOMWISE],
    PURE: [*_SIZES, *_READOUT, *_ATOMWISE, *ATTENTION],
}
"""Fields of each of upstream's models that are fields of ours."""

_PLAIN = {"include_pos_deriv": False, "conv_type": "alignn"}
"""Fields that only these values of are understood, in models that do not share them."""


def is_property(config: Mapping[str, Any]) -> bool:
    """Whether a published config describes a model without forces."""
    model = config["model"]
    if model["name"] == ALIGNN:
        return True
    return model.get("calculate_gradient") is False or model.get("gradwise_weight") == 0


def load_upstream_property(path: str | Path) -> PropertyCheckpoint:
    """A published ALIGNN property model: a folder or zip with best_model.pt (or checkpoint_N.pt) and config.json.

    The weights are read without running anything they hold.

    Raises:
        CheckpointError: not such a model, a force field, or one that is not understood.
    """
    path = Path(path)
    published = read_published(path)
    config = {"use_canonize": True, **published.config, "model": complete_property(published.config["model"])}
    _check_understood(config, path)
    try:
        model = build_property(describe(config, published.weights))
    except ConfigError as error:
        raise CheckpointError(f"{path}: its config.json cannot be honoured: {error}") from error
    _load(model, published, path)
    remarks = _remarks(config)
    for remark in remarks:
        log.warning("%s: %s", path, remark)
    facts = {"source": "published ALIGNN weights", "upstream_config": published.config, "remarks": remarks}
    return PropertyCheckpoint(model, facts, published.sha256)


def describe(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `models.build_property` needs to make the model of a complete upstream config.

    Heads that the config names and the weights lack are left out: upstream ignores `extra_features` in one of its
    models, and heads without a loss weight may never have been made.
    """
    model = config["model"]
    fields = {name: model[name] for name in SHARED[model["name"]]}
    for head in ("atomwise", "additional"):
        name = "fc_atomwise" if head == "atomwise" else "fc_additional_output"
        if f"{name}.weight" not in weights and f"{head}_output_features" in fields:
            fields[f"{head}_output_features"] = 0
    if model["name"] == PURE:
        fields["extra_features"] = 0
    if fields["classification"]:
        fields |= {"output_features": 1, "link": "identity"}
    return {
        "name": ALIGNN if model["name"] == ALIGNN else "alignn_atomwise_property",
        "mode": "legacy",
        "elements": known_elements(config["atom_features"]),
        "target": str(config.get("target", "target")),
        "three_body_cutoff": config.get("three_body_cutoff"),
        **{name: config[name] for name in GRAPH},
        **(angles_of(config) if model["name"] != ALIGNN else {}),
        **fields,
    }


def _check_understood(config: Mapping[str, Any], path: Path) -> None:
    model = config["model"]
    name = model["name"]
    if not is_property(config):
        raise CheckpointError(
            f"{path}: is a force field, `{name}`; expected a property model. Give it to `AlignnFFCalculator` or "
            "`alignn_ff.load_potential`."
        )
    if name not in SHARED:
        raise CheckpointError(f"{path}: is a model `{name}`; expected a property model: {', '.join(SHARED)}.")
    check_fields(config, SHARED[name], _PLAIN, path)


def _load(model: PropertyModel, published: Published, path: Path) -> None:
    """Weights into the model, which takes their precision."""
    wanted = model.state_dict()
    given = {
        n: _reshaped(n, v, wanted) for n, v in published.weights.items() if n in wanted or not is_unused(n, wanted)
    }
    check_weights(wanted, given, path)
    model.to(given["atom_embedding.layer.0.weight"].dtype).eval()
    model.load_state_dict(given)


def _reshaped(name: str, value: Tensor, wanted: Mapping[str, Tensor]) -> Tensor:
    """Weights in today's shape: link `log` leaves a bias without dimension, and classes once were one logistic unit."""
    if name == "fc.bias" and value.ndim == 0:
        value = value.reshape(1)
    if name in ("fc.weight", "fc.bias") and len(value) == 1 and name in wanted and len(wanted[name]) == 2:
        return torch.cat([torch.zeros_like(value), value])  # softmax of (0, x) is the logistic function of x
    return value


def _remarks(config: Mapping[str, Any]) -> list[str]:
    """What users of these weights should know."""
    model, remarks = config["model"], []
    if model.get("zero_inflated"):
        remarks.append("its zero_inflated had no effect on what upstream trained; values are those of the network")
    if model["name"] != ALIGNN and model["use_penalty"] and not model["energy_mult_natoms"]:
        remarks.append("upstream adds its penalty of bonds below penalty_threshold to the value; it is left out")
    if model["name"] == PURE and model.get("extra_features"):
        remarks.append("its extra_features were ignored by upstream's code, and are here")
    return remarks
