"""ALIGNN's line graph, optional: edges as nodes, angles as their edges, with a shorter cutoff of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph
from alignn_ff.models.layers.gated_conv import GatedConvolution
from alignn_ff.models.layers.mlp import Standardize, first_layer, mlp
from alignn_ff.models.layers.radial import BesselBasis
from alignn_ff.models.ops import edge_sum, slots, spokes

_RADIAL = 8
_ANGULAR = 8
"""Bessel functions of a distance, Chebyshev polynomials of cos θ."""


class LineGraph(nn.Module):
    """Edge states that talk to edges sharing their receiving atom, then tell that atom.

    Every sum carries the envelopes of all edges in it, so nothing jumps when an edge or an angle appears.

    Args:
        features: of an atom, of an edge state and of a message.
        layers: gated convolutions on the line graph.
        cutoff: Å, longest edge that is a node of the line graph.
        exponent: of the envelope.
    """

    def __init__(self, features: int, layers: int, cutoff: float, exponent: int) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.basis = BesselBasis(cutoff, _RADIAL, exponent)
        self.start = mlp(_RADIAL + features, features, features)
        self.convs = nn.ModuleList([GatedConvolution(features, _ANGULAR, features, gate=True) for _ in range(layers)])
        self.standardize = Standardize(features)
        self.tell = mlp(features, features, features)

    def renew(self, heard: Tensor) -> None:
        """Standardise what atoms hear [N, F] by new constants; the weights after it make up for it."""
        self.standardize.renew_before(first_layer(self.tell), heard)

    def forward(self, nodes: Tensor, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Update of each atom [N, F] from atoms [N, F], a graph with angles and edge vectors [E, 3]."""
        assert graph.angle_in is not None and graph.angle_out is not None
        distance = vectors.norm(dim=1, keepdim=True)
        near = torch.nonzero(distance.squeeze(1) < self.cutoff).squeeze(1)
        basis, envelope = self.basis(distance[near])
        states = self.start(torch.cat([basis, nodes[graph.edge_src[near]]], dim=1))
        place = torch.full_like(graph.edge_src, -1).index_copy(0, near, torch.arange(len(near), device=near.device))
        inner, outer = place[graph.angle_in], place[graph.angle_out]  # angles are sorted by the edge that hears
        # Angles of a longer cutoff (another term of a sum), or of an edge that rounds up to the cutoff in float32.
        known = torch.nonzero((inner >= 0) & (outer >= 0)).squeeze(1)
        inner, outer = inner[known], outer[known]
        unit = (vectors / distance)[near]
        angles = chebyshev((unit[inner] * unit[outer]).sum(1, keepdim=True), _ANGULAR)
        both = envelope[inner] * envelope[outer]
        pairs = spokes(inner, angles, both, slots(outer, len(near)))
        for conv in self.convs:
            states = states + conv(states, pairs)
        heard = edge_sum(envelope * states, slots(graph.edge_dst[near], len(nodes)))
        return self.tell(self.standardize(heard))


def chebyshev(x: Tensor, count: int) -> Tensor:
    """Chebyshev polynomials T_0..T_(count-1) of x in [-1, 1], [T, 1] -> [T, count], by their recurrence.

    The recurrence, unlike cos(n arccos x), has finite derivatives at x = ±1.
    """
    terms = [torch.ones_like(x), x]
    while len(terms) < count:
        terms.append(2 * x * terms[-1] - terms[-2])
    return torch.cat(terms[:count], dim=1)
