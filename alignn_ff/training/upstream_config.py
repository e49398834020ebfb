"""A `config.json` of upstream ALIGNN, read as ours: each field honoured, without effect for a reason, or refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from alignn_ff.errors import ConfigError
from alignn_ff.training.upstream_fields import (
    ALIKE,
    DEFAULTS,
    GRAPH,
    ONE_VALUE,
    SAME,
    WITHOUT_EFFECT,
    check_known,
    check_values,
    data_beside,
    graph_of,
    kept_data,
    loggers_of,
    tell,
)
from alignn_ff.units import GPA_PER_EV_A3

_MARKS = {"neighbor_strategy", "atom_features", "id_tag", "dataset", "version", "target"}
"""Fields that no other configuration has at its top."""

_SMOOTH = ("radial_basis", "angular_basis", "radial_cutoff", "smooth_cutoff_coeff", "radial_learnable")
_NETWORK = (
    *("name", "mode", "alignn_layers", "gcn_layers", "edge_input_features", "triplet_input_features", "lg_on_fly"),
    *("embedding_features", "hidden_features", "use_cutoff_function", "multiply_cutoff", "inner_cutoff", "exponent"),
    *("lighten_edges", "backtracking", "conv_type", "num_heads"),
    *(*_SMOOTH, "angular_learnable", "use_atomref", *GRAPH),
    *("atomwise_output_features", "atomwise_target", "additional_output_features", "additional_target"),
    "extra_features",
)
"""Fields of the model there and here."""

_ONE_MODEL_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "output_features": ((1,), "a force field has one energy"),
    "grad_multiplier": ((-1,), "forces are minus the gradient of the energy"),
    "link": (("identity",), "an energy is unbounded"),
    "zero_inflated": ((False,), "an energy is no count"),
    "classification": ((False,), "a force field is no classifier"),
    "num_classes": ((2,), "a force field is no classifier"),
    "force_mult_natoms": ((False,), "forces are the gradient of the total energy, without a factor"),
    "include_pos_deriv": ((False,), "forces are the gradient of the total energy, by edge vectors"),
    "stress_multiplier": ((1,), "stress is the derivative of the energy, without a factor"),
    "add_reverse_forces": ((True,), "forces act on both atoms of an edge"),
    "batch_stress": ((True,), "stress is that of each structure"),
    "mlp_first": ((True,), "the energy is the sum of what the network reads off each atom"),
    "zbl_cutoff": ((0.9,), "the ZBL core ends where the covalent radii touch"),
}

_MODEL_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "penalty_factor": (None, "a ZBL core, which has no such constant, keeps atoms apart"),
    "penalty_threshold": (None, "a ZBL core, which has no such constant, keeps atoms apart"),
    "remove_torque": (None, "forces are the gradient of an energy that no rotation changes: they have no torque"),
    "energy_mult_natoms": (None, "the energy of a structure is the sum over its atoms in any case"),
}

_WITHOUT_HEADS: dict[str, tuple[Any, str]] = {"num_heads": (1, "conv_type alignn has gates, which have no heads")}

_TOLD_IN_VAIN: dict[str, tuple[Any, str]] = {
    "extra_features": (0, "upstream's plain-torch models ignore them; alignn_atomwise, or mode: sound, does not")
}

_READ_APART = (*ALIKE, "criterion", "distributed", "data_parallel")
_MODEL_READ_APART = (
    *("atom_input_features", "calculate_gradient", "graphwise_weight", "gradwise_weight", "stresswise_weight"),
    *("use_penalty", "use_zbl", "atomwise_weight", "additional_output_weight"),
)

TOP_FIELDS = (*SAME, *GRAPH, *WITHOUT_EFFECT, *ONE_VALUE, *_READ_APART)
"""Every field at the top of an upstream config."""
MODEL_FIELDS = (*_NETWORK, *_ONE_MODEL_VALUE, *_MODEL_WITHOUT_EFFECT, *_MODEL_READ_APART)
"""Every field of its model."""

_PUBLISHED = ("alignn_atomwise", "alignn_atomwise_pure", "alignn_atomwise_pure_smooth")
"""Models whose upstream fields mean the same here."""


_FURTHER = {"atomwise_weight": "atomwise_output_features", "additional_output_weight": "additional_output_features"}
"""Weights of outputs beside the energy, and how many of them there are."""


def is_upstream(fields: Mapping[str, Any]) -> bool:
    """Whether fields look like those of an upstream config."""
    return bool(_MARKS & set(fields))


def from_upstream(fields: Mapping[str, Any], folder: Path, ours: Collection[str]) -> dict[str, Any]:
    """Our fields for those of an upstream config.

    The model is the published one (`mode: legacy`), unless its `mode` says otherwise. Stress counts in GPa there, so
    its weight is carried over to eV/Å³.

    Args:
        folder: of the config; `id_prop.json` or `id_prop.csv` there is trained on unless `data` is given.
        ours: fields of our configs; they may stand beside those of upstream, `loss` in part.
    Raises:
        ConfigError: names the field that cannot be honoured, and why.
    """
    model = dict(fields.get("model") or {})
    check_known(fields, (*TOP_FIELDS, *ours), "")
    check_known(model, MODEL_FIELDS, "model.")
    check_values(fields, ONE_VALUE, "")
    check_values(model, _ONE_MODEL_VALUE, "model.")
    tell(fields, WITHOUT_EFFECT, "")
    tell(model, _MODEL_WITHOUT_EFFECT, "model.")
    filled = {**DEFAULTS, **fields}
    found = {name: filled[name] for name in ours if name in filled}
    if "data" not in found:
        found["data"] = data_beside(folder, fields)
    if fields.get("target") is not None:
        found.setdefault("energy_key", fields["target"])
    found |= loggers_of(fields) | kept_data(fields)
    found["model"] = _network(filled, model)
    found["loss"] = {**_loss(fields, model), **(fields.get("loss") or {})}
    found["data_parallel"] = bool(fields.get("distributed") or fields.get("data_parallel"))
    found.setdefault("zbl", bool(model.get("use_penalty", True) or model.get("use_zbl")))
    return found


def _network(fields: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    network = {name: model[name] for name in _NETWORK if name in model}
    if network.get("conv_type", "alignn") == "alignn":
        tell(network, _WITHOUT_HEADS, "model.")
        network.pop("num_heads", None)
    network = {"name": "alignn_atomwise", "mode": "legacy", **network, **graph_of(fields, model)}
    if network["mode"] == "legacy" and network["name"] in _PUBLISHED[1:]:
        tell(network, _TOLD_IN_VAIN, "model.")
        network.pop("extra_features", None)
    if network["name"] not in _PUBLISHED:
        raise ConfigError(
            f"field `model.name` of an upstream config is {network['name']!r}; force fields with upstream's fields are "
            f"{', '.join(_PUBLISHED)}. Write a config of ours for another model (--print-config shows one)."
        )
    return network


def _loss(fields: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    criterion = fields.get("criterion", "l1")
    if criterion not in ("l1", "mse"):
        raise ConfigError(
            f"field `criterion` of an upstream config is {criterion!r}; a force field is trained by l1 or mse."
        )
    derived = model.get("calculate_gradient", True)
    unit = GPA_PER_EV_A3 if criterion == "l1" else GPA_PER_EV_A3**2
    return {
        "criterion": criterion,
        "energy_weight": model.get("graphwise_weight", 1.0),
        "force_weight": model.get("gradwise_weight", 1.0) if derived else 0.0,
        "stress_weight": model.get("stresswise_weight", 0.0) * unit if derived else 0.0,
        **_further_weights(model),
    }


def _further_weights(model: Mapping[str, Any]) -> dict[str, float]:
    """Weights of outputs beside the energy; none of outputs that there are not, which upstream passes over."""
    absent = {weight: count for weight, count in _FURTHER.items() if not model.get(count)}
    tell(model, {weight: (0, f"{count} is 0: there is nothing to weigh") for weight, count in absent.items()}, "model.")
    return {weight: 0.0 if weight in absent else float(model.get(weight) or 0.0) for weight in _FURTHER}
