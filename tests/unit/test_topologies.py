"""Graphs of published ALIGNN models: which pairs are edges, which pairs of edges are angles."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.graph import COMPLETE, AtomGraph, Topology, edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.models import Sum, build
from alignn_ff.neighbors import TOPOLOGIES, connect
from alignn_ff.neighbors.skin import SkinList
from tests.graphs import alike
from tests.structures import SMALL


def nearest(count: int | None) -> Topology:
    return Topology("nearest", "chained", (("max_neighbors", count),))


def shells(count: int = 12, canonical: bool = True) -> Topology:
    return Topology("shells", "chained_dgl", (("max_neighbors", count), ("canonical", canonical)))


def growing(own_images: bool = True, extra: float = 3.5) -> Topology:
    return Topology("growing", "chained_dgl", (("extra", extra), ("own_images", own_images)))


EXAMPLES = {"nearest": nearest(5), "shells": shells(5), "growing": growing()}


def periodic(atoms: Atoms) -> Atoms:
    atoms.pbc = atoms.cell.lengths() > 0  # what these rules take for granted
    return atoms


def rows(graph: AtomGraph) -> Counter:
    shift = graph.edge_shift.round().int().tolist()
    return Counter(zip(graph.edge_src.tolist(), graph.edge_dst.tolist(), map(tuple, shift), strict=True))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_edges_are_sorted_by_the_atom_that_receives(kind, name):
    graph = connect(from_ase(SMALL[name]()), 4.0, angle_cutoff=3.0, topology=EXAMPLES[kind])
    assert bool((graph.edge_dst.diff() >= 0).all()) and bool((graph.angle_out.diff() >= 0).all())


@pytest.mark.parametrize("name", SMALL)
def test_chains_are_those_of_brute_force(name):
    graph = connect(from_ase(SMALL[name]()), 3.6, angle_cutoff=3.0, topology=Topology(angles="chained"))
    near = (edge_vectors(graph).norm(dim=1) < 3.0).tolist()
    src, dst = graph.edge_src.tolist(), graph.edge_dst.tolist()
    ids = range(len(src))
    expected = {(a, b) for a in ids for b in ids if near[a] and near[b] and dst[a] == src[b]}
    found = list(zip(graph.angle_in.tolist(), graph.angle_out.tolist(), strict=True))
    assert len(found) == len(expected) and set(found) == expected


@pytest.mark.parametrize(("cutoff", "edges"), [(4.0, 18), (5.0, 42), (6.0, 78), (8.0, 176)])
def test_copper_has_the_published_numbers_of_edges_and_chains(cutoff, edges):
    graph = connect(from_ase(bulk("Cu", cubic=True)), cutoff, angle_cutoff=torch.inf, topology=nearest(None))
    assert len(graph.edge_src) == 4 * edges
    assert len(graph.angle_in) == 4 * edges**2


@pytest.mark.parametrize(("angles", "count"), [("chained", 1568), ("chained_dgl", 1544)])
def test_dgl_leaves_out_edges_that_follow_themselves(angles, count):
    graph = from_ase(bulk("GaAs", "zincblende", a=5.65))
    assert len(connect(graph, 5.0, angle_cutoff=torch.inf, topology=Topology(angles=angles)).angle_in) == count


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("count", [1, 5, 12, None])
def test_each_atom_keeps_its_nearest(count, name):
    atoms = periodic(SMALL[name]())
    complete, graph = (connect(from_ase(atoms), 4.5, topology=t) for t in (COMPLETE, nearest(count)))
    lengths, kept = edge_vectors(complete).norm(dim=1), edge_vectors(graph).norm(dim=1)
    for atom in range(len(atoms)):
        expected = lengths[complete.edge_src == atom].sort().values[:count]
        assert torch.allclose(kept[graph.edge_src == atom].sort().values, expected, atol=1e-12)
    assert not rows(graph) - rows(complete)


SALT = {
    "primitive": bulk("NaCl", "rocksalt", a=5.6),
    "conventional": bulk("NaCl", "rocksalt", a=5.6, cubic=True),
    "eight": bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2),
}


@pytest.mark.parametrize(
    ("cell", "canonical", "edges", "chains"),
    [("primitive", True, 60, 1752), ("primitive", False, 72, 2544), ("conventional", True, 8 * 18, None)],
)
def test_shells_of_rock_salt_are_as_published(cell, canonical, edges, chains):
    graph = connect(from_ase(SALT[cell]), 5.0, angle_cutoff=torch.inf, topology=shells(12, canonical))
    assert len(graph.edge_src) == edges
    assert chains is None or len(graph.angle_in) == chains


def test_shells_are_whole_in_a_large_cell():
    """Upstream finds 16.9 edges an atom here: rounding splits its shells."""
    assert len(connect(from_ase(SALT["eight"]), 5.0, topology=shells()).edge_src) == 64 * 18


@pytest.mark.parametrize("canonical", [True, False])
@pytest.mark.parametrize("name", SMALL)
def test_shells_hold_every_edge_with_its_way_back_and_the_nearest(name, canonical):
    atoms = periodic(SMALL[name]())
    found = rows(connect(from_ase(atoms), 4.0, topology=shells(5, canonical)))
    back = Counter({(d, s, tuple(-k for k in shift)): n for (s, d, shift), n in found.items()})
    assert found == back
    assert not rows(connect(from_ase(atoms), 4.0, topology=nearest(5))) - found
    for (src, dst, _), times in found.items():
        assert times == 2 if src == dst else times in ((1,) if canonical else (1, 2))


def test_shells_are_whole_in_a_rotated_crystal():
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.rotate(33.0, (1.0, 2.0, 3.0), rotate_cell=True)
    assert len(connect(from_ase(atoms), 5.0, topology=shells()).edge_src) == 32 * 12


def test_shells_grow_until_every_atom_has_enough():
    pair = Atoms("Cu2", positions=[[0, 0, 0], [8.0, 0, 0]], cell=[25.0] * 3, pbc=True)
    graph = connect(from_ase(pair), 8.0, topology=shells())
    assert bool((torch.bincount(graph.edge_dst) >= 12).all())
    assert float(edge_vectors(graph).norm(dim=1).max()) == pytest.approx((25.0**2 + 8.0**2) ** 0.5)


def test_shells_of_a_free_molecule_hold_what_there_is():
    triangle = Atoms("Cu3", positions=[[0, 0, 0], [9.0, 0, 0], [0, 9.0, 0]])
    assert len(connect(from_ase(triangle), 4.0, topology=shells()).edge_src) == 6
    assert len(connect(from_ase(Atoms("Cu")), 4.0, topology=shells()).edge_src) == 0


@pytest.mark.parametrize("name", ["alloy", "triclinic", "unwrapped", "primitive_cell"])
def test_growing_is_complete_where_nothing_has_to_grow(name):
    atoms = SMALL[name]()
    assert rows(connect(from_ase(atoms), 4.0, topology=growing())) == rows(connect(from_ase(atoms), 4.0))


def test_growing_looks_farther_for_the_last_atom_alone():
    far = Atoms("Cu3", positions=[[0, 0, 0], [2.0, 0, 0], [9.0, 0, 0]], cell=[30.0] * 3, pbc=True)
    lengths = edge_vectors(connect(from_ase(far), 4.0, topology=growing())).norm(dim=1)
    assert float(lengths.max()) == pytest.approx(7.0)  # 4 Å, then 7.5 Å
    assert len(connect(from_ase(far[[2, 0, 1]]), 4.0, topology=growing()).edge_src) == 2


def test_growing_without_own_images():
    graph = connect(from_ase(SMALL["primitive_cell"]()), 4.0, topology=growing())
    assert bool((graph.edge_src == graph.edge_dst).all())
    pair = bulk("NaCl", "rocksalt", a=5.6)
    graph = connect(from_ase(pair), 5.0, topology=growing(own_images=False))
    assert len(graph.edge_src) and not bool((graph.edge_src == graph.edge_dst).any())


def test_growing_ends():
    assert len(connect(from_ase(Atoms("Cu")), 4.0, topology=growing()).edge_src) == 0
    apart = Atoms("Cu2", positions=[[0, 0, 0], [1e4, 0, 0]])
    with pytest.raises(StructureError, match="atom 1 has no neighbour"):
        connect(from_ase(apart), 4.0, topology=growing())


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_every_vector_repeats_whatever_pbc_says(kind):
    atoms = SMALL["rock_salt"]()
    free = atoms.copy()
    free.pbc = False
    one, other = (connect(from_ase(a), 4.0, topology=EXAMPLES[kind]) for a in (atoms, free))
    assert rows(one) == rows(other)


@pytest.mark.parametrize("kind", TOPOLOGIES)
def test_a_skin_changes_nothing(kind):
    topology, atoms = EXAMPLES[kind], SMALL["alloy"]()
    neighbors = SkinList(4.0, angle_cutoff=3.0, skin=0.5, topology=topology)
    for _ in range(3):
        listed = neighbors.connect(from_ase(atoms))
        fresh = connect(from_ase(atoms), 4.0, angle_cutoff=3.0, topology=topology)
        assert alike(listed, fresh)
        atoms.rattle(0.02, seed=1)


def test_potentials_that_want_different_graphs_are_not_summed():
    terms = [build({"name": "zbl", "elements": ["Cu"]}) for _ in range(3)]
    terms[0].topology = nearest(12)
    assert Sum(terms).topology == Topology("nearest", "shared", nearest(12).options)
    terms[2].topology = nearest(13)
    with pytest.raises(ConfigError, match="need one graph"):
        Sum(terms)
    for term, angles in zip(terms, ("shared", "chained", "chained"), strict=True):
        term.angle_cutoff, term.topology = 3.0, Topology(angles=angles)
    assert Sum(terms[1:]).topology.angles == "chained"
    with pytest.raises(ConfigError, match="shared angles"):
        Sum(terms)
