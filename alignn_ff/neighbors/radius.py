"""Graphs within a radius that grows, as published ALIGNN models were trained on."""

from __future__ import annotations

from torch import Tensor

from alignn_ff.errors import StructureError
from alignn_ff.neighbors import Backend, Edges
from alignn_ff.neighbors.knn import repeating

_TRIES = 30
"""Radii tried before an atom counts as alone."""


def growing(
    find: Backend,
    positions: Tensor,
    cell: Tensor,
    pbc: Tensor,
    cutoff: float,
    *,
    extra: float,
    own_images: bool = True,
) -> Edges:
    """Every pair within `cutoff` Å, which grows by `extra` Å while the last atom has no edge.

    The rules of upstream's `radius_graph` and, without edges between images of one atom, `radius_graph_jarvis`.
    Every cell vector repeats, whatever `pbc` says. A lone atom in free space keeps no edge.

    Raises:
        StructureError: the last atom is farther from all others than any radius tried.
    """
    repeats = repeating(cell)
    for step in range(_TRIES):
        edges = find(positions, cell, repeats, cutoff + step * extra)
        if not own_images:
            other = edges.src != edges.dst
            edges = Edges(edges.src[other], edges.dst[other], edges.shift[other])
        alone = len(positions) == 1 and not (own_images and bool(repeats.any()))
        if alone or bool((edges.dst == len(positions) - 1).any()):
            return edges
    raise StructureError(
        f"atom {len(positions) - 1} has no neighbour within {cutoff + (_TRIES - 1) * extra:.1f} Å, which the graph of "
        "this model needs. Use a smaller cell, or a model whose graph has a fixed cutoff."
    )
