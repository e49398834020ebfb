"""The ALIGNN convolution made fit for dynamics: enveloped messages, no division by the sum of gates."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.models.layers.mlp import Standardize
from alignn_ff.models.ops import Spokes


class GatedConvolution(nn.Module):
    """Nodes listen to their neighbours along edges; serves the atom graph and the line graph alike.

    message  m_e = f_e · g_e ⊙ (V x_src + v₀) ⊙ (W b_e),   g_e = sigmoid(A x_src + D x_dst + C b_e) or 1
    update   x  -> SiLU(U x + O standardized(Σ_{e→i} m_e))

    The gate is that of Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021); upstream divides the gated sum by the
    sum of gates, which cancels all geometry in a crystal of one element, so here the sum stands as it is.

    Args:
        features: of a node.
        edge_features: K, of an edge basis that vanishes or is enveloped at the cutoff.
        message_features: width of a message.
        gate: whether g_e is there.
    """

    def __init__(self, features: int, edge_features: int, message_features: int, *, gate: bool) -> None:
        super().__init__()
        self.value = nn.Linear(features, message_features)
        self.filter = nn.Linear(edge_features, message_features, bias=False)
        self.gate_src = nn.Linear(features, message_features) if gate else None
        self.gate_dst = nn.Linear(features, message_features, bias=False) if gate else None
        self.gate_edge = nn.Linear(edge_features, message_features, bias=False) if gate else None
        self.own = nn.Linear(features, features)
        self.standardize = Standardize(message_features)
        self.out = nn.Linear(message_features, features, bias=False)

    def renew(self, messages: Tensor) -> None:
        """Standardise sums of messages [N, M] by new constants; the weights after them make up for it."""
        factor, shift = self.standardize.renew(messages)
        self.own.bias.add_(self.out.weight @ shift)
        self.out.weight.mul_(factor)

    def forward(self, nodes: Tensor, edges: Spokes) -> Tensor:
        """Update of each node [N, F] from nodes [N, F] and the edges into them."""
        value = edges.heard(self.value(nodes))  # [P, message features]
        if self.gate_src is not None and self.gate_dst is not None and self.gate_edge is not None:
            gate = edges.heard(self.gate_src(nodes)) + edges.received(self.gate_dst(nodes))
            gate = (gate + self.gate_edge(edges.basis)).sigmoid()
            heard = edges.where.total(gate * value * self.filter(edges.weighted))
        else:
            # Without a gate the filter, linear in the basis, moves out of the sum: a third of the time.
            moments = edges.where.outer(edges.weighted, value)  # [N, K, message features]
            heard = (moments * self.filter.weight.T).sum(1)
        return functional.silu(self.own(nodes) + self.out(self.standardize(heard)))
