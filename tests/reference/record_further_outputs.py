"""Record what upstream's force fields say beside energy, forces and stress, or when told extra features.

The record is that of test_further_outputs.py.

    python -m tests.reference.record_further_outputs

Needs an environment with alignn 2026.8.11 and dgl 1.1.3. Weights follow a formula of their sorted names, so that none
are kept; the structures are those of record_upstream.py that upstream's own search treats well.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.reference.property_weights import EXTRA, SIZES, fill
from tests.reference.record_upstream import structures

NAMES = ("mixture", "salt", "slab", "water")
_OUTPUTS = {
    "atomwise_output_features": 2, "atomwise_weight": 0.5, "additional_output_features": 3,
    "stresswise_weight": 0.1, "use_penalty": False,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "dgl": {"name": "alignn_atomwise", **SIZES, **_OUTPUTS},
    "dgl_extra_features": {
        "name": "alignn_atomwise",
        **SIZES,
        **_OUTPUTS,
        "additional_output_features": 0,
        "extra_features": 4,
    },
    "dgl_one_value": {"name": "alignn_atomwise", **SIZES, **_OUTPUTS, "atomwise_output_features": 1},
    "pure": {"name": "alignn_atomwise_pure", "use_zbl": False, **SIZES, **_OUTPUTS},
    "smooth": {"name": "alignn_atomwise_pure_smooth", "radial_cutoff": 5.0, **SIZES, **_OUTPUTS},
}
GRAPH = {
    "neighbor_strategy": "torch_graph", "cutoff": 4.5, "max_neighbors": None, "atom_features": "cgcnn",
    "use_canonize": True,
}  # fmt: skip


def model_of(case: dict[str, Any]) -> torch.nn.Module:
    """Upstream's model with formulaic weights."""
    from alignn.models import alignn_atomwise, alignn_atomwise_pure, alignn_atomwise_pure_smooth

    kind, settings = {
        "alignn_atomwise": (alignn_atomwise.ALIGNNAtomWise, alignn_atomwise.ALIGNNAtomWiseConfig),
        "alignn_atomwise_pure": (
            alignn_atomwise_pure.ALIGNNAtomWisePure, alignn_atomwise_pure.ALIGNNAtomWisePureConfig,
        ),
        "alignn_atomwise_pure_smooth": (
            alignn_atomwise_pure_smooth.ALIGNNAtomWisePureSmooth,
            alignn_atomwise_pure_smooth.ALIGNNAtomWisePureSmoothConfig,
        ),
    }[case["name"]]  # fmt: skip
    model = kind(settings(**case)).to(torch.float64).eval()
    fill(model)
    return model


def graph_of(case: dict[str, Any]) -> dict[str, Any]:
    """The plain-torch models want the plain-torch graph; every edge has its angles."""
    return {
        **GRAPH,
        "three_body_cutoff": None,
        **({"neighbor_strategy": "pure_torch"} if "pure" in case["name"] else {}),
    }


def run(case: dict[str, Any]) -> dict[str, Any]:
    """What a model says of each structure; stress in GPa."""
    from alignn.graphs import Graph
    from jarvis.core.atoms import ase_to_atoms

    model, found = model_of(case), {}
    for name, atoms in structures().items():
        if name not in NAMES:
            continue
        g, lg = Graph.atom_dgl_multigraph(ase_to_atoms(atoms), **graph_of(case))
        if case.get("extra_features"):
            g.ndata["extra_features"] = torch.tensor([EXTRA] * g.num_nodes())
        out = model((g, lg, torch.tensor(atoms.cell.array)))
        heads = (
            "out",
            "grad",
            "stresses",
            "atomwise_pred",
            *(["additional"] * (case["additional_output_features"] > 0)),
        )
        found[name] = {head: out[head].detach().reshape(-1).tolist() for head in heads}
    return found


def main() -> None:
    """Write the record."""
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    record = {name: run(case) for name, case in CASES.items()}
    path = Path(__file__).parent / "upstream" / "further_outputs.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
