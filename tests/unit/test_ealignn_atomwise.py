"""`ealignn_atomwise` beyond the physics that every potential is held to: its vectors turn with the structure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from alignn_ff import testing
from alignn_ff.graph import edge_vectors
from alignn_ff.models.ealignn_atomwise import EalignnAtomwise
from tests.conftest import random_potential
from tests.structures import SMALL

EQUIVARIANT = 1e-10


def features(potential: EalignnAtomwise, atoms: Atoms) -> tuple[torch.Tensor, torch.Tensor]:
    graph = testing.build_graph(potential, atoms)
    with torch.no_grad():
        return potential.describe(potential.index[graph.numbers], graph, edge_vectors(graph))


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    found = atoms.copy()
    found.set_cell(atoms.cell.array @ matrix.T)
    found.positions = atoms.positions @ matrix.T
    return found


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("name", ["alloy", "slab", "free_molecule", "rock_salt"])
def test_vectors_turn_with_the_structure_and_numbers_stay(name, reflect):
    potential, atoms = random_potential("ealignn"), SMALL[name]()
    matrix = Rotation.random(rng=np.random.default_rng(4)).as_matrix() * (-1 if reflect else 1)
    (numbers, vectors), (numbers_after, vectors_after) = (
        features(potential, a) for a in (atoms, turned(atoms, matrix))
    )
    expected = torch.einsum("ab,nbc->nac", torch.from_numpy(matrix), vectors)
    assert float((numbers_after - numbers).abs().max()) <= EQUIVARIANT
    assert float((vectors_after - expected).abs().max()) <= EQUIVARIANT
    if name != "rock_salt":
        assert float(vectors.abs().max()) > 1e-2, "there is something to turn"
    testing.check_rotation(potential, atoms, improper=reflect)


def test_forces_are_whole_derivatives_to_the_bar_of_the_issue():
    potential = random_potential("ealignn")
    for name in ("alloy", "free_molecule"):
        testing.check_forces(potential, SMALL[name](), components=12)


def test_vectors_that_pass_between_atoms_tell_torsions_apart():
    """Chains of equal bonds and angles, whose ends do not see each other: nothing but the torsion differs."""
    potential = random_potential("ealignn")
    chains = [
        Atoms("CuNiCuCu", [[0, 0, 0], [2.4, 0, 0], [-1.4, 1.7, 0], [3.8, 1.7 * np.cos(turn), 1.7 * np.sin(turn)]])
        for turn in (0.3, 2.5)
    ]
    assert all(atoms.get_distance(2, 3) > potential.cutoff < atoms.get_distance(1, 2) for atoms in chains)
    one, other = (testing.predict(potential, [atoms]).atom_energy[:2] for atoms in chains)
    assert float((one - other).abs().max()) > 1e-8
