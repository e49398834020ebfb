"""What is read off the features that a published model gives atoms, with or without numbers told of the structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError
from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_trunk import AlignnTrunk
from alignn_ff.models.layers.edge_gated import MLPLayer
from alignn_ff.models.layers.mlp import Standardize


class AlignnReadout(AlignnTrunk):
    """Values fc(x) of features x; with extra features e of the structure fc3(fc2(fc1([x, fc_e(e)]))).

    In legacy mode fc_e is a linear layer, a norm and SiLU, as published. A LayerNorm leaves nothing of one number, and
    of two no more than which is larger. In sound mode e loses its mean over the training set instead and is divided by
    its spread there, and nothing else is done to it; where the norm is BatchNorm, which does the same, all is as
    published.
    Source: Gong et al., arXiv:2208.05039.
    """

    extra_feature_embedding: Standardize | MLPLayer | None

    def _add_readout(self, outputs: int) -> nn.Linear:
        """Add the layers, in the order of the published state dict; returns the last one."""
        width, told = self.settings.hidden_features, self.settings.extra_features
        self.extra_features = told
        if not told:
            self.extra_feature_embedding = None
            self.fc = nn.Linear(width, outputs)
            return self.fc
        wide, repaired = width + told, self.sound and self.norm is nn.LayerNorm
        self.extra_feature_embedding = Standardize(told) if repaired else MLPLayer(told, told, self.norm)
        self.fc3 = nn.Linear(wide, outputs)
        self.fc1, self.fc2 = MLPLayer(wide, wide, self.norm), MLPLayer(wide, wide, self.norm)
        return self.fc3

    def _read(self, features: Tensor, told: Tensor | None) -> Tensor:
        """Values [M, outputs] of features [M, F], and of what is told beside each [M, X]."""
        if told is None:
            return self.fc(features)
        return self.fc3(self.fc2(self.fc1(torch.cat([features, told], dim=1))))

    def _told(self, graph: AtomGraph) -> Tensor | None:
        """The extra features of each structure as the readout takes them [G, X]; None where the model wants none.

        Raises:
            ConfigError: the graph has none, or others than the model wants.
        """
        if not self.extra_features:
            return None
        told, wanted = graph.extra_features, (len(graph.cell), self.extra_features)
        if told is None or told.shape != wanted:
            seen = "none" if told is None else f"those of shape {tuple(told.shape)}"
            raise ConfigError(
                f"model {self.name} wants extra features of shape {wanted} beside the structures, and the graph has "
                f"{seen}. `io.with_extra_features` takes them from ase.Atoms."
            )
        assert self.extra_feature_embedding is not None
        return self.extra_feature_embedding(told.to(self.fc3.weight.dtype))

    @torch.no_grad()
    def standardize_extra_features(self, told: Tensor | None) -> None:
        """Take mean and spread of the extra features from those of training structures [G, X], in sound mode.

        One that is the same in all of them is shifted and not scaled.
        """
        own = self.extra_feature_embedding
        if told is None or not isinstance(own, Standardize):
            return
        spread = told.std(0, correction=0)
        own.mean.copy_(told.mean(0))
        own.scale.copy_(torch.where(spread > 0, spread, 1.0))
