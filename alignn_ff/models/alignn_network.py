"""What the published ALIGNN force fields have in common beyond their graph and convolutions: their energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph, structure_means
from alignn_ff.models.alignn_atomwise_config import NetworkConfig, reach
from alignn_ff.models.alignn_readout import AlignnReadout
from alignn_ff.models.base import SYMBOLS, Heads, Potential, heads
from alignn_ff.models.further_outputs import output_names


class AlignnNetwork(AlignnReadout, Potential):
    """ALIGNN force field: per-atom energies from distances and angles between consecutive edges.

    E_i = fc(x_i): upstream's mean over atoms, a linear layer and a factor of N, in another order. In sound mode
    E_i = s(Z_i) (fc(x_i) - fc(x of an isolated atom of the same element)). Values of atoms and of structures beside it
    are linear in x_i and in the mean of x_i; they have no zero at isolated atoms.

    Extra features are told of a structure as a whole and do not grow with it: a temperature of the electrons, an outer
    field. Upstream's readout of them f([mean x, e]) is not linear, so that its energy is no sum over atoms: in legacy
    mode each atom has an equal share of N f, and feels all the others. In sound mode every atom reads them for itself,
    E_i = s(Z_i) (f([x_i, e]) - f([x of an isolated atom of the same element, e])): for given e the energy is extensive,
    fragments told the same add, and an isolated atom has its reference energy whatever e is. Forces are the gradient
    at constant e. Other values are read off x_i alone, as upstream does.
    Sources: Choudhary et al., Digital Discovery 2, 346 (2023); Gong et al., arXiv:2208.05039 (extra features).

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
        c = self.settings
        self.receptive_field = reach(c)
        if not self.sound:
            self.claims = frozenset()
            if c.extra_features:
                self.receptive_field = math.inf  # the readout is of the mean over all atoms
        self.atomwise_names, self.additional_names = output_names(c)
        last = self._add_readout(1)  # drawn before the others, so that these change nothing
        self.fc_atomwise = _head(c.hidden_features, c.atomwise_output_features)
        self.fc_additional_output = _head(c.hidden_features, c.additional_output_features)
        if not c.extra_features:
            del self.fc  # it comes after those in the published state dict
            self.fc = last
        self.energy_scale = (
            None
            if energy_scale is None
            else nn.Parameter(torch.tensor(list(energy_scale), dtype=torch.get_default_dtype()))
        )
        places = torch.zeros(len(self.features), dtype=torch.int64)
        places[[SYMBOLS.index(symbol) for symbol in elements]] = torch.arange(len(self.elements))
        self.register_buffer("places", places, persistent=False)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        energy, nodes = self._sound(graph, vectors) if self.sound else self._legacy(graph, vectors)
        if self.energy_scale is not None:
            energy = self.energy_scale[self.places[graph.numbers]] * energy
        return heads(energy, nodes, (self.fc_atomwise, self.fc_additional_output))

    def _sound(self, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Energies [N] before their scale, and features of atoms [N, F]."""
        told = self._told(graph)
        owner = graph.graph_index if told is not None else torch.zeros_like(graph.numbers)
        # One isolated atom of each element present, and told each thing that is told of one, rides along: what the
        # network says of it is subtracted.
        present, isolated = (graph.numbers + len(SYMBOLS) * owner).unique(return_inverse=True)
        nodes = self._nodes(torch.cat([graph.numbers, present % len(SYMBOLS)]), graph, vectors)
        owner = torch.cat([owner, present // len(SYMBOLS)])
        raw = self._read(nodes, None if told is None else told[owner]).squeeze(1)
        atoms = len(graph.numbers)
        return raw[:atoms] - raw[atoms:][isolated], nodes[:atoms]

    def _legacy(self, graph: AtomGraph, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The same as published."""
        told, nodes = self._told(graph), self._nodes(graph.numbers, graph, vectors)
        if told is None:
            return self._read(nodes, None).squeeze(1), nodes
        return self._read(structure_means(nodes, graph), told).squeeze(1)[graph.graph_index], nodes

    def calibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        self.standardize_extra_features(graph.extra_features)

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
