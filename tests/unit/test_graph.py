"""Graphs: batching, splitting, edge vectors."""

from __future__ import annotations

import itertools

import pytest
import torch

from alignn_ff.graph import AtomGraph, atom_counts, concat, edge_vectors, split, to_device, volumes
from alignn_ff.io import from_ase
from alignn_ff.neighbors import connect
from tests.structures import ZOO

NAMES = ["slab", "isolated_atom", "rock_salt", "wire", "primitive_cell"]


def graphs(angle_cutoff: float | None = None) -> list[AtomGraph]:
    return [connect(from_ase(ZOO[name]()), 4.0, angle_cutoff=angle_cutoff) for name in NAMES]


def assert_equal(one: AtomGraph, other: AtomGraph) -> None:
    for field, a, b in zip(AtomGraph._fields, one, other, strict=True):
        assert (a is b is None) or torch.equal(a, b), field


@pytest.mark.parametrize("angle_cutoff", [None, 3.0])
def test_split_undoes_concat(angle_cutoff):
    parts = graphs(angle_cutoff)
    for order in itertools.islice(itertools.permutations(parts), 0, 120, 17):
        for before, after in zip(order, split(concat(order)), strict=True):
            assert_equal(before, after)


@pytest.mark.parametrize("angle_cutoff", [None, 3.0])
def test_concat_of_batches_is_the_batch_of_all(angle_cutoff):
    parts = graphs(angle_cutoff)
    assert_equal(concat([concat(parts[:2]), concat(parts[2:])]), concat(parts))


def test_batch_keeps_what_the_layers_rely_on():
    batch = concat(graphs(3.0))
    assert bool((batch.graph_index.diff() >= 0).all())
    assert bool((batch.edge_dst.diff() >= 0).all())
    assert bool((batch.angle_out.diff() >= 0).all())
    assert torch.equal(batch.graph_index[batch.edge_src], batch.graph_index[batch.edge_dst])
    assert torch.equal(batch.edge_dst[batch.angle_in], batch.edge_dst[batch.angle_out])
    assert atom_counts(batch).tolist() == [len(ZOO[name]()) for name in NAMES]


def test_angles_survive_only_where_all_have_them():
    bare, angled = graphs()[0], graphs(3.0)[1]
    assert concat([bare, angled]).angle_in is None


def test_edge_vectors_of_a_batch_are_those_of_its_parts():
    parts = graphs()
    assert torch.equal(edge_vectors(concat(parts)), torch.cat([edge_vectors(part) for part in parts]))


def test_edge_vectors_follow_their_definition():
    graph = graphs()[2]
    for e in range(0, len(graph.edge_src), 7):
        source, target = graph.positions[graph.edge_src[e]], graph.positions[graph.edge_dst[e]]
        expected = target - source + graph.edge_shift[e] @ graph.cell[0]
        assert torch.allclose(edge_vectors(graph)[e], expected, atol=1e-14)


def test_volumes_are_zero_without_a_volume():
    found = volumes(concat(graphs()))
    expected = [ZOO[name]().cell.volume if ZOO[name]().cell.rank == 3 else 0.0 for name in NAMES]
    assert found.tolist() == pytest.approx(expected)


def test_to_device_keeps_every_number_and_what_is_absent():
    graph = graphs()[0]
    assert_equal(to_device(graph, torch.device("cpu")), graph)
    assert all(t is None or t.is_meta for t in to_device(graph, torch.device("meta")))
