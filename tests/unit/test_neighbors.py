"""Neighbour search against ASE's own list over the zoo, and angles against brute force."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list, primitive_neighbor_list

from alignn_ff.errors import ConfigError
from alignn_ff.graph import concat, edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.neighbors import BACKENDS, Edges, backend, connect
from alignn_ff.neighbors.angles import find_angles
from alignn_ff.neighbors.skin import SkinList
from alignn_ff.neighbors.vesin import complete_cell
from tests.graphs import alike
from tests.structures import ZOO

CUTOFFS = (1.3, 2.9, 4.6, 7.3)


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("name", [n for n in ZOO if n != "large"])
@pytest.mark.parametrize("find", BACKENDS)
def test_edges_are_those_of_ase(find, name, cutoff):
    atoms = ZOO[name]()
    graph = connect(from_ase(atoms), cutoff, find=backend(find))
    # ASE wants a cell with a volume; along directions that do not repeat any vector will do.
    box = complete_cell(atoms.cell.array, atoms.pbc)
    i, j, shift = primitive_neighbor_list("ijS", atoms.pbc, box, atoms.positions, cutoff)
    expected = Counter(zip(i.tolist(), j.tolist(), map(tuple, shift.tolist()), strict=True))
    found = Counter(
        zip(
            graph.edge_dst.tolist(),
            graph.edge_src.tolist(),
            map(tuple, (-graph.edge_shift).int().tolist()),
            strict=True,
        )
    )
    assert found == expected


@pytest.mark.parametrize("name", [n for n in ZOO if n != "large"])
def test_edge_vectors_have_the_lengths_of_ase(name):
    atoms = ZOO[name]()
    lengths = edge_vectors(connect(from_ase(atoms), 4.6)).norm(dim=1)
    assert np.allclose(np.sort(lengths.numpy()), np.sort(neighbor_list("d", atoms, 4.6)), atol=1e-12)


def test_large_structure_has_the_number_of_edges_of_ase():
    atoms = ZOO["large"]()
    assert len(connect(from_ase(atoms), 4.0).edge_src) == len(neighbor_list("i", atoms, 4.0))


@pytest.mark.parametrize("name", ZOO)
def test_edges_stand_in_an_order_that_only_the_structure_decides(name):
    graph = connect(from_ase(ZOO[name]()), 4.6)
    ends = zip(graph.edge_dst.tolist(), graph.edge_src.tolist(), (-graph.edge_shift).tolist(), strict=True)
    pairs = [(dst, src, *shift) for dst, src, shift in ends]
    assert pairs == sorted(pairs)


@pytest.mark.parametrize("name", [n for n in ZOO if n != "large"])
def test_a_skin_leaves_the_order_as_it_is(name):
    """Sums over edges in another order have other last digits: in float32 they showed in forces as 1e-6 eV/Å."""
    atoms = ZOO[name]()
    reused = SkinList(4.6, skin=0.8)
    for seed in (1, 2):
        atoms.rattle(0.05, seed=seed)
        fresh, kept = connect(from_ase(atoms), 4.6), reused.connect(from_ase(atoms))
        for ends in ("edge_src", "edge_dst", "edge_shift"):
            assert torch.equal(getattr(fresh, ends), getattr(kept, ends))
    assert reused.rebuilds == 1


def test_every_edge_has_its_reverse():
    graph = connect(from_ase(ZOO["triclinic"]()), 4.6)
    forward = Counter(map(tuple, torch.round(edge_vectors(graph), decimals=8).add(0.0).tolist()))
    backward = Counter(map(tuple, torch.round(-edge_vectors(graph), decimals=8).add(0.0).tolist()))
    assert forward == backward


def test_all_neighbours_of_a_dense_crystal_are_there():
    """No cap: fcc has 12, 6, 24, 12, 24, 8, 48 in its first shells."""
    graph = connect(from_ase(bulk("Cu", a=3.6)), 3.6 * np.sqrt(3.5) + 0.01)
    assert len(graph.edge_src) == 12 + 6 + 24 + 12 + 24 + 8 + 48


def test_a_batch_is_connected_structure_by_structure():
    parts = [from_ase(ZOO[name]()) for name in ("slab", "isolated_atom", "rock_salt")]
    together = connect(concat(parts), 4.0, angle_cutoff=3.0)
    assert alike(together, concat([connect(p, 4.0, angle_cutoff=3.0) for p in parts]))


def test_edges_replace_those_that_were_there():
    once = connect(from_ase(ZOO["alloy"]()), 4.0, angle_cutoff=3.0)
    again = connect(connect(from_ase(ZOO["alloy"]()), 5.0, angle_cutoff=4.0), 4.0)
    assert torch.equal(again.edge_src, once.edge_src)
    assert again.angle_in is None


@pytest.mark.parametrize("name", [n for n in ZOO if n != "large"])
@pytest.mark.parametrize("cutoff", [2.5, 3.3])
def test_angles_are_all_pairs_of_edges_into_one_atom(name, cutoff):
    graph = connect(from_ase(ZOO[name]()), 4.0, angle_cutoff=cutoff)
    length, centre = edge_vectors(graph).norm(dim=1).tolist(), graph.edge_dst.tolist()
    near = [e for e in range(len(length)) if length[e] < cutoff]
    expected = [(a, b) for b in near for a in near if a != b and centre[a] == centre[b]]
    assert list(zip(graph.angle_in.tolist(), graph.angle_out.tolist(), strict=True)) == expected


def test_angles_of_nothing_are_none_at_all():
    into, out = find_angles(connect(from_ase(Atoms("Cu")), 4.0), 3.0)
    assert into.shape == out.shape == (0,)


def test_given_search_is_the_one_used():
    def nothing(positions, cell, pbc, cutoff):
        none = torch.zeros(0, dtype=torch.int64)
        return Edges(none, none, torch.zeros((0, 3), dtype=torch.float64))

    assert len(connect(from_ase(ZOO["alloy"]()), 4.0, find=nothing).edge_src) == 0


def test_unknown_backend_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"'vasin'.*vesin"):
        backend("vasin")


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False), (False, False, False)])
def test_completed_cell_keeps_the_periodic_vectors_and_has_a_volume(pbc):
    cell = np.array([[3.0, 1.0, 0.0], [0.0, 4.0, 0.5], [9.0, 9.0, 9.0]]) * np.array(pbc)[:, None]
    box = complete_cell(cell, np.array(pbc))
    assert np.array_equal(box[list(pbc)], cell[list(pbc)])
    assert abs(np.linalg.det(box)) > 0.5
