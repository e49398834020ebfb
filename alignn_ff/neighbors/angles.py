"""Angles as pairs of edges that meet at an atom."""

from __future__ import annotations

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph, edge_vectors


def find_angles(graph: AtomGraph, cutoff: float) -> tuple[Tensor, Tensor]:
    """Ordered pairs (angle_in, angle_out) of different edges, both no longer than `cutoff` Å, into one atom.

    Returns:
        edge ids [T], [T]; T = Σ_i n_i (n_i - 1) with n_i the edges into atom i, sorted by `angle_out`.
    """
    into, out = _pairs(graph, cutoff, graph.edge_dst)
    different = into != out
    return into[different], out[different]


def find_chains(graph: AtomGraph, cutoff: float) -> tuple[Tensor, Tensor]:
    """Pairs (angle_in, angle_out) of edges u → v and v → w, both no longer than `cutoff` Å: ALIGNN's line graph.

    The way back (w = u) is among them, and so is an edge that follows itself, from image to image of one atom.

    Returns:
        edge ids [T], [T], sorted by `angle_out`.
    """
    return _pairs(graph, cutoff, graph.edge_src)


def find_chains_of_two(graph: AtomGraph, cutoff: float) -> tuple[Tensor, Tensor]:
    """As `find_chains`, without the edges that follow themselves, which DGL's `line_graph` leaves out."""
    into, out = find_chains(graph, cutoff)
    different = into != out
    return into[different], out[different]


ANGLES = {"shared": find_angles, "chained": find_chains, "chained_dgl": find_chains_of_two}
"""What pairs of edges a `Topology` can ask for."""


def _pairs(graph: AtomGraph, cutoff: float, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Each near edge as `out`, with every near edge into the atom `centre[out]`; edge ids [T], sorted by `out`."""
    near = torch.nonzero(edge_vectors(graph).norm(dim=1) < cutoff).squeeze(1)
    count = torch.bincount(graph.edge_dst[near], minlength=len(graph.numbers))
    first = torch.cumsum(count, 0) - count  # edges are sorted by the atom they lead into
    meeting = centre[near]
    partners = count[meeting]
    out = torch.repeat_interleave(torch.arange(len(near), device=near.device), partners)
    start = torch.repeat_interleave(torch.cumsum(partners, 0) - partners, partners)
    into = first[meeting][out] + torch.arange(len(out), device=near.device) - start
    return near[into], near[out]
