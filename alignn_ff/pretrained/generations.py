"""What a field that a published config lacks meant when the model was trained.

The trainer writes every field of its time into config.json. A field that is not there did not exist, and the code
then did what is told here; today's default may be another. Read from the releases 2023.5.3, 2023.8.1, 2023.10.1,
2024.8.30, 2024.10.30 and 2026.8.11 of PyPI's alignn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALWAYS_WRITTEN = ("link", "zero_inflated", "classification", "grad_multiplier", "edge_input_features")
"""Fields of every generation: a config without one of them was written by hand."""

_BEFORE = {
    "add_reverse_forces": False,  # until 2023.5
    "lg_on_fly": False,  # until 2023.7
    "energy_mult_natoms": False,
    "force_mult_natoms": False,
    "use_cutoff_function": False,
    "inner_cutoff": 4.0,
    "multiply_cutoff": False,
    "exponent": 3,  # until 2024.5
    "use_penalty": False,  # until 2024.8
    "penalty_factor": 0.1,
    "penalty_threshold": 1.0,
    "stress_multiplier": 1.0,
    "use_zbl": False,  # until 2026
    "zbl_cutoff": 0.9,
    "conv_type": "alignn",
    "num_heads": 1,
    "atomwise_output_features": 0,
    "additional_output_features": 0,
    "extra_features": 0,
}
"""What was done before a field existed."""

_TODAY = {
    "alignn_layers": 2,
    "gcn_layers": 2,
    "atom_input_features": 1,
    "edge_input_features": 80,
    "triplet_input_features": 40,
    "embedding_features": 64,
    "hidden_features": 64,
    "grad_multiplier": -1,
    "calculate_gradient": True,
    "gradwise_weight": 1.0,
    "add_reverse_forces": True,
    "lg_on_fly": True,
    "energy_mult_natoms": True,
    "force_mult_natoms": False,
    "use_cutoff_function": False,
    "inner_cutoff": 3.0,
    "multiply_cutoff": False,
    "exponent": 5,
    "use_penalty": True,
    "penalty_factor": 0.1,
    "penalty_threshold": 1.0,
    "stress_multiplier": 1.0,
    "use_zbl": None,
    "zbl_cutoff": 0.9,
    "conv_type": "alignn",
    "num_heads": 1,
    "atomwise_output_features": 0,
    "additional_output_features": 0,
    "extra_features": 0,
}
"""Defaults of 2026.8.11, for fields left out by hand."""

_TODAY_OF: dict[str, dict[str, Any]] = {
    "alignn_atomwise_pure": {"penalty_factor": 0.5},
    "alignn_atomwise_pure_smooth": {
        "penalty_factor": 0.5,
        "energy_mult_natoms": False,
        "radial_basis": "bessel",
        "angular_basis": "fourier",
        "radial_cutoff": 8.0,
        "smooth_cutoff_coeff": 5.0,
        "radial_learnable": True,
        "angular_learnable": True,
        "use_atomref": True,
    },
    "ealignn_atomwise": {"inner_cutoff": 4.0},
}
"""Where those of a model differ from `alignn_atomwise`."""


def complete(model: Mapping[str, Any]) -> dict[str, Any]:
    """The `model` part of a published config with every field that its numbers depend on."""
    written = all(field in model for field in _ALWAYS_WRITTEN)
    whole = {**_BEFORE, **model} if written else {**_TODAY, **_TODAY_OF.get(model["name"], {}), **model}
    return {**whole, "num_heads": 1} if whole["conv_type"] == "alignn" else whole  # which has none


_PROPERTY = {
    "alignn_layers": 4,
    "gcn_layers": 4,
    "atom_input_features": 92,
    "edge_input_features": 80,
    "triplet_input_features": 40,
    "embedding_features": 64,
    "hidden_features": 256,
    "output_features": 1,
    "link": "identity",
    "classification": False,
    "num_classes": 2,
    "extra_features": 0,
}
"""Defaults of `alignn`, in every generation the same."""

_PROPERTY_HEADS = {
    "output_features": 1,
    "link": "identity",
    "classification": False,
}
"""What `alignn_atomwise` did before fields of other outputs existed, and does without them."""


def complete_property(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a property model."""
    if model["name"] == "alignn":
        return {**_PROPERTY, **model}
    return {**_PROPERTY_HEADS, **complete(model)}
