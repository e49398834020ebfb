"""Graphs of nearest neighbours, as published ALIGNN models were trained on.

Energies of such graphs jump when neighbours change rank and depend on the cell chosen for a crystal; they are here
so that these models see what they were trained on. As in their training, every cell vector repeats, whatever `pbc`
says; a direction without a vector does not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alignn_ff.neighbors import Backend, Edges

_SAME_SHELL_A = 1e-8
"""Neighbours this close in distance are in one shell; rounding must not split it."""


def nearest(
    find: Backend, positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float, *, max_neighbors: int | None
) -> Edges:
    """Edges from each atom to its `max_neighbors` nearest within `cutoff` Å; None takes all.

    The rule of upstream's `fast_graph`, `torch_graph` and `pure_torch`. An atom may be among the nearest of another
    that is not among its own: such graphs have edges without a way back.
    """
    edges = find(positions, cell, repeating(cell), cutoff)
    if max_neighbors is None:
        return edges
    near = _rank(edges, lengths(edges, positions, cell), len(positions)) < max_neighbors
    return Edges(edges.src[near], edges.dst[near], edges.shift[near])


def shells(
    find: Backend,
    positions: Tensor,
    cell: Tensor,
    pbc: Tensor,
    cutoff: float,
    *,
    max_neighbors: int,
    canonical: bool,
) -> Edges:
    """Edges between each atom and all neighbours up to the distance of its `max_neighbors`-th, in both directions.

    The rule of upstream's `k-nearest`: the cutoff grows until every atom has that many neighbours. With `canonical`
    a pair that both ends found is kept once, else twice; an atom's own images are kept twice either way, since both
    S and -S stand for two edges each. Upstream compares distances digit by digit, and so loses parts of shells to
    rounding in large or rotated cells; here shells are whole.
    """
    edges = _enough(find, positions, cell, cutoff, max_neighbors)
    distance = lengths(edges, positions, cell)
    close = _rank(edges, distance, len(positions)) < max_neighbors
    reach = distance.new_zeros(len(positions)).scatter_reduce(0, edges.src[close], distance[close], "amax")
    near = distance <= reach[edges.src] + _SAME_SHELL_A
    return _both_ways(Edges(edges.src[near], edges.dst[near], edges.shift[near]), canonical)


def repeating(cell: Tensor) -> Tensor:
    """Which cell vectors there are [3]."""
    return cell.norm(dim=1) > 0


def lengths(edges: Edges, positions: Tensor, cell: Tensor) -> Tensor:
    """Å [E]."""
    return (positions[edges.dst] - positions[edges.src] + edges.shift @ cell).norm(dim=1)


def _enough(find: Backend, positions: Tensor, cell: Tensor, cutoff: float, count: int) -> Edges:
    """Every pair within `cutoff` Å, or within more where an atom has fewer than `count` and more are to be found."""
    repeats = repeating(cell)
    extent = float((positions.max(0).values - positions.min(0).values).norm())
    while True:
        edges = find(positions, cell, repeats, cutoff)
        found = int(torch.bincount(edges.src, minlength=len(positions)).min())
        if found >= count or (cutoff > extent and not bool(repeats.any())):
            return edges
        longest = float(cell.norm(dim=1).max())
        cutoff = longest if cutoff < longest else 2 * cutoff


def _rank(edges: Edges, distance: Tensor, atoms: int) -> Tensor:
    """Place of each edge among those of its source, by distance, from 0 [E]."""
    order = torch.argsort(distance, stable=True)
    order = order[torch.argsort(edges.src[order], stable=True)]
    count = torch.bincount(edges.src, minlength=atoms)
    first = torch.cumsum(count, 0) - count
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device) - first[edges.src[order]]
    return rank


def _both_ways(edges: Edges, canonical: bool) -> Edges:
    """Each distinct edge and its reverse, sorted by `dst`; canonical edges lead to the higher number."""
    flip = canonical & (edges.src > edges.dst)
    src, dst = torch.where(flip, edges.dst, edges.src), torch.where(flip, edges.src, edges.dst)
    shift = torch.where(flip[:, None], -edges.shift, edges.shift)
    rows = torch.cat([src[:, None], dst[:, None], shift.round().to(src.dtype)], dim=1).unique(dim=0)
    there = Edges(rows[:, 0], rows[:, 1], rows[:, 2:].to(edges.shift.dtype))
    src, dst = torch.cat([there.src, there.dst]), torch.cat([there.dst, there.src])
    order = torch.argsort(dst, stable=True)
    return Edges(src[order], dst[order], torch.cat([there.shift, -there.shift])[order])
