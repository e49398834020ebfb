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
}
"""Defaults of 2026.8.11, for fields left out by hand."""

_TODAY_PURE = {"penalty_factor": 0.5}
"""Where those of `alignn_atomwise_pure` differ."""


def complete(model: Mapping[str, Any]) -> dict[str, Any]:
    """The `model` part of a published config with every field that its numbers depend on."""
    written = all(field in model for field in _ALWAYS_WRITTEN)
    if written:
        return {**_BEFORE, **model}
    pure = _TODAY_PURE if model["name"] == "alignn_atomwise_pure" else {}
    return {**_TODAY, **pure, **model}
