"""Small building blocks of every network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def readout(inputs: int, outputs: int) -> nn.Sequential | None:
    """An `mlp` as wide as its inputs; None where nothing is to be read off."""
    return mlp(inputs, inputs, outputs) if outputs else None


def first_layer(network: nn.Sequential) -> nn.Linear:
    """The linear layer that an `mlp` begins with."""
    layer = network[0]
    assert isinstance(layer, nn.Linear)
    return layer


class Standardize(nn.Module):
    """Shifts and scales features by constants taken once from data, so that training starts well conditioned.

    Constants, not batch statistics: an atom's features never depend on the other atoms of a batch.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.observing = False

    def renew(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take the constants from `values` [N, F]; standardised values were `shift + factor * what they are now`.

        Returns:
            factor and shift, [F] each, for the weights that follow to take up. Those of features that never saw data
            have taken up nothing yet: 1 and 0.
        """
        fresh, mean, scale = self._fresh(), self.mean, self.scale
        self.mean, self.scale = _constants(values)
        return (self.scale / scale).where(~fresh, scale), ((self.mean - mean) / scale).where(~fresh, mean)

    def renew_before(self, following: nn.Linear, values: Tensor) -> None:
        """Take the constants from `values`; the first columns of the layer that follows make up for it."""
        factor, shift = self.renew(values)
        columns = following.weight[:, : len(factor)]
        following.bias.add_(columns @ shift)
        columns.mul_(factor)

    def _fresh(self) -> Tensor:
        """Which features have no constants of data yet [F]."""
        return (self.mean == 0) & (self.scale == 1)

    def forward(self, values: Tensor) -> Tensor:
        """(values - mean) / scale, [N, F]; while observing, features without constants take them from `values`."""
        if self.observing and len(values) > 1:  # fewer say nothing of a spread
            fresh, (mean, scale) = self._fresh(), _constants(values)
            self.mean, self.scale = mean.where(fresh, self.mean), scale.where(fresh, self.scale)
        return (values - self.mean) / self.scale


def _constants(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of features [N, F], [F] each."""
    values = values.detach()
    spread = values.std(0)
    return values.mean(0), spread + 1e-3 * spread.mean() + 1e-12  # a feature that hardly varies must not blow up
