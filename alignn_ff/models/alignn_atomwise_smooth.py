"""The published model `alignn_atomwise_pure_smooth`, as published and repaired: Bessel and Fourier functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_atomwise_config import AlignnAtomwisePureSmoothConfig
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.base import Heads
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.layers.edge_gated import RBFExpansion
from alignn_ff.models.layers.features import WIDTHS

_NEAR_ONE = 1.0 - 1e-7
"""Upstream keeps cosines this far from ±1, where the angle has no derivative."""


class Frequencies(nn.Module):
    """Frequencies of sines, learnt or fixed, under the published name."""

    frequencies: Tensor

    def __init__(self, first: Tensor, learnable: bool) -> None:
        super().__init__()
        if learnable:
            self.frequencies = nn.Parameter(first)
        else:
            self.register_buffer("frequencies", first)


class RadialBessel(Frequencies):
    """K functions sqrt(2/r_c) sin(f_k d/r_c)/d, f_k = kπ at first; eq. 7 of Gasteiger et al., ICLR 2020."""

    def __init__(self, cutoff: float, functions: int, learnable: bool) -> None:
        super().__init__(math.pi * torch.arange(1, functions + 1, dtype=torch.get_default_dtype()), learnable)
        self.cutoff = cutoff

    def forward(self, distance: Tensor) -> Tensor:
        """Å [E] -> [E, K]."""
        d = distance.unsqueeze(1)
        return math.sqrt(2.0 / self.cutoff) * torch.sin(self.frequencies * d / self.cutoff) / d


class FourierAngular(Frequencies):
    """1/sqrt(2), sin(w_k θ), cos(w_k θ) over sqrt(π), w_k = k at first, k = 1..order.

    sin θ has a kink where three atoms are in line. In sound mode π (1 - cos θ)/2 stands for θ: it too runs from 0 to
    π, and every function of it is as smooth as the cosine.
    """

    def __init__(self, order: int, learnable: bool, sound: bool) -> None:
        super().__init__(torch.arange(1, order + 1, dtype=torch.get_default_dtype()), learnable)
        self.sound = sound

    def forward(self, cosine: Tensor) -> Tensor:
        """[T] -> [T, 2 order + 1]."""
        theta = 0.5 * math.pi * (1.0 - cosine) if self.sound else torch.acos(cosine.clamp(-_NEAR_ONE, _NEAR_ONE))
        angle = theta.unsqueeze(1) * self.frequencies
        constant = torch.full_like(cosine, math.sqrt(0.5)).unsqueeze(1)
        return torch.cat([constant, torch.sin(angle), torch.cos(angle)], dim=1) / math.sqrt(math.pi)


class AlignnAtomwisePureSmooth(AlignnNetwork):
    """`alignn_atomwise` with Bessel and Fourier functions; its fields are those of `AlignnAtomwisePureSmoothConfig`.

    In legacy mode E_i = fc(x_i) + atomref(features of the element). There the radial functions are enveloped, the
    messages are not: the network makes of zero features something else than zero, so energies jump at the cutoff all
    the same. In sound mode the messages are enveloped too, and reference energies take the place of atomref.
    """

    name = "alignn_atomwise_pure_smooth"
    Config = AlignnAtomwisePureSmoothConfig
    settings: AlignnAtomwisePureSmoothConfig
    exponent = 5
    """Of the envelopes of messages, in sound mode."""

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        heads = super().forward(graph, vectors)
        if self.atomref is None:
            return heads
        return heads._replace(energy=heads.energy + self.atomref(self.features[graph.numbers]).squeeze(1))

    def _add_bases(self) -> None:
        c = self.settings
        self.atomref = nn.Linear(WIDTHS[c.atom_features], 1, bias=False) if c.use_atomref else None
        if self.atomref is not None:
            nn.init.zeros_(self.atomref.weight)
        self.radial, inputs = self._radial_basis()
        self.edge_embedding = nn.Sequential(*self._layers(inputs))
        self.angular, inputs = self._angular_basis()
        self.angle_embedding = nn.Sequential(*self._layers(inputs))

    def _radial_basis(self) -> tuple[nn.Module, int]:
        c = self.settings
        if c.radial_basis == "gaussian":
            return RBFExpansion(0.0, c.radial_cutoff, c.edge_input_features), c.edge_input_features
        return RadialBessel(c.radial_cutoff, c.edge_input_features, c.radial_learnable), c.edge_input_features

    def _angular_basis(self) -> tuple[nn.Module, int]:
        c = self.settings
        if c.angular_basis == "cosine":
            return RBFExpansion(-1.0, 1.0, c.triplet_input_features), c.triplet_input_features
        order = max(1, (c.triplet_input_features - 1) // 2)
        return FourierAngular(order, c.angular_learnable, self.sound), 2 * order + 1

    def _edge_features(self, distance: Tensor) -> Tensor:
        c = self.settings
        basis = self.radial(distance)
        if c.smooth_cutoff_coeff:
            basis = basis * polynomial_envelope(distance / c.radial_cutoff, c.smooth_cutoff_coeff).unsqueeze(1)
        return self.edge_embedding(basis)

    def _angle_features(self, cosine: Tensor) -> Tensor:
        return self.angle_embedding(self.angular(cosine))
