"""The published force-field models `alignn_atomwise` and `alignn_atomwise_pure`, as published and repaired."""

from __future__ import annotations

from torch import Tensor, nn

from alignn_ff.models.alignn_atomwise_config import AlignnAtomwiseConfig
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.layers.edge_gated import RBFExpansion

_BASIS_A = 8.0
"""Å; the Gaussians of the distance span 0 to this, whatever the cutoff."""


class AlignnAtomwise(AlignnNetwork):
    """The force field with Gaussians of distances and cosines; its fields are those of `AlignnAtomwiseConfig`."""

    name = "alignn_atomwise"
    Config = AlignnAtomwiseConfig
    settings: AlignnAtomwiseConfig

    def _add_bases(self) -> None:
        c = self.settings
        self.exponent = c.exponent
        radial, angular = c.edge_input_features, c.triplet_input_features
        self.edge_embedding = nn.Sequential(RBFExpansion(0.0, _BASIS_A, radial), *self._layers(radial))
        self.angle_embedding = nn.Sequential(RBFExpansion(-1.0, 1.0, angular), *self._layers(angular))

    def _edge_features(self, distance: Tensor) -> Tensor:
        c = self.settings
        if not c.use_cutoff_function:
            return self.edge_embedding(distance)
        envelope = polynomial_envelope(distance / c.inner_cutoff, c.exponent)
        if c.multiply_cutoff:
            return envelope.unsqueeze(1) * self.edge_embedding(distance)
        return self.edge_embedding(envelope)

    def _angle_features(self, cosine: Tensor) -> Tensor:
        return self.angle_embedding(cosine)


class AlignnAtomwisePure(AlignnAtomwise):
    """The same model under the name of upstream's implementation without DGL."""

    name = "alignn_atomwise_pure"
