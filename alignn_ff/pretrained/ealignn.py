"""What is left of upstream's `ealignn_atomwise` when its edge vectors are right: an invariant `alignn_atomwise`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EALIGNN = "ealignn_atomwise"

WHY_INVARIANT = (
    "is an ealignn_atomwise. Upstream adds integer lattice translations to positions in Å, so that most edge vectors "
    "of a crystal are wrong, and calls equivariant a network of distances and angles. Its weights are read here into "
    "the invariant network they fit, with true vectors: energies and forces differ from upstream's"
)

_IGNORED = {
    "use_cutoff_function": False,
    "multiply_cutoff": False,
    "lg_on_fly": True,
    "energy_mult_natoms": True,
    "force_mult_natoms": False,
    "grad_multiplier": -1,
    "add_reverse_forces": True,
    "stress_multiplier": 1,
}
"""What upstream's code does, whatever the config says, but for a factor N on the forces that is left out."""


def as_invariant(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete eALIGNN config as one of `alignn_atomwise`: edges no longer than `inner_cutoff`, no multipliers."""
    model = {**config["model"], **_IGNORED, "name": "alignn_atomwise", "was": EALIGNN}
    cutoff = min(config.get("cutoff", model["inner_cutoff"]), model["inner_cutoff"])
    return {**config, "cutoff": cutoff, "neighbor_strategy": "torch_graph", "max_neighbors": None, "model": model}
