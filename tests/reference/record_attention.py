"""Record what upstream says of the attention variants of its pure model, for test_attention.py.

    python -m tests.reference.record_attention

Needs an environment with alignn 2026.8.11 and matscipy. Weights follow a formula of their sorted names, so that none
are kept; the structures are those of record_upstream.py.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.reference.property_weights import SIZES, fill
from tests.reference.record_upstream import full_config, run

NAMES = ("mixture", "salt", "single", "water")
CASES: dict[str, dict[str, Any]] = {
    "n_alignn": {"conv_type": "n_alignn"},
    "n_alignn_two_heads": {"conv_type": "n_alignn", "num_heads": 2, "use_penalty": False, "use_zbl": False},
    "t_alignn": {"conv_type": "t_alignn", "use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 4.0},
    "t_alignn_three_heads": {"conv_type": "t_alignn", "num_heads": 3},
}
"""Fields of the model that differ from upstream's defaults."""


def record(case: dict[str, Any]) -> dict[str, Any]:
    """The config.json of a case and what upstream's calculator says of each structure."""
    from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig

    top = {"neighbor_strategy": "pure_torch", "max_neighbors": 20, "three_body_cutoff": 3.5}
    config = full_config({"name": "alignn_atomwise_pure", "top": top, **SIZES, **case})
    model = ALIGNNAtomWisePure(ALIGNNAtomWisePureConfig(**config["model"]))
    fill(model)
    state = {name: value for name, value in model.state_dict().items() if name != "_species_table"}
    found = run(json.loads(json.dumps(config)), state)
    return {"config": config, "results": {name: found[name] for name in NAMES}}


def main() -> None:
    """Write the record."""
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    found = {name: record(case) for name, case in CASES.items()}
    path = Path(__file__).parent / "upstream" / "attention.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
