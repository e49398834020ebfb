"""What the name eALIGNN promises: gated messages with features that turn with the structure, and one energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_smooth import first_embedding
from alignn_ff.models.base import SYMBOLS, Heads, Potential, element_index, heads
from alignn_ff.models.further_outputs import FurtherOutputs, output_names
from alignn_ff.models.layers.mlp import Standardize, mlp, readout
from alignn_ff.models.layers.radial import BesselBasis
from alignn_ff.models.ops import Slots, edge_outer_sum, edge_sum, slots
from alignn_ff.schema import parse


class EalignnAtomwiseConfig(FurtherOutputs):
    """Form and size of `ealignn_atomwise`."""

    cutoff: float = Field(default=5.0, gt=0, description="Å; every neighbour up to here counts")
    hidden_features: int = Field(default=64, ge=1, description="numbers that describe an atom")
    vector_features: int = Field(default=32, ge=1, description="vectors that describe an atom")
    gcn_layers: int = Field(default=2, ge=1, description="rounds of messages")
    radial_functions: int = Field(default=8, ge=1)
    envelope_exponent: int = Field(default=6, ge=3)


class _Edges(NamedTuple):
    """Ends [E], places in the table, basis [E, K], envelope [E, 1] and directions [E, 3] of the edges."""

    src: Tensor
    dst: Tensor
    where: Slots
    basis: Tensor
    envelope: Tensor
    unit: Tensor


class VectorScale(nn.Module):
    """Divides vectors by their root mean square, one constant a channel, taken once from data."""

    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))
        self.observing = False

    def forward(self, vectors: Tensor) -> Tensor:
        """[N, 3, C]; while observing, the constants are first set from `vectors`."""
        if self.observing and len(vectors) > 1:
            size = vectors.detach().square().sum(1).mean(0).sqrt()
            self.scale = size + 1e-3 * size.mean() + 1e-12  # a channel that is hardly used must not blow up
        return vectors / self.scale


class _Round(nn.Module):
    """Messages with a gate; each tells a number, a direction, and a share of the sender's own vectors.

    m_e = f_e · sigmoid(A x_src + D x_dst + C b_e) ⊙ (V x_src + v₀) ⊙ (W b_e)
    h_i = Σ_{e→i} m_e,   u_i = Σ_{e→i} r̂_e ⊗ P m_e + (Q m_e) ⊙ v_src
    x_i -> x_i + φ(h_i, (L u_i)·(R u_i), x_i),   v_i -> v_i + ψ(same) ⊙ (R u_i)

    The gate is that of Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021); vectors that pass between atoms and meet in
    scalar products are those of Schütt, Unke, Gastegger, ICML 2021 (PaiNN).
    """

    def __init__(self, c: EalignnAtomwiseConfig) -> None:
        super().__init__()
        f, v, k = c.hidden_features, c.vector_features, c.radial_functions
        self.features = f
        self.value = nn.Linear(f, f)
        self.filter = nn.Linear(k, f, bias=False)
        self.gate_src = nn.Linear(f, f)
        self.gate_dst = nn.Linear(f, f, bias=False)
        self.gate_edge = nn.Linear(k, f, bias=False)
        self.along = nn.Linear(f, v, bias=False)
        self.carried = nn.Linear(f, v, bias=False)
        self.vector_scale = VectorScale(v)
        self.left = nn.Linear(v, v, bias=False)
        self.right = nn.Linear(v, v, bias=False)
        self.standardize = Standardize(f + v)
        self.update = mlp(2 * f + v, f, f + v)

    def forward(self, nodes: Tensor, vectors: Tensor | None, e: _Edges) -> tuple[Tensor, Tensor]:
        """Numbers [N, F] and vectors [N, 3, C] of atoms after one round; None stands for no vectors yet."""
        gate = self.gate_src(nodes).index_select(0, e.src) + self.gate_dst(nodes).index_select(0, e.dst)
        gate = (gate + self.gate_edge(e.basis)).sigmoid()
        message = e.envelope * gate * self.value(nodes).index_select(0, e.src) * self.filter(e.basis)
        heard = edge_sum(message, e.where)
        turned = edge_outer_sum(e.unit, self.along(message), e.where)
        if vectors is not None:
            share = self.carried(message).unsqueeze(1) * vectors.index_select(0, e.src)
            turned = turned + edge_sum(share.flatten(1), e.where).view_as(turned)
        turned = self.vector_scale(turned)
        left, right = self.left(turned), self.right(turned)
        invariants = torch.cat([heard, (left * right).sum(1)], dim=1)
        out = self.update(torch.cat([self.standardize(invariants), nodes], dim=1))
        change = out[:, self.features :].unsqueeze(1) * right
        return nodes + out[:, : self.features], change if vectors is None else vectors + change


class EalignnAtomwise(Potential):
    """Equivariant ALIGNN: per-atom energies from numbers and vectors; forces are their gradient and nothing else.

    E_i = s(Z_i) (network_i - network of an isolated atom of the same element). Every sum over edges carries their
    envelope. Angles are seen where sums of directions meet in scalar products, at a cost linear in edges.

    Published `ealignn_atomwise` weights are those of an invariant network and are read as one (`pretrained.ealignn`).

    Args:
        elements: symbols.
        energy_scale: first value of the learnt scale s of each element, eV.
        **fields: see `EalignnAtomwiseConfig`.
    """

    name = "ealignn_atomwise"
    Config = EalignnAtomwiseConfig
    index: Tensor

    def __init__(self, elements: Sequence[str], energy_scale: Sequence[float], **fields: Any) -> None:
        super().__init__()
        self.settings = c = parse(EalignnAtomwiseConfig, fields, "model ealignn_atomwise")
        self.elements = tuple(elements)
        self.cutoff = c.cutoff
        self.receptive_field = c.gcn_layers * c.cutoff
        self.register_buffer("index", element_index(elements), persistent=False)
        self.energy_scale = nn.Parameter(torch.tensor(list(energy_scale), dtype=torch.get_default_dtype()))
        numbers = [SYMBOLS.index(symbol) for symbol in elements]
        self.embedding = nn.Embedding.from_pretrained(first_embedding(numbers, c.hidden_features), freeze=False)
        self.basis = BesselBasis(c.cutoff, c.radial_functions, c.envelope_exponent)
        self.rounds = nn.ModuleList([_Round(c) for _ in range(c.gcn_layers)])
        self.readout = mlp(c.hidden_features, c.hidden_features, 1)
        self.atomwise_names, self.additional_names = output_names(c)
        self.atomwise_readout = readout(c.hidden_features, c.atomwise_output_features)
        self.additional_readout = readout(c.hidden_features, c.additional_output_features)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        element = self.index[graph.numbers]
        # One isolated atom of each element present rides along: what the network says of it is subtracted.
        present, isolated = element.unique(return_inverse=True)
        nodes, _ = self.describe(torch.cat([element, present]), graph, vectors)
        raw = self.readout(nodes).squeeze(1)
        atoms = len(element)
        energy = self.energy_scale[element] * (raw[:atoms] - raw[atoms:][isolated])
        return heads(energy, nodes[:atoms], (self.atomwise_readout, self.additional_readout))

    def describe(self, element: Tensor, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers [N, F], which stay, and vectors [N, 3, C], which turn with the structure.

        Args:
            element: place of each atom's element in `elements` [N]; atoms beyond those of the graph have no edges.
        """
        distance = vectors.norm(dim=1, keepdim=True)
        basis, envelope = self.basis(distance)
        where = slots(graph.edge_dst, len(element))
        edges = _Edges(graph.edge_src, graph.edge_dst, where, basis, envelope, vectors / distance)
        nodes, turning = self.embedding(element), None
        for one in self.rounds:
            nodes, turning = one(nodes, turning, edges)
        assert turning is not None  # there is at least one round
        return nodes, turning

    @torch.no_grad()
    def calibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        observers = [module for module in self.modules() if isinstance(module, Standardize | VectorScale)]
        for module in observers:
            module.observing = True
        self(graph, vectors)
        for module in observers:
            module.observing = False

    @property
    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "elements": list(self.elements),
            "energy_scale": self.energy_scale.detach().tolist(),
            **self.settings.model_dump(),
        }
