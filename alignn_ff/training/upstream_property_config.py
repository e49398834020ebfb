"""A `config.json` of upstream ALIGNN for a property, read as ours: `alignn`, or `alignn_atomwise` without forces."""

from __future__ import annotations

import csv
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

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

log = logging.getLogger(__name__)

_MARKS = {"neighbor_strategy", "atom_features", "id_tag", "dataset", "version"}
"""Fields at the top of upstream's configs that ours of a property lack."""

_HONOURED = ("classification_threshold", "target_multiplication_factor", "normalize_graph_level_loss")
"""Fields that mean something for a property, and nothing for a force field."""

_ONE_VALUE = {
    **{name: rule for name, rule in ONE_VALUE.items() if name not in _HONOURED},
    "criterion": (("mse", "l1", "poisson", "zig"), "upstream has no other"),
    "distributed": ((False,), "one process trains a property model"),
    "data_parallel": ((False,), "one process trains a property model"),
}
_WITHOUT_EFFECT = {
    **{name: rule for name, rule in WITHOUT_EFFECT.items() if name not in _HONOURED},
    "standard_scalar_and_pca": (
        False,
        "values are standardised in any case, by mean and spread of the training part; upstream has no PCA",
    ),
}

_ALIGNN = (
    *("name", "mode", "alignn_layers", "gcn_layers", "edge_input_features", "triplet_input_features"),
    *("embedding_features", "hidden_features", "output_features", "link", "zero_inflated", "classification"),
    *("num_classes", "extra_features", *GRAPH),
)
_ATOMWISE = (
    *(name for name in _ALIGNN if name != "num_classes"),
    *("use_cutoff_function", "multiply_cutoff", "inner_cutoff", "exponent", "lighten_edges", "backtracking"),
    *("conv_type", "num_heads"),
)
"""Fields of each model there and here."""

_NO_FORCES = "there are no forces"
_NO_REPULSION = "a property has no repulsion of close atoms; upstream adds one to the value at times"
_ATOMWISE_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "calculate_gradient": (False, _NO_FORCES),
    "graphwise_weight": (1.0, "it is the weight of the only term of the loss"),
    "grad_multiplier": (-1, _NO_FORCES),
    "gradwise_weight": (1.0, _NO_FORCES),
    "stresswise_weight": (0.0, _NO_FORCES),
    "force_mult_natoms": (False, _NO_FORCES),
    "energy_mult_natoms": (True, _NO_FORCES),
    "stress_multiplier": (1, _NO_FORCES),
    "add_reverse_forces": (True, _NO_FORCES),
    "lg_on_fly": (True, _NO_FORCES),
    "batch_stress": (True, _NO_FORCES),
    "include_pos_deriv": (False, _NO_FORCES),
    "mlp_first": (True, "a property is read off the mean of the atoms' features"),
    "remove_torque": (True, _NO_FORCES),
    "use_zbl": (None, _NO_REPULSION),
    "zbl_cutoff": (0.9, _NO_REPULSION),
    "use_penalty": (True, _NO_REPULSION),
    "penalty_factor": (0.1, _NO_REPULSION),
    "penalty_threshold": (1.0, _NO_REPULSION),
}
_FURTHER = ((0, None), "outputs beside the property are for published models; learn several by output_features")
_ATOMWISE_ONE_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "atomwise_output_features": _FURTHER,
    "atomwise_weight": _FURTHER,
    "additional_output_features": _FURTHER,
    "additional_output_weight": _FURTHER,
}
_EXTRA_FEATURES = "extra_features"
"""What records of upstream's id_prop.json call them."""

PROPERTY_TOP_FIELDS = (
    *(*SAME, *GRAPH, *_WITHOUT_EFFECT, *_ONE_VALUE, *_HONOURED),
    *ALIKE,
)
"""Every field at the top of an upstream config."""
PROPERTY_MODEL_FIELDS = (*_ALIGNN, "atom_input_features")
"""Every field of its model `alignn`."""
WITHOUT_FORCES_FIELDS = (*_ATOMWISE, *_ATOMWISE_WITHOUT_EFFECT, *_ATOMWISE_ONE_VALUE, "atom_input_features")
"""Every field of its model `alignn_atomwise`, or of that one's pure twin."""
_WITHOUT_FORCES = ("alignn_atomwise", "alignn_atomwise_pure")


