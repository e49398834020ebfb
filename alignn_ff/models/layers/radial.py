"""Radial bases."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alignn_ff.models.layers.cutoff import polynomial_envelope


class BesselBasis(nn.Module):
    """K enveloped radial functions f(d) sqrt(2/r_c) sin(kπ d/r_c)/d, k = 1..K.

    Source: eq. 7 of Gasteiger, Groß, Günnemann, ICLR 2020; frequencies are fixed.

    Args:
        cutoff: r_c, Å.
        functions: K.
        exponent: of the envelope.
    """

    frequency: Tensor

    def __init__(self, cutoff: float, functions: int, exponent: int) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.exponent = exponent
        orders = torch.arange(1, functions + 1, dtype=torch.get_default_dtype())
        self.register_buffer("frequency", orders * math.pi / cutoff, persistent=False)

    def forward(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Basis [E, K] (already enveloped) and the envelope itself [E, 1], from distances Å [E, 1]."""
        envelope = polynomial_envelope(distance / self.cutoff, self.exponent)
        amplitude = envelope * math.sqrt(2.0 / self.cutoff) / distance
        return amplitude * torch.sin(distance * self.frequency), envelope
