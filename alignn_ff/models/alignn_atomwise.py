"""The published force-field models `alignn_atomwise` and `alignn_atomwise_pure`, as published and repaired."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from alignn_ff.graph import AtomGraph
from alignn_ff.models import ops_dgl
from alignn_ff.models.alignn_atomwise_config import AlignnAtomwiseConfig, AlignnAtomwisePureConfig, CutoffFunction
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.alignn_trunk import GaussianBases
from alignn_ff.models.layers.chains import spans, ways_back
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.ops import Links


class SmoothedBases(GaussianBases):
    """Gaussians, of the distance or of a function of it that ends at `inner_cutoff`, or multiplied by that function."""

    settings: CutoffFunction

    def _add_bases(self) -> None:
        self.exponent = self.settings.exponent
        super()._add_bases()

    def _edge_features(self, distance: Tensor) -> Tensor:
        c = self.settings
        if not c.use_cutoff_function:
            return self.edge_embedding(distance)
        envelope = polynomial_envelope(distance / c.inner_cutoff, c.exponent)
        if c.multiply_cutoff:
            return envelope.unsqueeze(1) * self.edge_embedding(distance)
        return self.edge_embedding(envelope)

    def _chains(self, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        c = self.settings
        into, out, _ = super()._chains(graph, vectors)
        if c.backtracking and not c.lighten_edges:
            return into, out, None
        back = ways_back(graph, into, out)
        span = spans(vectors, into, out, back)
        near = span < c.inner_cutoff if c.lighten_edges else ~back
        if not c.backtracking:
            near &= ~back
        weight = self._envelope(span, c.inner_cutoff)[near] if self.sound and c.lighten_edges else None
        return into[near], out[near], weight


class AlignnAtomwisePure(SmoothedBases, AlignnNetwork):
    """The force field with Gaussians of distances and cosines; its fields are those of `AlignnAtomwisePureConfig`."""

    name = "alignn_atomwise_pure"
    Config: ClassVar[type[AlignnAtomwiseConfig]] = AlignnAtomwisePureConfig
    settings: AlignnAtomwiseConfig


class AlignnAtomwise(AlignnAtomwisePure):
    """The same model, its sums over edges done by DGL where DGL is installed; see `ops_dgl`."""

    name = "alignn_atomwise"
    Config = AlignnAtomwiseConfig

    def _link(self, src: Tensor, dst: Tensor, nodes: int, envelope: Tensor | None) -> Links:
        return ops_dgl.link(src, dst, nodes, envelope)
