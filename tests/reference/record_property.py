"""Record what upstream's property models say, for test_property_models.py.

    python -m tests.reference.record_property

Needs an environment with alignn 2026.8.11 and dgl 1.1.3. Weights follow a formula of their sorted names, so that none
are kept; the structures are those of record_upstream.py that upstream's own search treats well.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.reference.property_weights import CASES, EXTRA, GRAPH, fill
from tests.reference.record_upstream import structures

NAMES = ("mixture", "salt", "slab", "water")


def model_of(case: dict[str, Any]) -> torch.nn.Module:
    """Upstream's model with formulaic weights, ready to predict."""
    from alignn.models.alignn import ALIGNN, ALIGNNConfig
    from alignn.models.alignn_atomwise import ALIGNNAtomWise, ALIGNNAtomWiseConfig

    kind, settings = {
        "alignn": (ALIGNN, ALIGNNConfig),
        "alignn_atomwise": (ALIGNNAtomWise, ALIGNNAtomWiseConfig),
    }[case["name"]]
    model = kind(settings(**case)).to(torch.float64).eval()
    fill(model)
    return model


def run(case: dict[str, Any]) -> dict[str, Any]:
    """What a model says of each structure."""
    from alignn.graphs import Graph
    from jarvis.core.atoms import ase_to_atoms

    model, found = model_of(case), {}
    for name, atoms in structures().items():
        if name not in NAMES:
            continue
        g, lg = Graph.atom_dgl_multigraph(ase_to_atoms(atoms), **GRAPH)
        if case.get("extra_features"):
            g.ndata["extra_features"] = torch.tensor([EXTRA] * g.num_nodes())
        out = model((g, lg, torch.tensor(atoms.cell.array)))
        parts = out if isinstance(out, dict) else {"out": out}
        heads = ["out", *(("additional", "atomwise_pred") if "additional_output_features" in case else ())]
        found[name] = {head: parts[head].reshape(-1).tolist() for head in heads}  # absent ones are uninitialised memory
    return found


def main() -> None:
    """Write the record."""
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    record = {name: run(case) for name, case in CASES.items()}
    path = Path(__file__).parent / "upstream" / "property.json"
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
