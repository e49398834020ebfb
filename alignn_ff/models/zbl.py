"""Screened nuclear repulsion that keeps atoms apart where no training data reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import SYMBOLS, Heads, Potential, element_index
from alignn_ff.models.elements import COVALENT_RADII
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.units import BOHR_A, COULOMB_EV_A

# Universal screening function: Ziegler, Biersack, Littmark, "The Stopping and Range of Ions in Solids", 1985.
_SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))


class ZBL(Potential):
    """Ziegler-Biersack-Littmark pair repulsion, carried smoothly to zero below typical bond lengths.

    E_pair = Z_i Z_j e²/(4πε₀ d) φ(d/a) f(d/d_end), a = 0.8854 a₀/(Z_i^0.23 + Z_j^0.23), f the polynomial envelope,
    d_end = `fraction` times the sum of the covalent radii. Half of each pair energy goes to each atom.

    Args:
        elements: symbols, none beyond Cm.
        fraction: of the covalent radii at which the repulsion ends, with two continuous derivatives.
    """

    name = "zbl"
    index: Tensor
    charge: Tensor
    radius: Tensor

    def __init__(self, elements: Sequence[str], fraction: float = 0.8) -> None:
        super().__init__()
        self.elements = tuple(elements)
        self.fraction = fraction
        numbers = [SYMBOLS.index(symbol) for symbol in elements]
        self.register_buffer("index", element_index(elements), persistent=False)
        self.register_buffer("charge", torch.tensor([float(z) for z in numbers]), persistent=False)
        radii = torch.tensor([fraction * COVALENT_RADII[z - 1] for z in numbers])
        self.register_buffer("radius", radii, persistent=False)
        self.cutoff = 2.0 * float(radii.max())
        self.receptive_field = self.cutoff

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        energy = torch.zeros(len(graph.numbers), dtype=vectors.dtype, device=vectors.device)
        # Hardly any pair is this close; screening all of them would cost a tenth of a network's evaluation.
        near = torch.nonzero((vectors.detach() ** 2).sum(1) < self.cutoff**2).squeeze(1)
        if len(near) == 0:
            return Heads(energy=energy)
        element = self.index[graph.numbers]
        src, dst = element[graph.edge_src[near]], element[graph.edge_dst[near]]
        distance = vectors[near].norm(dim=1)
        charge = self.charge.to(vectors.dtype)
        power = charge**0.23
        reduced = distance * (power[src] + power[dst]) / (0.8854 * BOHR_A)
        screening = sum(weight * torch.exp(-decay * reduced) for weight, decay in _SCREENING)
        radius = self.radius.to(vectors.dtype)
        envelope = polynomial_envelope(distance / (radius[src] + radius[dst]))
        pair = COULOMB_EV_A * charge[src] * charge[dst] / distance * screening * envelope
        return Heads(energy=energy.index_add(0, graph.edge_dst[near], 0.5 * pair))

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "elements": list(self.elements), "fraction": self.fraction}
