"""The front door: what goes in comes out, and what cannot be evaluated is refused there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from alignn_ff.errors import StructureError
from alignn_ff.io import (
    check_structure,
    from_ase,
    from_jarvis,
    matrix_to_voigt,
    to_ase,
    to_jarvis,
    voigt_to_matrix,
)
from tests.structures import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_structure_round_trip(name):
    atoms = ZOO[name]()
    again = to_ase(from_ase(atoms))
    assert np.array_equal(again.numbers, atoms.numbers)
    assert np.array_equal(again.positions, atoms.positions)
    assert np.array_equal(again.cell.array, atoms.cell.array)
    assert np.array_equal(again.pbc, atoms.pbc)


def test_graph_holds_float64_and_shares_no_memory():
    atoms = ZOO["alloy"]()
    graph = from_ase(atoms)
    assert graph.positions.dtype == graph.cell.dtype == torch.float64
    atoms.positions += 1.0
    atoms.cell[:] = 0.0
    assert not np.array_equal(graph.positions.numpy(), atoms.positions)
    assert bool(graph.cell.any())


def broken(**changes) -> Atoms:
    atoms = ZOO["alloy"]()
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "said"),
    [
        (Atoms(), "no atoms"),
        (Atoms("Cu2", positions=[[0, 0, 0], [np.nan, 0, 0]]), "atoms 1 are not finite"),
        (Atoms("Cu2", positions=[[0, np.inf, 0], [1, 0, 0]]), "atoms 0 are not finite"),
        (Atoms("Cu", cell=[np.nan, 3, 3], pbc=True), "cell holds numbers"),
        (Atoms("Cu", pbc=True), "periodic direction"),
        (Atoms("Cu", cell=[3, 3, 0], pbc=True), "periodic direction"),
        (Atoms("Cu", cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True), "periodic direction"),
        (Atoms("Cu", cell=[[3, 0, 0], [3, 0, 0], [0, 0, 0]], pbc=(True, True, False)), "periodic direction"),
    ],
)
def test_structure_nobody_can_evaluate_is_refused(atoms, said):
    with pytest.raises(StructureError, match=said):
        from_ase(atoms)


@pytest.mark.parametrize("name", ZOO)
def test_zoo_is_accepted(name):
    assert check_structure(ZOO[name]()) is None


def test_voigt_order_is_that_of_ase():
    voigt = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert voigt_to_matrix(voigt).tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]
    assert np.array_equal(matrix_to_voigt(voigt_to_matrix(voigt)), voigt)


JARVIS = {
    "lattice_mat": [[4.0, 0, 0], [0, 5.0, 0], [0, 0, 6.0]],
    "coords": [[0.0, 0, 0], [0.5, 0.5, 0.5]],
    "elements": ["Na", "Cl "],
}


@pytest.mark.parametrize("cartesian", [True, False])
def test_jarvis_structure(cartesian):
    atoms = from_jarvis({**JARVIS, "cartesian": cartesian})
    assert atoms.get_chemical_formula() == "ClNa" and atoms.pbc.all()
    expected = [0.5, 0.5, 0.5] if cartesian else [2.0, 2.5, 3.0]
    assert atoms.positions[1].tolist() == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"coords": [[0.0, 0, 0]]},
        {"coords": [[0.0, 0], [0.5, 0.5]]},
        {"elements": ["Na", "Xx"]},
        {"lattice_mat": [[4.0, 0, 0]]},
        {"coords": "nonsense"},
    ],
)
def test_jarvis_structure_of_the_wrong_form_is_refused(changes):
    with pytest.raises(StructureError, match="jarvis"):
        from_jarvis({**JARVIS, **changes})


@pytest.mark.parametrize("absent", JARVIS)
def test_jarvis_structure_without_a_key_is_refused(absent):
    with pytest.raises(StructureError, match=absent):
        from_jarvis({key: value for key, value in JARVIS.items() if key != absent})


@pytest.mark.parametrize("name", ["rock_salt", "alloy", "triclinic"])
def test_structures_of_jarvis_in_and_out(name):
    """Through the classes of jarvis-tools themselves, which keep fractional coordinates."""
    jarvis = pytest.importorskip("jarvis.core.atoms", reason="needs jarvis-tools")
    atoms = ZOO[name]()
    theirs = jarvis.Atoms.from_dict(to_jarvis(atoms))
    assert theirs.elements == atoms.get_chemical_symbols()
    assert np.allclose(theirs.cart_coords, atoms.positions, rtol=0, atol=1e-12)
    for again in (from_jarvis(theirs), from_jarvis(theirs.to_dict()), from_jarvis(to_jarvis(atoms))):
        assert np.allclose(again.positions, atoms.positions, rtol=0, atol=1e-12)
        assert np.allclose(again.cell, atoms.cell, rtol=0, atol=1e-12) and again.pbc.all()
        assert again.numbers.tolist() == atoms.numbers.tolist()


def test_jarvis_cannot_hold_a_molecule():
    with pytest.raises(StructureError, match="periodic in all directions"):
        to_jarvis(ZOO["free_molecule"]())
