"""Recorded once, with PyPI's alignn 2026.8.11 in an environment of its own: random weights and what upstream said.

    pip install torch==2.13.0 alignn==2026.8.11 dgl==1.1.3 matscipy==1.3.1 && pip install 'setuptools<70'
    python tests/reference/record_upstream.py

Writes `upstream/`: the weights of two models as the trainer saves them (float32 state dicts), and `record.json` with
the structures, one config.json a case, and energy (eV), forces (eV/Å) and stress (eV/Å³, Voigt) by upstream's ASE
calculator, run in float64.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

FOLDER = Path(__file__).parent / "upstream"
ELEMENTS = "H Li C N O F Na Al Si P S Cl Ti Fe Ni Cu Mo Ag Ba Au".split()
SIZES = {
    "alignn_layers": 2, "gcn_layers": 2, "edge_input_features": 16, "triplet_input_features": 8,
    "embedding_features": 6, "hidden_features": 8,
}  # fmt: skip

DGL = {"neighbor_strategy": "fast_graph", "max_neighbors": None}  # radius_graph rounds its vectors to float32
CASES: dict[str, dict[str, Any]] = {
    "pure": {"name": "alignn_atomwise_pure", "top": {"neighbor_strategy": "pure_torch", "three_body_cutoff": 3.5}},
    "pure_matpes": {
        "name": "alignn_atomwise_pure",
        "top": {"neighbor_strategy": "pure_torch", "max_neighbors": 52, "three_body_cutoff": 3.5},
        "use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 4.0,
    },
    "pure_all_angles": {
        "name": "alignn_atomwise_pure", "use_zbl": False,
        "top": {"neighbor_strategy": "pure_torch", "max_neighbors": None, "three_body_cutoff": None},
    },
    "pure_on_dgl_graph": {"name": "alignn_atomwise_pure", "top": DGL},
    "radius_graph": {"top": {"neighbor_strategy": "radius_graph"}},
    "k_nearest": {"top": {"neighbor_strategy": "k-nearest", "cutoff": 8.0}},
    "k_nearest_twice": {"top": {"neighbor_strategy": "k-nearest", "cutoff": 8.0, "use_canonize": False}},
    "fast_graph": {"top": {"neighbor_strategy": "fast_graph", "max_neighbors": 20}},
    "torch_graph": {"top": {"neighbor_strategy": "torch_graph", "max_neighbors": None}},
    "replaced_distance": {"top": DGL, "use_cutoff_function": True, "inner_cutoff": 4.0, "exponent": 3},
    "replaced_distance_pure": {
        "name": "alignn_atomwise_pure", "top": {"neighbor_strategy": "pure_torch", "max_neighbors": None},
        "use_cutoff_function": True, "inner_cutoff": 4.0,
    },
    "fixed_angles": {"top": DGL, "lg_on_fly": False},
    "gradient_per_atom": {"top": DGL, "energy_mult_natoms": False},
    "gradient_per_atom_pure": {
        "name": "alignn_atomwise_pure", "top": {"neighbor_strategy": "pure_torch"}, "energy_mult_natoms": False,
    },
    "multiplied_gradient": {"top": DGL, "force_mult_natoms": True, "grad_multiplier": -2},
    "half_forces": {"top": DGL, "add_reverse_forces": False},
    "scaled_stress": {"top": DGL, "stress_multiplier": 0.5},
    "atomic_number": {"top": {**DGL, "atom_features": "atomic_number"}},
    "no_angles": {
        "name": "alignn_atomwise_pure", "alignn_layers": 2,
        "top": {"neighbor_strategy": "pure_torch", "three_body_cutoff": 1.0, "max_neighbors": 12},
    },
}  # fmt: skip
"""Fields that differ from upstream's defaults; those under `top` stand outside `model`."""


