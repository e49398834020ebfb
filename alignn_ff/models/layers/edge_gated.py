"""The layers of the published ALIGNN models, under their published parameter names.

Source: Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021); the gated convolution is that of Bresson, Laurent,
arXiv:1711.07553.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.models.ops import Slots, edge_sum


class Links(NamedTuple):
    """How the nodes of a graph, or of its line graph, are linked.

    Attributes:
        src, dst: ends of each link [E], sorted by dst.
        where: places of the links in the table of `ops`.
        envelope: weight of each link [E, 1], zero at the cutoff; None for the published form, which has none.
    """

    src: Tensor
    dst: Tensor
    where: Slots
    envelope: Tensor | None


class RBFExpansion(nn.Module):
    """K Gaussians exp(-γ (x - c_k)²), c_k evenly from `start` to `stop`, γ one over their spacing (not squared)."""

    centers: Tensor

    def __init__(self, start: float, stop: float, functions: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(start, stop, functions))
        self.gamma = (functions - 1) / (stop - start)

    def forward(self, x: Tensor) -> Tensor:
        """[E] -> [E, K]."""
        return torch.exp(-self.gamma * (x.unsqueeze(1) - self.centers) ** 2)


Norm = type[nn.LayerNorm] | type[nn.BatchNorm1d]
"""What features are normalised by: LayerNorm in force fields, BatchNorm in upstream's property model."""


class MLPLayer(nn.Module):
    """Linear, norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(inputs, outputs), norm(outputs), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] -> [N, outputs]."""
        return self.layer(x)


class EdgeGatedConvolution(nn.Module):
    """Nodes listen to their neighbours through gates, and the edges remember the gates.

    m_e  = A x_src + B x_dst + C y_e,   s_e = f_e sigmoid(m_e)
    x_j' = x_j + SiLU(norm(U x_j + Σ_{e→j} s_e ⊙ V x_src / (Σ_{e→j} s_e + floor)))
    y_e' = y_e + SiLU(norm(m_e))

    The published form has no envelope, f = 1, and a floor of 1e-6: every neighbour of one element then says the same
    V x, the gates cancel, and the geometry with them. With an envelope and a floor of order one they do not.

    Args:
        features: F, of nodes and edges.
        floor: of the denominator.
        norm: of nodes and edges.
    """

    def __init__(self, features: int, floor: float, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.floor = floor
        # In the order of the published state dict. `dst_update` acts on the source, `src_update` on the receiver.
        self.src_gate = nn.Linear(features, features)
        self.dst_gate = nn.Linear(features, features)
        self.edge_gate = nn.Linear(features, features)
        self.bn_edges = norm(features)
        self.src_update = nn.Linear(features, features)
        self.dst_update = nn.Linear(features, features)
        self.bn_nodes = norm(features)

    def forward(self, nodes: Tensor, edges: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Nodes [N, F] and edges [E, F] after one round."""
        message = self.src_gate(nodes).index_select(0, links.src) + self.dst_gate(nodes).index_select(0, links.dst)
        message = message + self.edge_gate(edges)
        gate = message.sigmoid() if links.envelope is None else links.envelope * message.sigmoid()
        value = self.dst_update(nodes).index_select(0, links.src)
        heard = edge_sum(gate * value, links.where) / (edge_sum(gate, links.where) + self.floor)
        updated = functional.silu(self.bn_nodes(self.src_update(nodes) + heard))
        return nodes + updated, edges + functional.silu(self.bn_edges(message))


class ALIGNNConvolution(nn.Module):
    """One round on the atom graph, then one on its line graph, whose nodes are the edges of the atom graph."""

    def __init__(self, features: int, floor: float, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.node_update = EdgeGatedConvolution(features, floor, norm)
        self.edge_update = EdgeGatedConvolution(features, floor, norm)

    def forward(
        self, atoms: Tensor, edges: Tensor, angles: Tensor, bonds: Links, chains: Links
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms [N, F], edges [E, F] and angles [T, F] after one round."""
        atoms, edges = self.node_update(atoms, edges, bonds)
        edges, angles = self.edge_update(edges, angles, chains)
        return atoms, edges, angles
