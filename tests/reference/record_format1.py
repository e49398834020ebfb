"""Recorded once, with alignn-ff 0.1.0: a checkpoint of format 1 and what it said of a few structures.

    python -m tests.reference.record_format1

Never run it again to make a test pass: files of format 1 are out in the world, and must keep their numbers.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from ase import Atoms
from ase.build import bulk, molecule

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.graph import concat, edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.models import Sum, build
from alignn_ff.neighbors import connect

FOLDER = Path(__file__).parent / "format1"
ELEMENTS = ["H", "O", "Al", "Cu"]


def structures() -> dict[str, Atoms]:
    """An alloy, a sheared one-atom cell and a molecule."""
    alloy = bulk("Cu", cubic=True) * (2, 1, 1)
    alloy.symbols[::3] = "Al"
    alloy.rattle(0.1, seed=1)
    sheared = bulk("Al")
    sheared.set_cell(sheared.cell * [1.0, 1.02, 0.97], scale_atoms=True)
    return {"alloy": alloy, "sheared": sheared, "water": molecule("H2O")}


def potential() -> Sum:
    """A small network with every part that has weights, calibrated on the structures."""
    torch.manual_seed(7)
    network = {
        "name": "alignn_smooth", "elements": ELEMENTS, "energy_scale": [0.5, 0.6, 0.7, 0.8], "cutoff": 4.0,
        "hidden_features": 8, "message_features": 8, "density_channels": 4, "gate": True, "body_order": 5,
        "line_graph_layers": 1, "line_graph_cutoff": 3.0,
    }  # fmt: skip
    energies = {"name": "reference_energies", "elements": ELEMENTS, "energies": [-1.1, -2.2, -3.3, -4.4]}
    total = Sum([build(energies), build(network), build({"name": "zbl", "elements": ELEMENTS})])
    graph = concat([connect(from_ase(a), total.cutoff, angle_cutoff=total.angle_cutoff) for a in structures().values()])
    total.calibrate(graph, edge_vectors(graph).to(total.dtype))
    return total


def main() -> None:
    """Write the checkpoint and the numbers."""
    save_checkpoint(FOLDER / "model.safetensors", potential(), {"licence": "MIT", "note": "random weights"})
    calculator = AlignnFFCalculator(FOLDER / "model.safetensors", dtype="float64")
    results = calculator.evaluate(list(structures().values()))
    numbers = {
        name: {key: r[key].tolist() if hasattr(r[key], "tolist") else r[key] for key in r}
        for name, r in zip(structures(), results, strict=True)
    }
    (FOLDER / "numbers.json").write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
