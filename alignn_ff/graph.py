"""The one graph type of the package: a structure, or a batch of structures, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class AtomGraph(NamedTuple):
    """N atoms, E directed edges, T angles, G structures. Never mutated; behaviour is free functions.

    An edge leads from a neighbour (`edge_src`) to the atom that receives its message (`edge_dst`); edges are
    sorted by `edge_dst`. An angle is a pair of edges that share their receiving atom.

    Attributes:
        numbers: atomic numbers [N], int64.
        positions: Å [N, 3], float64.
        cell: Å [G, 3, 3], rows are lattice vectors, float64; zero rows where there is no vector.
        pbc: [G, 3], bool.
        graph_index: structure of each atom [N], sorted, int64.
        edge_src, edge_dst: [E], int64.
        edge_shift: lattice translations [E, 3], float64, in r = x[dst] - x[src] + shift @ cell.
        angle_in, angle_out: edge ids [T], int64, or None where no model asked for angles.
        extra_features: numbers told of each structure beside its atoms [G, X], float64, or None.
    """

    numbers: Tensor
    positions: Tensor
    cell: Tensor
    pbc: Tensor
    graph_index: Tensor
    edge_src: Tensor
    edge_dst: Tensor
    edge_shift: Tensor
    angle_in: Tensor | None = None
    angle_out: Tensor | None = None
    extra_features: Tensor | None = None


class Topology(NamedTuple):
    """Which pairs of atoms within a cutoff become edges, and which pairs of edges become angles.

    Attributes:
        edges: key of `neighbors.TOPOLOGIES`; "complete" takes every pair.
        angles: key of `neighbors.angles.ANGLES`; "shared" takes pairs of edges into one atom.
        options: names and values that the rule for edges takes.
    """

    edges: str = "complete"
    angles: str = "shared"
    options: tuple[tuple[str, Any], ...] = ()


COMPLETE = Topology()
"""Every pair of atoms, and every pair of edges into one atom."""


def edge_vectors(graph: AtomGraph) -> Tensor:
    """Vectors r_e = x[dst] - x[src] + shift @ cell, Å [E, 3], float64."""
    straight = graph.positions[graph.edge_dst] - graph.positions[graph.edge_src]
    if len(graph.cell) == 1:
        return straight + graph.edge_shift @ graph.cell[0]
    cell = graph.cell[graph.graph_index[graph.edge_dst]]  # [E, 3, 3]
    return straight + torch.einsum("ea,eab->eb", graph.edge_shift, cell)


def volumes(graph: AtomGraph) -> Tensor:
    """Cell volumes, Å³ [G]; zero where a structure has no volume."""
    return torch.linalg.det(graph.cell).abs()


def atom_counts(graph: AtomGraph) -> Tensor:
    """Atoms per structure [G], int64."""
    return torch.bincount(graph.graph_index, minlength=len(graph.cell))


def structure_sums(values: Tensor, graph: AtomGraph) -> Tensor:
    """Sums [G, …] over the atoms of each structure, of values [N, …]."""
    return values.new_zeros(len(graph.cell), *values.shape[1:]).index_add(0, graph.graph_index, values)


def structure_means(values: Tensor, graph: AtomGraph) -> Tensor:
    """Means [G, K] over the atoms of each structure, of values [N, K]."""
    return structure_sums(values, graph) / atom_counts(graph).to(values.dtype).unsqueeze(1)


def concat(graphs: Sequence[AtomGraph]) -> AtomGraph:
    """One graph holding all of `graphs`, in order. Angles and extra features survive only if every graph has them."""
    if len(graphs) == 1:
        return graphs[0]
    n_atoms = _offsets([len(g.numbers) for g in graphs])
    n_graphs = _offsets([len(g.cell) for g in graphs])
    n_edges = _offsets([len(g.edge_src) for g in graphs])
    angled = all(g.angle_in is not None for g in graphs)
    told = [g.extra_features for g in graphs if g.extra_features is not None]
    return AtomGraph(
        numbers=torch.cat([g.numbers for g in graphs]),
        positions=torch.cat([g.positions for g in graphs]),
        cell=torch.cat([g.cell for g in graphs]),
        pbc=torch.cat([g.pbc for g in graphs]),
        graph_index=torch.cat([g.graph_index + n for g, n in zip(graphs, n_graphs, strict=True)]),
        edge_src=torch.cat([g.edge_src + n for g, n in zip(graphs, n_atoms, strict=True)]),
        edge_dst=torch.cat([g.edge_dst + n for g, n in zip(graphs, n_atoms, strict=True)]),
        edge_shift=torch.cat([g.edge_shift for g in graphs]),
        angle_in=_cat_ids([g.angle_in for g in graphs], n_edges) if angled else None,
        angle_out=_cat_ids([g.angle_out for g in graphs], n_edges) if angled else None,
        extra_features=torch.cat(told) if len(told) == len(graphs) else None,
    )


def split(graph: AtomGraph) -> list[AtomGraph]:
    """The structures of a batch, one graph each; the inverse of `concat`."""
    parts = []
    for g in range(len(graph.cell)):
        atoms = torch.nonzero(graph.graph_index == g).squeeze(1)
        first = int(atoms[0]) if len(atoms) else 0
        edge_ids = torch.nonzero(graph.graph_index[graph.edge_dst] == g).squeeze(1)
        first_edge = int(edge_ids[0]) if len(edge_ids) else 0
        angles = _angles_within(graph, edge_ids, first_edge)
        parts.append(
            AtomGraph(
                numbers=graph.numbers[atoms],
                positions=graph.positions[atoms],
                cell=graph.cell[g : g + 1],
                pbc=graph.pbc[g : g + 1],
                graph_index=torch.zeros_like(atoms),
                edge_src=graph.edge_src[edge_ids] - first,
                edge_dst=graph.edge_dst[edge_ids] - first,
                edge_shift=graph.edge_shift[edge_ids],
                angle_in=angles[0],
                angle_out=angles[1],
                extra_features=None if graph.extra_features is None else graph.extra_features[g : g + 1],
            )
        )
    return parts


def to_device(graph: AtomGraph, device: torch.device, *, non_blocking: bool = False) -> AtomGraph:
    """The same graph with every tensor on `device`; `non_blocking` (from pinned memory alone) as in torch."""
    there = {name: t for name, t in graph._asdict().items() if t is not None}
    return graph._replace(**{name: t.to(device, non_blocking=non_blocking) for name, t in there.items()})


def _offsets(sizes: list[int]) -> list[int]:
    starts = [0]
    for size in sizes[:-1]:
        starts.append(starts[-1] + size)
    return starts


def _cat_ids(ids: list[Tensor | None], starts: list[int]) -> Tensor:
    return torch.cat([t + start for t, start in zip(ids, starts, strict=True) if t is not None])


def _angles_within(graph: AtomGraph, edge_ids: Tensor, first_edge: int) -> tuple[Tensor | None, Tensor | None]:
    if graph.angle_in is None or graph.angle_out is None:
        return None, None
    inside = (graph.angle_in >= first_edge) & (graph.angle_in < first_edge + len(edge_ids))
    return graph.angle_in[inside] - first_edge, graph.angle_out[inside] - first_edge
