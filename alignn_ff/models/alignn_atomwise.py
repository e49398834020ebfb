"""The published force-field models `alignn_atomwise` and `alignn_atomwise_pure`, as published and repaired."""

from __future__ import annotations

from torch import Tensor

from alignn_ff.models.alignn_atomwise_config import AlignnAtomwiseConfig, CutoffFunction
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.alignn_trunk import GaussianBases
from alignn_ff.models.layers.cutoff import polynomial_envelope


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


class AlignnAtomwise(SmoothedBases, AlignnNetwork):
    """The force field with Gaussians of distances and cosines; its fields are those of `AlignnAtomwiseConfig`."""

    name = "alignn_atomwise"
    Config = AlignnAtomwiseConfig
    settings: AlignnAtomwiseConfig


class AlignnAtomwisePure(AlignnAtomwise):
    """The same model under the name of upstream's implementation without DGL."""

    name = "alignn_atomwise_pure"
