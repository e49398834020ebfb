"""Which pairs of consecutive edges u → v → w count as angles, beyond their lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph


def ways_back(graph: AtomGraph, into: Tensor, out: Tensor) -> Tensor:
    """Which pairs lead back to the same image of the atom that they came from [T]."""
    returns = graph.edge_src[into] == graph.edge_dst[out]
    return returns & (graph.edge_shift[into] + graph.edge_shift[out] == 0.0).all(1)


def spans(vectors: Tensor, into: Tensor, out: Tensor, back: Tensor) -> Tensor:
    """Distances |r_in + r_out| between the outer atoms of each pair, Å [T]; zero, and constant, for ways back."""
    across = vectors.index_select(0, into) + vectors.index_select(0, out)
    # The length of a zero vector has no derivative: those of the ways back are taken out beforehand.
    length = torch.where(back.unsqueeze(1), 1.0, across).norm(dim=1)
    return torch.where(back, 0.0, length)
