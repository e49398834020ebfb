"""The ALIGNN convolution made fit for dynamics: enveloped messages, no division by the sum of gates."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.models.layers.mlp import Standardize
from alignn_ff.models.ops import Slots, edge_outer_sum, edge_sum


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

    def forward(self, nodes: Tensor, basis: Tensor, envelope: Tensor, src: Tensor, dst: Tensor, where: Slots) -> Tensor:
        """Update of each node [N, F] from nodes [N, F], basis [E, K], envelope [E, 1] and edges sorted by dst."""
        value = self.value(nodes).index_select(0, src)  # [E, M]
        if self.gate_src is not None and self.gate_dst is not None and self.gate_edge is not None:
            gate = self.gate_src(nodes).index_select(0, src) + self.gate_dst(nodes).index_select(0, dst)
            gate = (gate + self.gate_edge(basis)).sigmoid()
            heard = edge_sum(envelope * gate * value * self.filter(basis), where)
        else:
            # Without a gate the filter, linear in the basis, moves out of the sum: a third of the time.
            moments = edge_outer_sum(envelope * basis, value, where)  # [N, K, M]
            heard = (moments * self.filter.weight.T).sum(1)
        return functional.silu(self.own(nodes) + self.out(self.standardize(heard)))
