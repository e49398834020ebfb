"""The attention variants of the published convolutions, under their published parameter names.

Source: Shao et al., Adv. Theory Simul. (2026), cited after PyPI's alignn 2026.8.11, whose numbers these are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.models.layers.edge_gated import Convolution, EdgeGatedConvolution, Form
from alignn_ff.models.ops import Links

_PUBLISHED_FLOOR = 1e-8
"""What upstream adds to a sum of exponentials, the largest of which is 1."""


class NodeAttentionConvolution(EdgeGatedConvolution):
    """`n_alignn`: the edge-gated convolution where each node weighs what it says to the gates.

    m_e = a(x_src) A x_src + b(x_dst) B x_dst + C y_e, a and b logistic functions of the node, one for each head.
    """

    def __init__(self, form: Form) -> None:
        super().__init__(form)
        self.width = form.features // form.heads
        self.attn_src = nn.Linear(form.features, form.heads)
        self.attn_dst = nn.Linear(form.features, form.heads)

    def _said(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        from_src, from_dst = super()._said(nodes)
        weights = (layer(nodes).sigmoid().repeat_interleave(self.width, 1) for layer in (self.attn_src, self.attn_dst))
        return next(weights) * from_src, next(weights) * from_dst


class SelfAttentionConvolution(Convolution):
    """`t_alignn`: nodes attend to their neighbours by what nodes and edges ask of each other.

    l_e  = Σ_d (Q x_dst ⊙ K x_src ⊙ K' y_e)_d / sqrt(d), for each head of d features
    a_e  = w_e / (c + Σ_{e→j} w_e)
    x_j' = U x_j + SiLU(norm(Σ_{e→j} a_e V x_src))
    y_e' = C y_e + SiLU(norm(a_e))

    The published form is a softmax: w = exp(l), and c = 0 but for rounding. Its shares jump when a neighbour comes or
    goes, and an envelope on w would only hide the jump: with l = 30 a weight of 1e-13 already decides. In the sound
    form w = f sigmoid(l) and c = 1.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        features, self.heads = form.features, form.heads
        # In the order of the published state dict.
        self.W_q = nn.Linear(features, features)
        self.W_k = nn.Linear(features, features)
        self.W_v = nn.Linear(features, features)
        self.W_ke = nn.Linear(features, features)
        self.fc_node = nn.Linear(features, features)
        self.fc_edge = nn.Linear(features, features)
        self.bn_nodes = form.norm(features)
        self.bn_edges = form.norm(features)

    def forward(self, nodes: Tensor, edges: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        asked = self.W_q(nodes).index_select(0, links.dst) * self.W_k(nodes).index_select(0, links.src)
        width = asked.shape[1] // self.heads
        logits = (asked * self.W_ke(edges)).view(-1, self.heads, width).sum(2) / math.sqrt(width)
        share = attend(logits, links, len(nodes)).repeat_interleave(width, 1)
        heard = links.heard(self.W_v(nodes), share)
        after = self.fc_node(nodes) + functional.silu(self.bn_nodes(heard))
        return after, self.fc_edge(edges) + functional.silu(self.bn_edges(share))


def attend(logits: Tensor, links: Links, nodes: int) -> Tensor:
    """Shares of the edges in what each of `nodes` nodes hears, from logits, [E, H] both."""
    if links.envelope is not None:
        weight = links.envelope * logits.sigmoid()
        return weight / (links.total(weight) + 1.0).index_select(0, links.dst)
    place = links.dst.unsqueeze(1).expand_as(logits)
    # Taken off every logit, lest exponentials overflow. But for the floor the shares do not depend on it.
    largest = logits.new_full((nodes, logits.shape[1]), -math.inf).scatter_reduce(0, place, logits, "amax")
    weight = torch.exp(logits - largest.index_select(0, links.dst))
    return weight / (links.total(weight) + _PUBLISHED_FLOOR).index_select(0, links.dst)


CONVOLUTIONS: dict[str, type[Convolution]] = {
    "alignn": EdgeGatedConvolution,
    "n_alignn": NodeAttentionConvolution,
    "t_alignn": SelfAttentionConvolution,
}
"""By upstream's `conv_type`."""
