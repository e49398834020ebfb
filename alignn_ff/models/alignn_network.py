"""What the published ALIGNN force fields have in common beyond their graph and convolutions: their energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_atomwise_config import NetworkConfig, reach
from alignn_ff.models.alignn_trunk import AlignnTrunk
from alignn_ff.models.base import SYMBOLS, Heads, Potential, heads
from alignn_ff.models.further_outputs import output_names


class AlignnNetwork(AlignnTrunk, Potential):
    """ALIGNN force field: per-atom energies from distances and angles between consecutive edges.

    E_i = fc(x_i): upstream's mean over atoms, a linear layer and a factor of N, in another order. In sound mode
    E_i = s(Z_i) (fc(x_i) - fc(x of an isolated atom of the same element)). Values of atoms and of structures beside it
    are linear in x_i and in the mean of x_i; they have no zero at isolated atoms.
    Source: Choudhary et al., Digital Discovery 2, 346 (2023).

    Concrete models say what turns distances and angles into features.

    Args:
        elements: symbols.
        energy_scale: first value of the learnt scale s of each element, eV; none for published weights, which have
            no such scale.
        **fields: see the `Config` of the concrete model.
    """

    Config: ClassVar[type[NetworkConfig]]
    settings: NetworkConfig
    places: Tensor

    def __init__(self, elements: Sequence[str], energy_scale: Sequence[float] | None = None, **fields: Any) -> None:
        super().__init__(elements, fields)
        self.fixed_angles = not self.settings.lg_on_fly
        self.receptive_field = reach(self.settings)
        if not self.sound:
            self.claims = frozenset()
        c = self.settings
        self.atomwise_names, self.additional_names = output_names(c)
        energy = nn.Linear(c.hidden_features, 1)  # drawn first, so that the others change nothing; in its place below
        self.fc_atomwise = _head(c.hidden_features, c.atomwise_output_features)
        self.fc_additional_output = _head(c.hidden_features, c.additional_output_features)
        self.fc = energy
        self.energy_scale = (
            None
            if energy_scale is None
            else nn.Parameter(torch.tensor(list(energy_scale), dtype=torch.get_default_dtype()))
        )
        places = torch.zeros(len(self.features), dtype=torch.int64)
        places[[SYMBOLS.index(symbol) for symbol in elements]] = torch.arange(len(self.elements))
        self.register_buffer("places", places, persistent=False)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        numbers, isolated = graph.numbers, None
        if self.sound:
            # One isolated atom of each element present rides along: what the network says of it is subtracted.
            present, isolated = graph.numbers.unique(return_inverse=True)
            numbers = torch.cat([numbers, present])
        nodes = self._nodes(numbers, graph, vectors)
        raw = self.fc(nodes).squeeze(1)
        atoms = len(graph.numbers)
        energy = raw if isolated is None else raw[:atoms] - raw[atoms:][isolated]
        if self.energy_scale is not None:
            energy = self.energy_scale[self.places[graph.numbers]] * energy
        return heads(energy, nodes[:atoms], (self.fc_atomwise, self.fc_additional_output))

    @property
    def config(self) -> dict[str, Any]:
        scale = None if self.energy_scale is None else self.energy_scale.detach().tolist()
        return {
            "name": self.name,
            "elements": list(self.elements),
            "energy_scale": scale,
            **self.settings.model_dump(),
        }

    def restricted(self, elements: Sequence[str]) -> AlignnNetwork:
        """The same network with the same weights for some of its elements, in the order given."""
        state = self.state_dict()
        if self.energy_scale is not None:
            state["energy_scale"] = self.energy_scale.detach()[[self.elements.index(e) for e in elements]]
        network = type(self)(elements, state.get("energy_scale"), **self.settings.model_dump())
        network.to(self.dtype).load_state_dict(state)
        return network


def _head(inputs: int, outputs: int) -> nn.Linear | None:
    return nn.Linear(inputs, outputs) if outputs else None
