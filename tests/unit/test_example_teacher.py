"""The TensorNet of `examples/teacher_matgl.py`, with random weights: matgl itself is not needed for its physics."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation
from torch import nn

from alignn_ff.distill.teacher import make_teacher

FEATURES, BASIS = 8, 5
ELEMENTS = ("H", "O", "Na", "Cl")


def linears(*sizes: tuple[int, int], bias: bool = True) -> nn.ModuleList:
    return nn.ModuleList([nn.Linear(*size, bias=bias) for size in sizes])


def network() -> nn.Module:
    """Modules by the names that matgl gives them."""
    f, whole = FEATURES, nn.Module()
    embedding = nn.Module()
    for k in (1, 2, 3):
        setattr(embedding, f"distance_proj{k}", nn.Linear(BASIS, f))
    embedding.emb, embedding.emb2 = nn.Embedding(len(ELEMENTS), f), nn.Linear(2 * f, f)
    embedding.init_norm, embedding.act = nn.LayerNorm(f), nn.SiLU()
    embedding.linears_scalar = linears((f, 2 * f), (2 * f, 3 * f))
    embedding.linears_tensor = linears(*[(f, f)] * 3, bias=False)
    layer = nn.Module()
    layer.linears_scalar, layer.act = linears((BASIS, f), (f, 2 * f), (2 * f, 3 * f)), nn.SiLU()
    layer.linears_tensor, layer.equivariance_invariance_group = linears(*[(f, f)] * 6, bias=False), "O(3)"
    whole.element_types, whole.cutoff, whole.tensor_embedding = ELEMENTS, 4.0, embedding
    whole.layers, whole.out_norm, whole.linear = nn.ModuleList([layer]), nn.LayerNorm(3 * f), nn.Linear(3 * f, f)
    whole.final_layer = nn.Module()
    whole.final_layer.gated = nn.Linear(f, 1)
    return whole


class Potential(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = network()
        centres = torch.linspace(1.0, 4.0, BASIS)
        self.model.bond_expansion = lambda distances: torch.exp(-((distances[:, None] - centres) ** 2))
        self.data_std = torch.tensor(3.0)
        self.element_refs = SimpleNamespace(property_offset=torch.arange(4.0))


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """The example's calculator, made as `distill` makes it, around random weights."""
    torch.manual_seed(0)
    monkeypatch.setitem(sys.modules, "matgl", SimpleNamespace(load_model=lambda name: Potential(), __version__="0"))
    example = Path(__file__).parents[2] / "examples" / "teacher_matgl.py"
    changed = tmp_path / "teacher.py"
    changed.write_text(example.read_text().replace("if abs(energy - NACL_EV_PER_ATOM) > 0.01:", "if False:"))
    return make_teacher(f"{changed}:make")


def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.7) * (2, 1, 1)
    atoms.rattle(0.2, seed=1)
    return atoms


def energy(teacher, atoms: Atoms) -> float:
    return teacher.get_property("energy", atoms)


@pytest.mark.parametrize("atoms", [salt(), molecule("H2O")], ids=["crystal", "molecule"])
def test_energy_turns_with_the_structure(teacher, atoms):
    turn = Rotation.random(random_state=0).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell[:] @ turn.T)
    turned.positions = -atoms.positions @ turn.T  # and mirrored
    turned.set_cell(-turned.cell[:])
    assert energy(teacher, turned) == pytest.approx(energy(teacher, atoms), abs=1e-5)
    assert teacher.get_property("forces", turned) == pytest.approx(
        -teacher.get_property("forces", atoms) @ turn.T, abs=1e-4
    )


def test_forces_and_stress_are_differences(teacher):
    atoms, h = salt(), 1e-2
    forces, stress = teacher.get_property("forces", atoms), teacher.get_property("stress", atoms)
    assert np.abs(forces).max() > 0.05 and np.abs(stress).max() > 1e-3
    ends = [atoms.copy() for _ in range(2)]
    for end, sign in zip(ends, (1, -1), strict=True):
        end.positions[1, 2] += sign * h
    assert -(energy(teacher, ends[0]) - energy(teacher, ends[1])) / (2 * h) == pytest.approx(forces[1, 2], abs=2e-3)
    for end, sign in zip(ends, (1, -1), strict=True):
        end.set_cell(atoms.cell[:] @ (np.eye(3) + sign * h * np.diag([1.0, 0.0, 0.0])), scale_atoms=False)
        end.positions = atoms.positions @ (np.eye(3) + sign * h * np.diag([1.0, 0.0, 0.0]))
    slope = (energy(teacher, ends[0]) - energy(teacher, ends[1])) / (2 * h * atoms.get_volume())
    assert slope == pytest.approx(stress[0], rel=0.02, abs=1e-5)


def test_cells_add_up_and_atoms_share_the_energy(teacher):
    atoms = salt()
    assert energy(teacher, atoms * (1, 2, 2)) == pytest.approx(4 * energy(teacher, atoms), abs=1e-4)
    assert teacher.get_property("energies", atoms).sum() == pytest.approx(energy(teacher, atoms), abs=1e-5)


def test_a_free_atom_is_without_forces_and_stress(teacher):
    alone = Atoms("O")
    assert teacher.get_property("forces", alone).tolist() == [[0.0, 0.0, 0.0]]
    assert "stress" not in teacher.results
