"""A legacy property model as config and weights of upstream's package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from alignn_ff.errors import CheckpointError
from alignn_ff.models import PropertyModel, build_property
from alignn_ff.models.layers.features import WIDTHS
from alignn_ff.pretrained.generations import complete_property
from alignn_ff.pretrained.upstream import DGL, GRAPH, PURE
from alignn_ff.pretrained.upstream_property import ALIGNN, SHARED, describe

_WITHOUT_FORCES = {
    "calculate_gradient": False,
    "gradwise_weight": 0.0,
    "stresswise_weight": 0.0,
    "grad_multiplier": -1,
    "energy_mult_natoms": False,
    "use_penalty": False,  # with energy_mult_natoms off, upstream would add it to the value
}
"""Fields of `alignn_atomwise` where it predicts a property."""

_OURS_ALONE = ("elements", "unit", "shift", "scale")
"""Fields that upstream's configs have no place for; the constants go into the weights."""


def property_files(model: PropertyModel) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Config and state dict with which upstream predicts what `model` does.

    Shift and scale of the values, of which upstream knows nothing, become part of the last layer.

    Raises:
        CheckpointError: upstream has no such model; says why.
    """
    config, weights = _config(model), _weights(model)
    reasons = list(_reasons(model, config, weights))
    if reasons:
        raise CheckpointError(f"upstream has no model like this {model.name}: {'; '.join(reasons)}.")
    return config, weights


def _config(model: PropertyModel) -> dict[str, Any]:
    ours = model.config
    name = _upstream_name(ours)
    fields = {field: ours[field] for field in SHARED[name]}
    if ours["classification"] and ours["extra_features"]:
        fields["output_features"] = ours["num_classes"]  # of the layer that extra features end in
    if name != ALIGNN:
        fields |= {
            **_WITHOUT_FORCES,
            "additional_output_weight": float(ours["additional_output_features"] > 0),
            "atomwise_weight": float(ours["atomwise_output_features"] > 0),  # at 0 upstream leaves the head out
        }
    if name == PURE:
        fields |= {"use_zbl": False, "three_body_cutoff": ours["three_body_cutoff"] or ours["cutoff"]}
    return {
        "dataset": "user_data",
        "target": ours["target"],
        "three_body_cutoff": ours["three_body_cutoff"],
        **{field: ours[field] for field in GRAPH},
        "model": {"name": name, "atom_input_features": WIDTHS[ours["atom_features"]], "zero_inflated": False, **fields},
    }


def _upstream_name(ours: dict[str, Any]) -> str:
    """The pure model needs no DGL, and knows no graph but its own and no extra features."""
    if ours["name"] == ALIGNN:
        return ALIGNN
    return PURE if ours["neighbor_strategy"] == "pure_torch" and not ours["extra_features"] else DGL


def _weights(model: PropertyModel) -> dict[str, Tensor]:
    ours, state = model.config, dict(model.state_dict())
    last = "fc3" if ours["extra_features"] else "fc"
    if ours["scale"] is not None:
        state |= _folded(state, last, ours["scale"], ours["shift"])
    if last == "fc3":
        state |= unused_layer(state, ours["num_classes"] if ours["classification"] else ours["output_features"])
    if ours["link"] == "log" and last == "fc3":
        state["fc.bias"] = state["fc.bias"][:1]
    if ours["link"] == "log" and len(state["fc.bias"]) == 1:
        state["fc.bias"] = state["fc.bias"][0]  # so it is there
    return state


def unused_layer(state: Mapping[str, Tensor], outputs: int) -> dict[str, Tensor]:
    """The layer that those of extra features replace: upstream makes it all the same, and does not use it."""
    width = len(state["atom_embedding.layer.0.bias"])
    return {"fc.weight": state["fc3.weight"].new_zeros(outputs, width), "fc.bias": state["fc3.bias"].new_zeros(outputs)}


def _folded(state: dict[str, Tensor], layer: str, scale: list[float], shift: list[float]) -> dict[str, Tensor]:
    """The layer with values shift + scale · what it said."""
    weight, bias = (state[f"{layer}.{part}"] for part in ("weight", "bias"))
    by, plus = (torch.tensor(numbers, dtype=torch.float64) for numbers in (scale, shift))
    return {
        f"{layer}.weight": (weight.double() * by.unsqueeze(1)).to(weight.dtype),
        f"{layer}.bias": (bias.double() * by + plus).to(bias.dtype),
    }


def _reasons(model: PropertyModel, config: dict[str, Any], weights: dict[str, Tensor]) -> Iterator[str]:
    """Why upstream's package would not predict the same from these files."""
    ours = model.config
    theirs = build_property(describe({**config, "model": complete_property(config["model"])}, weights)).config
    unread = (*_OURS_ALONE, *(() if ours["neighbor_strategy"] == "radius_graph" else ("cutoff_extra",)))
    for field, value in ours.items():
        if field not in unread and theirs[field] != value:
            yield f"its {field} is {value!r}, where upstream's is {theirs[field]!r}"
    if ours["atom_features"] == "learnt":
        yield "its features of atoms are learnt"
    if weights["fc.bias"].ndim and ours["link"] == "log":
        yield "its link is log with several values, where upstream has one"
