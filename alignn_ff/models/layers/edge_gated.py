"""The layers of the published ALIGNN models, under their published parameter names.

Source: Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021); the gated convolution is that of Bresson, Laurent,
arXiv:1711.07553.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.models.ops import Links


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


class Form(NamedTuple):
    """What a convolution is made by.

    Attributes:
        features: F, of nodes and edges.
        sound: whether links have an envelope, and the sums that messages are divided by a floor of order one.
        norm: of nodes and edges.
        heads: groups of features that attend each for itself.
    """

    features: int
    sound: bool
    norm: Norm = nn.LayerNorm
    heads: int = 1


class Convolution(nn.Module):
    """Nodes listen to their neighbours, and the links between them remember how."""

    def forward(self, nodes: Tensor, edges: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Nodes [N, F] and edges [E, F] after one round."""
        raise NotImplementedError


class EdgeGatedConvolution(Convolution):
    """Nodes listen to their neighbours through gates, and the edges remember the gates.

    m_e  = A x_src + B x_dst + C y_e,   s_e = f_e sigmoid(m_e)
    x_j' = x_j + SiLU(norm(U x_j + Σ_{e→j} s_e ⊙ V x_src / (Σ_{e→j} s_e + floor)))
    y_e' = y_e + SiLU(norm(m_e))

    The published form has no envelope, f = 1, and a floor of 1e-6: every neighbour of one element then says the same
    V x, the gates cancel, and the geometry with them. With an envelope and a floor of order one they do not.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        features = form.features
        self.floor = 1.0 if form.sound else 1e-6
        # In the order of the published state dict. `dst_update` acts on the source, `src_update` on the receiver.
        self.src_gate = nn.Linear(features, features)
        self.dst_gate = nn.Linear(features, features)
        self.edge_gate = nn.Linear(features, features)
        self.bn_edges = form.norm(features)
        self.src_update = nn.Linear(features, features)
        self.dst_update = nn.Linear(features, features)
        self.bn_nodes = form.norm(features)

    def forward(self, nodes: Tensor, edges: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        message = links.meet(*self._said(nodes)) + self.edge_gate(edges)
        gate = message.sigmoid() if links.envelope is None else links.envelope * message.sigmoid()
        heard = links.heard(self.dst_update(nodes), gate) / (links.total(gate) + self.floor)
        updated = functional.silu(self.bn_nodes(self.src_update(nodes) + heard))
        return nodes + updated, edges + functional.silu(self.bn_edges(message))

    def _said(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """What nodes say to the gates of the edges out of them and into them, [N, F] each."""
        return self.src_gate(nodes), self.dst_gate(nodes)


class ALIGNNConvolution(nn.Module):
    """One round on the atom graph, then one on its line graph, whose nodes are the edges of the atom graph."""

    def __init__(self, convolution: type[Convolution], form: Form) -> None:
        super().__init__()
        self.node_update = convolution(form)
        self.edge_update = convolution(form)

    def forward(
        self, atoms: Tensor, edges: Tensor, angles: Tensor, bonds: Links, chains: Links
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms [N, F], edges [E, F] and angles [T, F] after one round."""
        atoms, edges = self.node_update(atoms, edges, bonds)
        edges, angles = self.edge_update(edges, angles, chains)
        return atoms, edges, angles
