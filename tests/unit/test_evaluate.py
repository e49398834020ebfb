"""Derivatives of a potential whose energy is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.morse import MorsePotential, fcut

from alignn_ff.errors import UnknownElementError
from alignn_ff.evaluate import Want, evaluate, forces_from_gradient
from alignn_ff.graph import concat
from alignn_ff.io import from_ase, matrix_to_voigt
from alignn_ff.models import Heads, Potential
from alignn_ff.neighbors import connect
from tests.structures import ELEMENTS, SMALL
from tests.tolerances import CLOSE, EXACT

R0, RHO, RCUT1, RCUT2 = 2.6, 6.0, 2.9, 4.0


class Morse(Potential):
    """ASE's Morse potential, written as per-atom energies of edge vectors."""

    name = "morse"
    elements = ELEMENTS
    cutoff = receptive_field = RCUT2

    def forward(self, graph, vectors):
        d = vectors.norm(dim=1)
        s = ((d - RCUT1) / (RCUT2 - RCUT1)).clamp(0, 1)
        expf = torch.exp(RHO * (1 - d / R0))
        pair = expf * (expf - 2) * (1 - s**3 * (6 * s**2 - 15 * s + 10))
        return Heads(energy=torch.zeros(len(graph.numbers), dtype=d.dtype).index_add(0, graph.edge_dst, 0.5 * pair))

    @property
    def config(self) -> dict[str, Any]:
        return {}


class Constant(Morse):
    """No derivative to take."""

    def forward(self, graph, vectors):
        return Heads(energy=torch.ones(len(graph.numbers), dtype=torch.float64))


def graph_of(atoms: Atoms):
    return connect(from_ase(atoms), RCUT2)


@pytest.mark.parametrize("name", [n for n in SMALL if not n.startswith("isolated")])
def test_energy_forces_and_stress_are_those_of_ase(name):
    atoms = SMALL[name]()
    found = evaluate(Morse(), graph_of(atoms))
    atoms.calc = MorsePotential(r0=R0, rho0=RHO, epsilon=1.0, rcut1=RCUT1 / R0, rcut2=RCUT2 / R0)
    scale = max(1.0, abs(atoms.get_potential_energy()), np.abs(atoms.get_forces()).max())
    assert abs(float(found.energy) - atoms.get_potential_energy()) < CLOSE * scale
    assert np.abs(found.forces.numpy() - atoms.get_forces()).max() < CLOSE * scale
    if atoms.cell.rank == 3:
        assert np.abs(matrix_to_voigt(found.stress[0].numpy()) - atoms.get_stress()).max() < CLOSE * scale
    else:
        assert found.stress is None


def test_the_switch_of_the_reference_is_the_one_written_here():
    r = np.linspace(2.0, 5.0, 30)
    s = np.clip((r - RCUT1) / (RCUT2 - RCUT1), 0, 1)
    assert np.allclose(fcut(r, RCUT1, RCUT2), 1 - s**3 * (6 * s**2 - 15 * s + 10))


def test_compression_has_negative_stress():
    """ASE sign: positive in tension."""
    squeezed, stretched = SMALL["alloy"](), SMALL["alloy"]()
    squeezed.set_cell(squeezed.cell * 0.9, scale_atoms=True)
    stretched.set_cell(stretched.cell * 1.1, scale_atoms=True)
    stresses = [float(torch.trace(evaluate(Morse(), graph_of(a)).stress[0])) for a in (squeezed, stretched)]
    assert stresses[0] < 0 < stresses[1]


def test_structures_without_a_volume_have_nan_stress_in_a_batch_that_has_one():
    batch = concat([graph_of(SMALL[name]()) for name in ("wire", "alloy", "isolated_atom", "isolated_atom_in_box")])
    stress = evaluate(Morse(), batch).stress
    assert torch.isnan(stress).flatten(1).all(1).tolist() == [True, False, True, False]
    assert torch.isfinite(stress[[1, 3]]).all() and not stress[3].any()


def test_potential_without_derivative_has_no_force():
    found = evaluate(Constant(), graph_of(SMALL["alloy"]()))
    assert float(found.energy) == 8.0
    assert not found.forces.any() and not found.stress.any()


def test_results_carry_no_gradient_graph_unless_training():
    found = evaluate(Morse(), graph_of(SMALL["alloy"]()))
    assert not any(t.requires_grad for t in found if t is not None)
    with torch.no_grad():  # a caller's own no_grad must not take the forces away
        assert evaluate(Morse(), graph_of(SMALL["alloy"]())).forces.any()


def test_force_is_what_edges_into_and_out_of_an_atom_say():
    graph = from_ase(Atoms("Cu3"))._replace(edge_src=torch.tensor([1, 2]), edge_dst=torch.tensor([0, 0]))
    gradient = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]], dtype=torch.float64)
    forces = forces_from_gradient(graph, gradient)
    assert torch.allclose(forces, torch.tensor([[-1.0, -2, 0], [1, 0, 0], [0, 2, 0]]).double(), atol=EXACT)


@pytest.mark.parametrize("want", Want)
def test_unknown_element_is_named_with_its_atoms(want):
    with pytest.raises(UnknownElementError, match=r"has Fe \(atoms 1, 2\)"):
        evaluate(Morse(), graph_of(Atoms("CuFe2", positions=np.eye(3) * 2)), want=want)