def is_upstream_property(fields: Mapping[str, Any]) -> bool:
    """Whether fields of a property model look like those of an upstream config."""
    return bool(_MARKS & set(fields))


def is_without_forces(fields: Mapping[str, Any]) -> bool:
    """Whether fields are those of an upstream config whose force field is trained without forces: a property model."""
    model = fields["model"]
    if not is_upstream_property(fields) or model.get("name") not in _WITHOUT_FORCES:
        return False
    return model.get("calculate_gradient") is False or model.get("gradwise_weight") == 0


def from_upstream_property(fields: Mapping[str, Any], folder: Path, ours: Collection[str]) -> dict[str, Any]:
    """Our fields for those of an upstream config of a property model.

    The model is the published one (`mode: legacy`), unless its `mode` says otherwise. `zero_inflated`, which upstream
    accepts and ignores, is honoured.

    Args:
        folder: of the config; `id_prop.json` or `id_prop.csv` there is trained on unless `data` is given. Several
            values of a structure in such a CSV file make a model of as many, as they do upstream.
        ours: fields of our configs; they may stand beside those of upstream.
    Raises:
        ConfigError: names the field that cannot be honoured, and why.
    """
    model = dict(fields["model"])
    alone = is_without_forces(fields)
    check_known(fields, (*PROPERTY_TOP_FIELDS, *ours), "")
    check_known(model, WITHOUT_FORCES_FIELDS if alone else PROPERTY_MODEL_FIELDS, "model.")
    check_values(fields, _ONE_VALUE, "")
    if alone:
        log.warning(
            "gradwise_weight is 0 or calculate_gradient false: a property model is trained; forces, where there are "
            "labels of them, will not be learned"
        )
        check_values(model, _ATOMWISE_ONE_VALUE, "model.")
        tell(model, _ATOMWISE_WITHOUT_EFFECT, "model.")
    tell(fields, _WITHOUT_EFFECT, "")
    filled = {**DEFAULTS, **fields}
    found = {name: filled[name] for name in ours if filled.get(name) is not None}
    found |= loggers_of(fields) | kept_data(fields)
    if "data" not in found:
        found["data"] = data_beside(folder, fields)
    network = {name: model[name] for name in (_ATOMWISE if alone else _ALIGNN) if name in model}
    if alone:
        network |= {"name": "alignn_atomwise_property"}
        if network.get("conv_type", "alignn") == "alignn":
            network.pop("num_heads", None)  # which gates do not have
    found["model"] = {"mode": "legacy", **network, **graph_of(filled, model)}
    if fields.get("criterion") == "zig":  # upstream asks for both, and for the link that ours has within
        found["model"] |= {"zero_inflated": True, "link": "identity"}
    if fields.get("criterion") == "poisson":
        found["model"].setdefault("link", "log")
    values = _values_in_csv(found["data"])
    if values > 1 and network.get("output_features", 1) == 1:
        log.info("field `model.output_features` is %d, the values of a structure in %s", values, found["data"])
        found["model"]["output_features"] = values
    if "classification_threshold" in found:  # upstream makes a classifier of the model then
        found["model"]["classification"] = True
    if network.get("extra_features"):
        found.setdefault("extra_features_key", _EXTRA_FEATURES)
    return found


def _values_in_csv(files: Any) -> int:
    """Values of the first structure in `id_prop.csv`, which upstream makes its model by; 1 for other files."""
    path = Path(files[0] if isinstance(files, list) else files)
    if path.suffix != ".csv" or not path.is_file():
        return 1
    with path.open(newline="", encoding="utf-8") as file:
        return max(1, len(next(csv.reader(file), [])) - 1)