def structures() -> dict[str, Atoms]:
    """Twenty elements, a lone periodic atom, a slab, a molecule with short bonds, atoms outside the cell."""
    rng = np.random.default_rng(7)
    mixture = bulk("Cu", a=4.4, cubic=True) * (1, 1, 5)
    mixture.symbols[:] = ELEMENTS
    mixture.positions += 0.25 * rng.normal(size=(20, 3))
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    salt.positions += 0.1 * rng.normal(size=(8, 3))
    outside = salt.copy()
    outside.positions += rng.integers(-2, 3, (8, 3)) @ salt.cell.array
    single = bulk("Al")
    single.set_cell(single.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
    primitive = bulk("LiF", "rocksalt", a=4.0)
    primitive.set_cell(primitive.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
    slab = fcc111("Ni", (2, 2, 2), vacuum=5.0)
    slab.symbols[-1] = "O"
    slab.positions += 0.1 * rng.normal(size=(8, 3))
    water = molecule("H2O", cell=[8.0, 8.5, 9.0], pbc=True)
    water.positions += 0.05 * rng.normal(size=(3, 3))
    inside = {
        "mixture": mixture, "salt": salt, "single": single, "primitive": primitive, "slab": slab, "water": water,
    }  # fmt: skip
    for atoms in inside.values():
        atoms.wrap()  # upstream's own searches lose neighbours of atoms outside
    return {**inside, "outside": outside}


def full_config(case: dict[str, Any]) -> dict[str, Any]:
    """What upstream's trainer writes into config.json."""
    from alignn.config import TrainingConfig

    fields = {k: v for k, v in case.items() if k not in ("top", "name")}
    top = {"dataset": "user_data", "target": "target", "cutoff": 5.0, **case["top"]}
    width = 1 if top.get("atom_features") == "atomic_number" else 92
    model = {
        "name": case.get("name", "alignn_atomwise"), "atom_input_features": width, "stresswise_weight": 0.1, **SIZES,
        **fields,
    }  # fmt: skip
    config = json.loads(TrainingConfig(**top, model=model).model_dump_json())
    config["output_dir"], config["version"] = "out", "NA"  # as they were on the machine that recorded
    return config


def weights(width: int) -> dict[str, torch.Tensor]:
    """A float32 state dict of `alignn_atomwise`, livelier than its initial weights."""
    from alignn.models.alignn_atomwise import ALIGNNAtomWise, ALIGNNAtomWiseConfig

    torch.manual_seed(11)
    model = ALIGNNAtomWise(ALIGNNAtomWiseConfig(name="alignn_atomwise", atom_input_features=width, **SIZES))
    for parameter in model.parameters():
        parameter.data.mul_(2.0 if parameter.ndim == 2 else 1.0)
    return model.state_dict()


def run(config: dict[str, Any], state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Energy, forces and stress of every structure by upstream's calculator, in float64."""
    from alignn.ff.calculators import AlignnAtomwiseCalculator

    if config["model"]["name"].endswith("pure"):  # the one buffer that only this implementation has
        state = {"_species_table": torch.zeros(120, config["model"]["atom_input_features"]), **state}
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, Path(folder) / "best_model.pt")
        (Path(folder) / "config.json").write_text(json.dumps(config))
        calculator = AlignnAtomwiseCalculator(path=folder, device="cpu")
        found = {}
        for name, atoms in structures().items():
            calculator.calculate(atoms)
            found[name] = {
                "energy": float(calculator.results["energy"]),
                "forces": np.reshape(calculator.results["forces"], (-1, 3)).tolist(),
                "stress": np.asarray(calculator.results["stress"]).tolist(),
            }
    return found


def main() -> None:
    """Write the weights and the record."""
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    states = {width: weights(width) for width in (92, 1)}
    for width, state in states.items():
        torch.save(state, FOLDER / f"weights_{width}.pt")
    torch.set_default_dtype(torch.float64)
    record: dict[str, Any] = {"structures": {}, "cases": {}}
    for name, atoms in structures().items():
        record["structures"][name] = {
            "symbols": atoms.get_chemical_symbols(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
        }
    for name, case in CASES.items():
        config = full_config(case)
        print(name)
        record["cases"][name] = {
            "config": config,
            "results": run(json.loads(json.dumps(config)), states[config["model"]["atom_input_features"]]),
        }
    (FOLDER / "record.json").write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
