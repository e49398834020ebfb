"""Fixtures shared by all tests."""

from __future__ import annotations

import signal
from functools import cache
from typing import Any

import pytest
import torch

from alignn_ff.graph import concat, edge_vectors
from alignn_ff.models import Potential, Sum, build, ops_dgl
from alignn_ff.testing import build_graph
from tests.structures import ELEMENTS, REFERENCE_ENERGIES, SMALL

# A suite started in the background of a shell begins with Ctrl-C ignored; tests of interrupts need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # tests run side by side; threads would only quarrel

SMOOTH_CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "gated_two_layers": {"gate": True, "gcn_layers": 2},
    "parallel": {"arrangement": "parallel", "gcn_layers": 2},
    "no_messages": {"message_features": 0},
    "five_body": {"body_order": 5},
    "three_body": {"body_order": 3, "max_degree": 1},
    "line_graph": {"line_graph_layers": 1, "line_graph_cutoff": 3.1},
    "bond_functions": {"bond_functions": 4},
}
"""One for each choice that makes other code run."""

ATOMWISE_CONFIGS: dict[str, dict[str, Any]] = {
    "atomwise": {},
    "atomwise_all_angles": {"three_body_cutoff": None, "alignn_layers": 2, "gcn_layers": 0},
    "atomwise_cutoff_function": {"use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 3.5},
    "atomwise_replaced_distance": {"use_cutoff_function": True, "atom_features": "atomic_number"},
    "atomwise_no_angles": {"alignn_layers": 0, "gcn_layers": 2, "atom_features": "learnt"},
    "atomwise_node_attention": {"conv_type": "n_alignn", "num_heads": 2, "lighten_edges": True, "inner_cutoff": 3.5},
    "atomwise_self_attention": {"conv_type": "t_alignn", "num_heads": 4, "gcn_layers": 2, "backtracking": False},
}
"""The same for `alignn_atomwise` in sound mode."""

PURE_SMOOTH_CONFIGS: dict[str, dict[str, Any]] = {
    "pure_smooth": {},
    "pure_smooth_short_basis": {"radial_cutoff": 3.6, "smooth_cutoff_coeff": 4.0},
    "pure_smooth_gaussians": {"radial_basis": "gaussian", "angular_basis": "cosine", "smooth_cutoff_coeff": 0.0},
}
"""The same for `alignn_atomwise_pure_smooth` in sound mode."""

_SMALL_SIZES = {
    "cutoff": 4.1,
    "hidden_features": 12,
    "density_channels": 6,
    "message_features": 8,
    "radial_functions": 6,
}
_SMALL_ATOMWISE = {
    "cutoff": 4.1,
    "three_body_cutoff": 3.1,
    "alignn_layers": 1,
    "gcn_layers": 1,
    "edge_input_features": 16,
    "triplet_input_features": 6,
    "embedding_features": 6,
    "hidden_features": 8,
}

_SMALL_EALIGNN = {"name": "ealignn_atomwise", "cutoff": 4.1, "hidden_features": 10, "vector_features": 6}

CONFIGS: dict[str, dict[str, Any]] = {
    **{key: {"name": "alignn_smooth", **_SMALL_SIZES, **fields} for key, fields in SMOOTH_CONFIGS.items()},
    **{key: {"name": "alignn_atomwise", **_SMALL_ATOMWISE, **fields} for key, fields in ATOMWISE_CONFIGS.items()},
    **{
        key: {"name": "alignn_atomwise_pure_smooth", **_SMALL_ATOMWISE, **fields}
        for key, fields in PURE_SMOOTH_CONFIGS.items()
    },
    "ealignn": _SMALL_EALIGNN,
}
"""Every potential that the physics tests hold to its claims."""


@cache
def random_potential(config: str = "default", *, composed: bool = False, seed: int = 0) -> Potential:
    """A float64 potential with random weights that knows the zoo; do not change it, it is shared.

    Args:
        config: key of `CONFIGS`.
        composed: in a sum with reference energies and ZBL, as training makes it.
    """
    torch.manual_seed(seed)
    elements = list(ELEMENTS)
    model = build({"elements": elements, "energy_scale": [1.0] * len(elements), **CONFIGS[config]})
    potential: Potential = model
    if composed:
        references = {
            "name": "reference_energies",
            "elements": elements,
            "energies": list(REFERENCE_ENERGIES),
        }
        potential = Sum([build(references), model, build({"name": "zbl", "elements": elements})])
    potential = potential.to(torch.float64).eval()
    typical = concat([build_graph(potential, build_one()) for build_one in SMALL.values()])
    potential.calibrate(typical, edge_vectors(typical))
    return potential


@pytest.fixture
def potential() -> Potential:
    """The composed default."""
    return random_potential("default", composed=True)


@pytest.fixture
def with_dgl() -> None:
    """Skips where there is no DGL."""
    if ops_dgl.library() is None:
        pytest.skip("DGL is not installed: pip install alignn-ff[dgl] (Python 3.11 or older)")
