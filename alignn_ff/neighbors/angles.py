"""Angles as pairs of edges that share their receiving atom."""

from __future__ import annotations

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph, edge_vectors


def find_angles(graph: AtomGraph, cutoff: float) -> tuple[Tensor, Tensor]:
    """Ordered pairs (angle_in, angle_out) of different edges, both no longer than `cutoff` Å, into one atom.

    Returns:
        edge ids [T], [T]; T = Σ_i n_i (n_i - 1) with n_i the edges into atom i, sorted by `angle_out`.
    """
    near = torch.nonzero(edge_vectors(graph).norm(dim=1) < cutoff).squeeze(1)
    centre = graph.edge_dst[near]
    count = torch.bincount(centre, minlength=len(graph.numbers))
    first = torch.cumsum(count, 0) - count
    partners = count[centre]  # every near edge meets all near edges into the same atom, itself included
    out = torch.repeat_interleave(torch.arange(len(near), device=near.device), partners)
    start = torch.repeat_interleave(torch.cumsum(partners, 0) - partners, partners)
    into = first[centre][out] + torch.arange(len(out), device=near.device) - start
    different = into != out
    return near[into[different]], near[out[different]]
