"""A walk through every field of every model's config: each changes what the model says, or is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from alignn_ff.errors import ConfigError
from alignn_ff.graph import edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.models import build, build_property, model_class, property_class
from alignn_ff.neighbors import connect
from tests.structures import SMALL

SIZES = {
    "alignn_smooth": {"cutoff": 4.1, "hidden_features": 6, "density_channels": 4, "message_features": 4},
    "ealignn_atomwise": {"cutoff": 4.1, "hidden_features": 6, "vector_features": 4},
}
ATOMWISE = {"cutoff": 4.1, "three_body_cutoff": 3.1, "alignn_layers": 1, "gcn_layers": 1, "edge_input_features": 8,
            "triplet_input_features": 5, "embedding_features": 4, "hidden_features": 6}  # fmt: skip
LEGACY = {"mode": "legacy", "max_neighbors": 12}
FORCE_FIELDS = ("alignn_smooth", "ealignn_atomwise", "alignn_atomwise", "alignn_atomwise_pure_smooth")
PROPERTIES = ("alignn", "alignn_atomwise_property")

BESIDE: dict[str, dict[str, Any]] = {
    "use_canonize": {**LEGACY, "neighbor_strategy": "k-nearest"},
    "cutoff_extra": {"mode": "legacy", "neighbor_strategy": "radius_graph", "cutoff": 1.0, "three_body_cutoff": 1.0},
    "neighbor_strategy": LEGACY,
    "max_neighbors": {**LEGACY, "max_neighbors": 3},
    "lg_on_fly": {"mode": "legacy"},
    "use_atomref": {"mode": "legacy", "use_atomref": False},
    "num_heads": {"conv_type": "t_alignn"},
    "multiply_cutoff": {"use_cutoff_function": True},
    "inner_cutoff": {"use_cutoff_function": True},
    "line_graph_cutoff": {"line_graph_layers": 1},
    "num_classes": {"classification": True},
    "backtracking": {"mode": "legacy"},
    "atomwise_target": {"atomwise_output_features": 1},
    "additional_target": {"additional_output_features": 1},
}
"""Without which a field would have nothing to act on."""

OTHER: dict[str, Any] = {
    "arrangement": "parallel", "body_order": 3, "max_degree": 2, "bond_functions": 3, "mode": "legacy",
    "atom_features": "atomic_number", "neighbor_strategy": "radius_graph", "conv_type": "n_alignn", "num_heads": 2,
    "radial_basis": "gaussian", "angular_basis": "cosine", "link": "log", "cutoff": 4.6, "three_body_cutoff": 2.9,
    "line_graph_cutoff": 3.0, "num_classes": 3, "max_neighbors": 4, "gcn_layers": 2, "exponent": 3,
    "triplet_input_features": 9, "atomwise_target": ("charges",), "additional_target": ("gap",),
}  # fmt: skip


def fields() -> list[tuple[str, str]]:
    configs = [(name, model_class(name).Config) for name in FORCE_FIELDS]
    configs += [(name, property_class(name).Config) for name in PROPERTIES]
    return [(name, field) for name, config in configs for field in config.model_fields]


def other(value: Any) -> Any:
    return not value if isinstance(value, bool) else value + 1


def said(name: str, changes: dict[str, Any]) -> Any:
    """Outputs on an alloy, and the weights that learn; or why there is no such model."""
    torch.manual_seed(0)
    sizes = SIZES.get(name, ATOMWISE)
    settings = {"name": name, **sizes, **changes, "elements": ["Cu", "Si", "O", "H", "C", "Al", "Ni", "Na", "Cl"]}
    try:
        model = build_property(settings) if name in PROPERTIES else build({**settings, "energy_scale": [1.0] * 9})
    except ConfigError as refusal:
        return str(refusal)
    model = model.double().eval()
    bare = from_ase(SMALL["alloy"]())._replace(extra_features=torch.ones(1, model.extra_features).double())
    graph = connect(bare, **model.wants)
    vectors = edge_vectors(graph).requires_grad_()
    if name in PROPERTIES:
        scores = model(graph, vectors)
        outputs = [scores.value, *(t for t in scores[1:] if isinstance(t, torch.Tensor))]
        names: tuple[str, ...] = ()
    else:
        heads = model(graph, vectors)
        (gradient,) = torch.autograd.grad(heads.energy.sum(), vectors)
        outputs = [gradient, *(t for t in heads if t is not None)]
        names = model.atomwise_names + model.additional_names
    shapes = [(key, tuple(w.shape), w.requires_grad) for key, w in model.named_parameters()]
    return [t.detach().tolist() for t in outputs], shapes, names


@pytest.mark.parametrize(("name", "field"), fields())
def test_each_field_changes_what_the_model_says_or_is_refused(name, field):
    beside = BESIDE.get(field, {})
    config = (property_class if name in PROPERTIES else model_class)(name).Config
    default = {**SIZES.get(name, ATOMWISE), **beside}.get(field, config.model_fields[field].default)
    changed = OTHER[field] if field in OTHER and OTHER[field] != default else other(default)
    before, after = said(name, beside), said(name, {**beside, field: changed})
    assert not isinstance(before, str), before
    assert before != after
