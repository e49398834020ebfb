"""Upstream's property models in small, with weights by a formula: shared by the record and the test that reads it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

SIZES = {
    "alignn_layers": 1, "gcn_layers": 1, "atom_input_features": 92, "edge_input_features": 12,
    "triplet_input_features": 6, "embedding_features": 5, "hidden_features": 6,
}  # fmt: skip
_ATOMWISE = {"name": "alignn_atomwise", "calculate_gradient": False, "use_penalty": False, **SIZES}
CASES: dict[str, dict[str, Any]] = {
    "alignn": {"name": "alignn", **SIZES},
    "alignn_log": {"name": "alignn", "link": "log", **SIZES},
    "alignn_logit": {"name": "alignn", "link": "logit", **SIZES},
    "alignn_three_outputs": {"name": "alignn", "output_features": 3, **SIZES},
    "alignn_classes": {"name": "alignn", "classification": True, "num_classes": 3, **SIZES},
    "alignn_extra_features": {"name": "alignn", "extra_features": 4, **SIZES},
    "atomwise": {**_ATOMWISE, "use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 4.0},
    "atomwise_more_heads": {
        **_ATOMWISE, "additional_output_features": 3, "atomwise_output_features": 2, "atomwise_weight": 0.5,
    },
    "atomwise_classes": {**_ATOMWISE, "classification": True, "energy_mult_natoms": False},
    "atomwise_extra_features": {**_ATOMWISE, "extra_features": 4},
}  # fmt: skip
GRAPH = {
    "neighbor_strategy": "torch_graph", "cutoff": 4.5, "max_neighbors": None, "atom_features": "cgcnn",
    "use_canonize": True,
}  # fmt: skip
EXTRA = [0.3, -0.7, 1.1, 0.2]
"""Extra features of every structure."""


def fill(model: nn.Module, besides: tuple[str, ...] = ()) -> None:
    """Sines of name and place: weights of norms and running variances near one, means and biases small.

    Args:
        besides: names that upstream's model has too and that count in the order.
    """
    state = model.state_dict()
    for order, name in enumerate(sorted([*state, *besides])):
        if name in besides or name.endswith(("centers", "num_batches_tracked", "_species_table")):
            continue
        tensor = state[name]
        s = torch.sin(1 + 0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + 1.3 * order).reshape(tensor.shape)
        near_one = name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
        tensor.copy_(0.5 * s if tensor.ndim == 2 else 1 + 0.1 * s if near_one else 0.1 * s)
