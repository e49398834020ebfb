"""Neighbour search: a graph without edges in, the same graph with every edge up to a cutoff out."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import NamedTuple, Protocol

from torch import Tensor

from alignn_ff.errors import ConfigError
from alignn_ff.graph import COMPLETE, AtomGraph, Topology, concat, split
from alignn_ff.neighbors.angles import ANGLES

BACKENDS = {
    "vesin": "alignn_ff.neighbors.vesin:find",
}
"""Searches that find every pair within a cutoff."""

TOPOLOGIES = {
    "nearest": "alignn_ff.neighbors.knn:nearest",
    "shells": "alignn_ff.neighbors.knn:shells",
    "growing": "alignn_ff.neighbors.radius:growing",
}
"""Rules by which published ALIGNN models choose among those pairs; "complete" chooses all."""


class Edges(NamedTuple):
    """Directed pairs: src [E], dst [E], shift [E, 3] in r = x[dst] - x[src] + shift @ cell; by dst, src, -shift."""

    src: Tensor
    dst: Tensor
    shift: Tensor


class Backend(Protocol):
    """How a neighbour search is called: positions [N, 3] Å, cell [3, 3] Å, pbc [3], cutoff Å."""

    def __call__(self, positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Edges: ...


def backend(name: str) -> Backend:
    """The neighbour search called `name`.

    Raises:
        ConfigError: no backend of that name.
    """
    if name not in BACKENDS:
        raise ConfigError(f"unknown neighbour backend {name!r}; expected one of {', '.join(BACKENDS)}.")
    module, attribute = BACKENDS[name].split(":")
    return getattr(import_module(module), attribute)


def edge_search(topology: Topology, find: Backend | None = None) -> Backend:
    """The search for the edges of a topology, by way of `find` (the vesin backend unless given)."""
    find = find or backend("vesin")
    if topology.edges == "complete":
        return find
    module, attribute = TOPOLOGIES[topology.edges].split(":")
    return partial(getattr(import_module(module), attribute), find, **dict(topology.options))


def connect(
    graph: AtomGraph,
    cutoff: float,
    *,
    angle_cutoff: float | None = None,
    find: Backend | None = None,
    topology: Topology = COMPLETE,
) -> AtomGraph:
    """`graph` with every pair of atoms up to `cutoff` Å as two directed edges, no neighbour cap.

    Args:
        graph: one structure or a batch; its edges, if any, are replaced.
        cutoff: Å. Periodic images count as neighbours, an atom's own images too.
        angle_cutoff: Å; where given, angles between edges no longer than this are added.
        find: the neighbour search; the vesin backend unless given.
        topology: what a potential wants instead of every pair of atoms and every pair of edges into one atom.
    """
    search = edge_search(topology, find)
    parts = split(graph) if len(graph.cell) > 1 else [graph]
    return concat([_connect_one(part, cutoff, angle_cutoff, search, topology.angles) for part in parts])


def _connect_one(graph: AtomGraph, cutoff: float, angle_cutoff: float | None, find: Backend, angles: str) -> AtomGraph:
    edges = find(graph.positions, graph.cell[0], graph.pbc[0], cutoff)
    graph = graph._replace(
        edge_src=edges.src, edge_dst=edges.dst, edge_shift=edges.shift, angle_in=None, angle_out=None
    )
    if angle_cutoff is None:
        return graph
    angle_in, angle_out = ANGLES[angles](graph, angle_cutoff)
    return graph._replace(angle_in=angle_in, angle_out=angle_out)
