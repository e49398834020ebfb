"""What all published ALIGNN models have in common, whatever they predict: their graph and their convolutions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_atomwise_config import TrunkConfig, wanted_angle_cutoff, wanted_topology
from alignn_ff.models.base import GraphModel
from alignn_ff.models.layers.attention import CONVOLUTIONS
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.layers.edge_gated import ALIGNNConvolution, Form, MLPLayer, Norm, RBFExpansion
from alignn_ff.models.layers.features import WIDTHS, atom_features, known_elements
from alignn_ff.models.ops import Links, link
from alignn_ff.schema import parse

_BASIS_A = 8.0
"""Å; the Gaussians of the distance span 0 to this, whatever the cutoff."""


class AlignnTrunk(GraphModel):
    """Features of atoms from distances and angles between consecutive edges; what is read off them is another's matter.

    In sound mode the gates carry the envelope of every edge in them. The state dict of legacy mode has upstream's
    names, shapes and order.
    Source: Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021).

    Args:
        elements: symbols.
        fields: of `Config`.
    """

    Config: ClassVar[type[TrunkConfig]]
    norm: ClassVar[Norm] = nn.LayerNorm
    settings: TrunkConfig
    exponent: int
    features: Tensor
    fixed_angles = False
    """Whether angles count as constants when energies are differentiated."""

    def __init__(self, elements: Sequence[str], fields: dict[str, Any]) -> None:
        super().__init__()
        self.settings = c = parse(self.Config, fields, f"model {self.name}")
        self.elements = tuple(elements)
        _check_features(self.elements, c.atom_features)
        self.cutoff = c.cutoff
        self.angle_cutoff = wanted_angle_cutoff(c)
        self.topology = wanted_topology(c)
        self.sound = c.mode == "sound"
        if c.atom_features == "learnt":
            self.features = nn.Parameter(atom_features(c.atom_features))
        else:
            self.register_buffer("features", atom_features(c.atom_features), persistent=False)
        convolution, form = CONVOLUTIONS[c.conv_type], Form(c.hidden_features, self.sound, self.norm, c.num_heads)
        self.atom_embedding = MLPLayer(WIDTHS[c.atom_features], c.hidden_features, self.norm)
        self._add_bases()
        self.alignn_layers = nn.ModuleList([ALIGNNConvolution(convolution, form) for _ in range(c.alignn_layers)])
        self.gcn_layers = nn.ModuleList([convolution(form) for _ in range(c.gcn_layers)])

    @abstractmethod
    def _add_bases(self) -> None:
        """Add the modules of the two methods below, in the order of the published state dict."""

    @abstractmethod
    def _edge_features(self, distance: Tensor) -> Tensor:
        """First features of each edge [E, F], from distances, Å [E]."""

    @abstractmethod
    def _angle_features(self, cosine: Tensor) -> Tensor:
        """First features of each angle [T, F], from cosines [T]."""

    def _layers(self, inputs: int) -> list[MLPLayer]:
        """From a basis of `inputs` functions to features."""
        c = self.settings
        first = MLPLayer(inputs, c.embedding_features, self.norm)
        return [first, MLPLayer(c.embedding_features, c.hidden_features, self.norm)]

    def _nodes(self, numbers: Tensor, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Final features of atoms [N, F]; `numbers` may hold more atoms than the graph, which have no edges."""
        distance = vectors.norm(dim=1)
        weight = self._envelope(distance, self.cutoff) if self.sound else None
        bonds = self._link(graph.edge_src, graph.edge_dst, len(numbers), weight)
        nodes = self.atom_embedding(self.features[numbers])
        edges = self._edge_features(distance)
        if len(self.alignn_layers):
            chains, angles = self._angles(graph, vectors, distance)
            for layer in self.alignn_layers:
                nodes, edges, angles = layer(nodes, edges, angles, bonds, chains)
        for layer in self.gcn_layers:
            nodes, edges = layer(nodes, edges, bonds)
        return nodes

    def _angles(self, graph: AtomGraph, vectors: Tensor, distance: Tensor) -> tuple[Links, Tensor]:
        """Links of the line graph and features of its angles [T, F]; +1 is the cosine of the way back."""
        if self.fixed_angles:
            vectors, distance = vectors.detach(), distance.detach()
        into, out, weight = self._chains(graph, vectors)
        unit = vectors / distance.unsqueeze(1)
        cosine = -(unit.index_select(0, into) * unit.index_select(0, out)).sum(1)
        if self.sound:
            near = self._envelope(distance, self.angle_cutoff or self.cutoff)
            both = near.index_select(0, into) * near.index_select(0, out)
            weight = both if weight is None else both * weight
        return self._link(into, out, len(vectors), weight), self._angle_features(cosine)

    def _chains(self, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Edges of the angles that count [T], [T], and what weighs them beside the lengths of their edges [T, 1]."""
        return *_chained(graph), None

    def _link(self, src: Tensor, dst: Tensor, nodes: int, envelope: Tensor | None) -> Links:
        """Links of a graph, by the operations that this model computes with."""
        return link(src, dst, nodes, envelope)

    def _envelope(self, distance: Tensor, cutoff: float) -> Tensor:
        """Weight of each edge [E, 1], zero at the cutoff."""
        return polynomial_envelope(distance / cutoff, self.exponent).unsqueeze(1)


class GaussianBases(AlignnTrunk):
    """Gaussians of distances and cosines."""

    def _add_bases(self) -> None:
        radial, angular = self.settings.edge_input_features, self.settings.triplet_input_features
        self.edge_embedding = nn.Sequential(RBFExpansion(0.0, _BASIS_A, radial), *self._layers(radial))
        self.angle_embedding = nn.Sequential(RBFExpansion(-1.0, 1.0, angular), *self._layers(angular))

    def _edge_features(self, distance: Tensor) -> Tensor:
        return self.edge_embedding(distance)

    def _angle_features(self, cosine: Tensor) -> Tensor:
        return self.angle_embedding(cosine)


def _check_features(elements: Sequence[str], name: str) -> None:
    known = known_elements(name)
    strange = [e for e in elements if e not in known]
    if strange:
        raise ConfigError(
            f"atom_features `{name}` end at {known[-1]}, and the elements hold {' '.join(strange)}. Choose other "
            "features or fewer elements."
        )


def _chained(graph: AtomGraph) -> tuple[Tensor, Tensor]:
    """The angles of a graph, once sure that one edge of each leads to where the other starts."""
    into, out = graph.angle_in, graph.angle_out
    if into is None or out is None or not torch.equal(graph.edge_dst[into], graph.edge_src[out]):
        raise StructureError(
            "the graph holds no pairs of consecutive edges, which this model needs; connect it with the model's "
            "`wants`: connect(graph, **model.wants)."
        )
    return into, out
