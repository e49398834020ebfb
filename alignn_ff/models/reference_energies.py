"""Energy per atom by element alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import Heads, Potential, element_index


class ReferenceEnergies(Potential):
    """E_i = E_ref(Z_i), constants in float64 whatever the precision of the other terms.

    Args:
        elements: symbols.
        energies: eV per atom, one an element.
    """

    name = "reference_energies"

    def __init__(self, elements: Sequence[str], energies: Sequence[float]) -> None:
        super().__init__()
        self.elements = tuple(elements)
        self.energies = tuple(float(energy) for energy in energies)
        self.cutoff = 0.0
        self.receptive_field = 0.0
        # Plain attributes, not buffers: `.to(torch.float32)` must not round eV-large constants.
        self._index = element_index(elements)
        self._table = torch.tensor(self.energies, dtype=torch.float64)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        return Heads(energy=self._table.to(vectors.device)[self._index.to(vectors.device)[graph.numbers]])

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "elements": list(self.elements), "energies": list(self.energies)}
