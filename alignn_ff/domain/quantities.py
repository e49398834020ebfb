"""The quantities of a graph that a domain is about."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph, atom_counts, edge_vectors, volumes
from alignn_ff.models.base import SYMBOLS
from alignn_ff.models.elements import COORDINATION_FULL, COORDINATION_REACH, COVALENT_RADII

SIZE = len(SYMBOLS)
"""Rows of a table by atomic number."""


class Quantities(NamedTuple):
    """What of a graph is compared with training.

    Attributes:
        pair: the elements that an edge joins [E], as 119 times one atomic number plus the other.
        distance: Å [E].
        coordination: [N]. A neighbour counts in full up to 1.2 times the sum of the covalent radii, falling linearly
            to nothing at 1.5 times, or at the cutoff and 0.8 of it where that is shorter.
        volume: of the cell over the volume of its atoms' covalent spheres [G]; NaN where not all directions repeat.
    """

    pair: Tensor
    distance: Tensor
    coordination: Tensor
    volume: Tensor


def quantities(graph: AtomGraph, cutoff: float) -> Quantities:
    """The quantities of a graph on the CPU with every edge up to `cutoff` Å."""
    pair = graph.numbers[graph.edge_src] * SIZE + graph.numbers[graph.edge_dst]
    distance = edge_vectors(graph).norm(dim=1)
    weight = (distance * _slopes(cutoff)[pair]).add_(1.0 / (1.0 - COORDINATION_FULL)).clamp_(0.0, 1.0)
    coordination = torch.zeros(len(graph.numbers), dtype=torch.float64).index_add_(0, graph.edge_dst, weight)
    spheres = torch.zeros(len(graph.cell), dtype=torch.float64)
    spheres.index_add_(0, graph.graph_index, _sphere_volumes()[graph.numbers])
    volume = torch.where(graph.pbc.all(1), volumes(graph) / spheres, torch.nan)
    return Quantities(pair, distance, coordination, volume)


def filled(graph: AtomGraph, cutoff: float) -> Tensor:
    """Whether a structure repeats in all directions without a gap wider than `cutoff` Å, bool [G].

    A gap is the distance between neighbouring planes of atoms parallel to a face of the cell. Where it is wider, the
    volume of the cell says nothing of the matter in it.
    """
    periodic = graph.pbc.all(1)
    cell = torch.where(periodic[:, None, None], graph.cell, torch.eye(3, dtype=torch.float64))
    inverse = torch.linalg.inv(cell)
    place = torch.einsum("na,nab->nb", graph.positions, inverse[graph.graph_index])
    offset = 2.0 * graph.graph_index[:, None]  # keeps the structures apart in one sort
    place = (place - place.floor() + offset).sort(dim=0).values - offset
    last = atom_counts(graph).cumsum(0) - 1
    first = torch.cat([last.new_zeros(1), last[:-1] + 1])
    gap = place.roll(-1, 0) - place
    gap[last] = place[first] + 1.0 - place[last]
    owner = graph.graph_index[:, None].expand(-1, 3)
    widest = torch.zeros_like(inverse[:, 0]).scatter_reduce(0, owner, gap, "amax") / inverse.norm(dim=1)
    return periodic & (widest <= cutoff).all(1)


def element_sets(graph: AtomGraph) -> list[str]:
    """Elements of each structure by atomic number, as "Al Cu"."""
    present = torch.zeros(len(graph.cell), SIZE, dtype=torch.bool)
    present[graph.graph_index, graph.numbers] = True
    kinds, kind = present.unique(dim=0, return_inverse=True)
    names = [" ".join(SYMBOLS[z] for z in row.nonzero().squeeze(1).tolist()) for row in kinds]
    return [names[k] for k in kind.tolist()]


@cache
def radius_sums() -> Tensor:
    """Sum of the covalent radii of a pair, Å [119 * 119]."""
    return (_radii()[:, None] + _radii()).reshape(-1)


@cache
def _radii() -> Tensor:
    """Covalent radius by atomic number, Å [119]; beyond curium, where none is tabulated, curium's."""
    known = [0.0, *COVALENT_RADII]
    return torch.tensor(known + known[-1:] * (SIZE - len(known)), dtype=torch.float64)


@cache
def _sphere_volumes() -> Tensor:
    """Å³ [119]."""
    return 4.0 / 3.0 * math.pi * _radii() ** 3


@cache
def _slopes(cutoff: float) -> Tensor:
    """How fast a neighbour's count falls with its distance, 1/Å [119 * 119]."""
    return -1.0 / (1.0 - COORDINATION_FULL) / (COORDINATION_REACH * radius_sums()).clamp(max=cutoff)
