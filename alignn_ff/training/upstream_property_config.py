"""A `config.json` of upstream ALIGNN for a property (`model.name: alignn`), read as ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignn_ff.errors import ConfigError
from alignn_ff.training.upstream_fields import (
    DEFAULTS,
    GRAPH,
    ONE_VALUE,
    SAME,
    WITHOUT_EFFECT,
    check_known,
    check_values,
    data_beside,
    graph_of,
    tell,
)

_MARKS = {"neighbor_strategy", "atom_features", "id_tag", "dataset", "version"}
"""Fields at the top of upstream's configs that ours of a property lack."""

_HONOURED = ("classification_threshold", "target_multiplication_factor", "normalize_graph_level_loss")
"""Fields that mean something for a property, and nothing for a force field."""

_ONE_VALUE = {
    **{name: rule for name, rule in ONE_VALUE.items() if name not in _HONOURED},
    "use_amp": ((False,), "there is no mixed precision"),
    "criterion": (("mse", "l1", "poisson", "zig"), "upstream has no other"),
}
_WITHOUT_EFFECT = {
    **{name: rule for name, rule in WITHOUT_EFFECT.items() if name not in _HONOURED},
    "standard_scalar_and_pca": (
        False,
        "values are standardised in any case, by mean and spread of the training part; upstream has no PCA",
    ),
}

_NETWORK = (
    *("name", "mode", "alignn_layers", "gcn_layers", "edge_input_features", "triplet_input_features"),
    *("embedding_features", "hidden_features", "output_features", "link", "zero_inflated", "classification"),
    *("num_classes", "extra_features", *GRAPH),
)
_EXTRA_FEATURES = "extra_features"
"""What records of upstream's id_prop.json call them."""

PROPERTY_TOP_FIELDS = (*SAME, *GRAPH, *_WITHOUT_EFFECT, *_ONE_VALUE, *_HONOURED, "model", "target", "lr_total_epochs")
"""Every field at the top of an upstream config."""
PROPERTY_MODEL_FIELDS = (*_NETWORK, "atom_input_features")
"""Every field of its model."""

_OURS = ("data", "validation_data", "unit", "extra_features_key", "batch_atoms", "gradient_clip", "graph_cache_mb")
"""Fields of ours that may stand beside those of upstream."""


def is_upstream_property(fields: Mapping[str, Any]) -> bool:
    """Whether fields of a property model look like those of an upstream config."""
    return bool(_MARKS & set(fields))


def from_upstream_property(fields: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Our fields for those of an upstream config of a property model.

    The model is the published one (`mode: legacy`), unless its `mode` says otherwise. `zero_inflated`, which upstream
    accepts and ignores, is honoured.

    Args:
        folder: of the config; `id_prop.json` or `id_prop.csv` there is trained on unless `data` is given.
    Raises:
        ConfigError: names the field that cannot be honoured, and why.
    """
    model = dict(fields["model"])
    check_known(fields, (*PROPERTY_TOP_FIELDS, *_OURS), "")
    check_known(model, PROPERTY_MODEL_FIELDS, "model.")
    check_values(fields, _ONE_VALUE, "")
    tell(fields, _WITHOUT_EFFECT, "")
    filled = {**DEFAULTS, **fields}
    if fields.get("lr_total_epochs") not in (None, filled["epochs"]):
        raise ConfigError("field `lr_total_epochs` of an upstream config: the schedule ends with the last epoch.")
    taken = (*SAME, *_OURS, *_HONOURED, "target", "criterion")
    found = {name: filled[name] for name in taken if filled.get(name) is not None}
    if "data" not in found:
        found["data"] = data_beside(folder, fields)
    network = {name: model[name] for name in _NETWORK if name in model}
    found["model"] = {"mode": "legacy", **network, **graph_of(filled, model)}
    if fields.get("criterion") == "zig":  # upstream asks for both, and for the link that ours has within
        found["model"] |= {"zero_inflated": True, "link": "identity"}
    if fields.get("criterion") == "poisson":
        found["model"].setdefault("link", "log")
    if "classification_threshold" in found:  # upstream makes a classifier of the model then
        found["model"]["classification"] = True
    if network.get("extra_features"):
        found.setdefault("extra_features_key", _EXTRA_FEATURES)
    return found
