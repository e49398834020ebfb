"""Radial bases: functions of the distance, and of the distance in units of a bond."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


class BondBasis(nn.Module):
    """K Gaussians of the reduced distance x = d / (R_src + R_dst), not enveloped.

    exp(-(x - x_k)²/2w²) with x_k evenly from 0.6 to 2.4 and w 0.8 of their spacing. In x a bond is a bond for every
    pair of elements, so what is learnt of one pair carries over to others. The radii R are learnt.

    Args:
        radii: first values of R, Å, one for each element.
        functions: K, at least 2.
    """

    center: Tensor

    def __init__(self, radii: Sequence[float], functions: int) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(list(radii), dtype=torch.get_default_dtype()))
        center = torch.linspace(0.6, 2.4, functions)
        self.register_buffer("center", center, persistent=False)
        self.width = 0.8 * float(center[1] - center[0])

    def forward(self, distance: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """Basis [E, K] from distances, Å [E, 1], and the elements [E] (places in `radii`) at both ends."""
        reduced = distance / (self.radius[src] + self.radius[dst]).unsqueeze(1)
        return torch.exp(-0.5 * ((reduced - self.center) / self.width) ** 2)
