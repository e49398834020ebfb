"""ALIGNN property models with random weights: this package against the installed upstream package, in float64.

    python -m benchmarks.parity_property [--structures 30] [--out FILE]

Needs the environment of `parity_upstream`. Each model is made here, written as upstream's two files, read by upstream's
calculator and read back here; what that writes again must be equal bit by bit. Bar: 1e-9, absolute where the value
is below one, else relative to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from ase import Atoms

from alignn_ff import testing
from alignn_ff.graph import edge_vectors
from alignn_ff.models import PropertyModel, build_property
from alignn_ff.models.base import SYMBOLS
from alignn_ff.pretrained.publish import save_upstream
from alignn_ff.pretrained.publish_property import property_files
from alignn_ff.pretrained.upstream_property import load_upstream_property
from benchmarks.command import end_well
from benchmarks.parity_upstream import cuts_a_tie, run_cases, tell

BAR = 1e-9
_SMALL = {"alignn_layers": 2, "gcn_layers": 2, "hidden_features": 32}
_ORIGINAL = {"name": "alignn", "neighbor_strategy": "torch_graph", "three_body_cutoff": None, **_SMALL}
_ATOMWISE = {**_ORIGINAL, "name": "alignn_atomwise_property"}
_PURE = {**_ATOMWISE, "neighbor_strategy": "pure_torch", "three_body_cutoff": 3.5}
CASES: dict[str, dict[str, Any]] = {
    "alignn": _ORIGINAL,
    "alignn, standardised": {**_ORIGINAL, "shift": [-1.5], "scale": [2.5]},
    "alignn, 20 neighbours": {**_ORIGINAL, "neighbor_strategy": "fast_graph", "max_neighbors": 20},
    "alignn, positive": {**_ORIGINAL, "link": "log"},
    "alignn, three values": {**_ORIGINAL, "output_features": 3, "shift": [1, 2, 3], "scale": [0.1, 1, 10]},
    "alignn, four classes": {**_ORIGINAL, "classification": True, "num_classes": 4},
    "alignn, extra features": {**_ORIGINAL, "extra_features": 4, "shift": [0.5], "scale": [3.0]},
    "alignn, classes, extra": {**_ORIGINAL, "classification": True, "num_classes": 3, "extra_features": 4},
    "atomwise": _ATOMWISE,
    "atomwise, smoothed": {**_ATOMWISE, "use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 4.0},
    "atomwise, classes": {**_ATOMWISE, "classification": True},
    "atomwise, extra features": {**_ATOMWISE, "extra_features": 4, "link": "log"},
    "pure": {**_PURE, "shift": [-1.5], "scale": [2.5]},
    "pure, more heads": {**_PURE, "additional_output_features": 3, "atomwise_output_features": 2},
    "pure, between 0 and 1": {**_PURE, "link": "logit"},
    "pure, n_alignn": {**_PURE, "conv_type": "n_alignn", "num_heads": 4},
    "pure, t_alignn": {**_PURE, "conv_type": "t_alignn", "num_heads": 2},
}


@dataclass(frozen=True)
class Errors:
    """Largest difference over all structures and heads, and how far the first value varies among structures."""

    case: str
    structures: int
    error: float
    spread: float
    comes_back_bit_equal: bool

    def passes(self) -> bool:
        """Whether the bar is kept, by a model that tells structures apart."""
        return self.comes_back_bit_equal and self.error <= BAR < 1e-3 * self.spread


def model(fields: dict[str, Any], seed: int = 0) -> PropertyModel:
    """A legacy model with random weights, livelier than those it is initialised with, and running statistics."""
    torch.manual_seed(seed)
    network = build_property({"mode": "legacy", "elements": SYMBOLS[1:101], "target": "gap", **fields})
    for name, tensor in network.state_dict().items():
        if name.endswith("running_mean"):
            tensor.copy_(0.3 * torch.randn_like(tensor))
        elif name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand_like(tensor))
        elif name == "fc.bias" and fields.get("link") == "log":
            tensor.copy_(tensor.float())  # upstream makes this one in float32, whatever the default
        elif tensor.ndim == 2:
            tensor.mul_(2.0)
    return network.to(torch.float64).eval()


@torch.no_grad()
def our_heads(network: PropertyModel, atoms: Atoms) -> list[np.ndarray]:
    """Values (logarithms of probabilities where they are classes) and further outputs."""
    graph = testing.build_graph(network, atoms)
    scores = network(graph, edge_vectors(graph))
    value = scores.raw if network.kind == "classes" else scores.value
    return [head.reshape(-1).numpy() for head in (value, scores.additional, scores.atomwise) if head is not None]


@torch.no_grad()
def their_heads(calculator: Any, atoms: Atoms) -> list[np.ndarray]:
    """The same of upstream's network, on the graph that its calculator makes."""
    from alignn.graphs import Graph
    from jarvis.core.atoms import ase_to_atoms

    config = calculator.config
    fields = ("neighbor_strategy", "cutoff", "max_neighbors", "atom_features", "use_canonize", "three_body_cutoff")
    g, lg = Graph.atom_dgl_multigraph(ase_to_atoms(atoms), **{field: config[field] for field in fields})
    if config["model"]["extra_features"]:
        tell(g, atoms)
    found = calculator.model((g, lg, torch.tensor(atoms.cell.array)))
    parts = found if isinstance(found, dict) else {"out": found}
    further = {"additional": "additional_output_features", "atomwise_pred": "atomwise_output_features"}
    names = ["out", *(head for head, size in further.items() if config["model"].get(size))]
    return [parts[name].reshape(-1).numpy() for name in names]


def compare(case: str, many: Sequence[Atoms]) -> Errors:
    """One model by both packages."""
    from alignn.ff.calculators import AlignnAtomwiseCalculator

    ours = model(CASES[case])
    many = [atoms for atoms in many if not cuts_a_tie(atoms, CASES[case].get("max_neighbors"))]
    with TemporaryDirectory() as folder:
        save_upstream(Path(folder) / "model", ours)
        theirs = AlignnAtomwiseCalculator(path=f"{folder}/model", device="cpu")
        theirs.model.to(torch.float64)
        again = load_upstream_property(Path(folder) / "model").model
    (config, weights), (config_again, weights_again) = property_files(ours), property_files(again)
    equal = config == config_again and all(torch.equal(weights[name], weights_again[name]) for name in weights)
    worst, first = 0.0, []
    for atoms in many:
        heads = list(zip(our_heads(ours, atoms), their_heads(theirs, atoms), strict=True))
        worst = max(worst, *(float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max()) for a, b in heads))
        first.append(heads[0][0][0])
    return Errors(case, len(many), worst, float(np.ptp(first)), equal)


def run() -> None:
    """Every case of `CASES`."""
    run_cases(
        __doc__,
        CASES,
        compare,
        f"{'error':>8} {'spread':>8}",
        lambda row: f"{row.error:8.1e} {row.spread:8.1e}",
    )


if __name__ == "__main__":
    end_well(run)
