"""What the published ALIGNN force fields have in common: their graph, their convolutions, their energy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.graph import AtomGraph
from alignn_ff.models.alignn_atomwise_config import (
    NetworkConfig,
    reach,
    wanted_angle_cutoff,
    wanted_topology,
)
from alignn_ff.models.base import SYMBOLS, Heads, Potential
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.layers.edge_gated import (
    ALIGNNConvolution,
    EdgeGatedConvolution,
    Links,
    MLPLayer,
)
from alignn_ff.models.layers.features import WIDTHS, atom_features, last_element
from alignn_ff.models.ops import slots
from alignn_ff.schema import parse

_FLOOR = {"sound": 1.0, "legacy": 1e-6}
"""Floor of the sum of gates that messages are divided by."""


class AlignnNetwork(Potential):
    """ALIGNN force field: per-atom energies from distances and angles between consecutive edges.

    E_i = fc(x_i): upstream's mean over atoms, a linear layer and a factor of N, in another order. In sound mode
    E_i = s(Z_i) (fc(x_i) - fc(x of an isolated atom of the same element)), and the gates carry the envelope of every
    edge in them. The state dict of legacy mode has upstream's names, shapes and order.
    Source: Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021); Choudhary et al., Digital Discovery 2, 346 (2023).

    Concrete models say what turns distances and angles into features.

    Args:
        elements: symbols.
        energy_scale: first value of the learnt scale s of each element, eV; none for published weights, which have
            no such scale.
        **fields: see the `Config` of the concrete model.
    """

    Config: ClassVar[type[NetworkConfig]]
    settings: NetworkConfig
    exponent: int
    features: Tensor
    places: Tensor

    def __init__(self, elements: Sequence[str], energy_scale: Sequence[float] | None = None, **fields: Any) -> None:
        super().__init__()
        self.settings = c = parse(self.Config, fields, f"model {self.name}")
        self.elements = tuple(elements)
        _check_features(self.elements, c.atom_features)
        self.cutoff = c.cutoff
        self.angle_cutoff = wanted_angle_cutoff(c)
        self.topology = wanted_topology(c)
        self.receptive_field = reach(c)
        self.sound = c.mode == "sound"
        if not self.sound:
            self.claims = frozenset()
        self.register_buffer("features", atom_features(c.atom_features), persistent=False)
        width, floor = c.hidden_features, _FLOOR[c.mode]
        self.atom_embedding = MLPLayer(WIDTHS[c.atom_features], width)
        self._add_bases()
        self.alignn_layers = nn.ModuleList([ALIGNNConvolution(width, floor) for _ in range(c.alignn_layers)])
        self.gcn_layers = nn.ModuleList([EdgeGatedConvolution(width, floor) for _ in range(c.gcn_layers)])
        self.fc = nn.Linear(width, 1)
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
        raw = self.fc(self._nodes(numbers, graph, vectors)).squeeze(1)
        atoms = len(graph.numbers)
        energy = raw if isolated is None else raw[:atoms] - raw[atoms:][isolated]
        if self.energy_scale is not None:
            energy = self.energy_scale[self.places[graph.numbers]] * energy
        return Heads(energy=energy)

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

    def _nodes(self, numbers: Tensor, graph: AtomGraph, vectors: Tensor) -> Tensor:
        """Final features of atoms [N, F]; `numbers` may hold more atoms than the graph, which have no edges."""
        distance = vectors.norm(dim=1)
        weight = self._envelope(distance, self.cutoff) if self.sound else None
        bonds = Links(graph.edge_src, graph.edge_dst, slots(graph.edge_dst, len(numbers)), weight)
        nodes = self.atom_embedding(self.features[numbers])
        edges = self._edge_features(distance)
        if len(self.alignn_layers):
            chains, angles = self._angles(graph, vectors, distance)
            for layer in self.alignn_layers:
                nodes, edges, angles = layer(nodes, edges, angles, bonds, chains)
        for layer in self.gcn_layers:
            nodes, edges = layer(nodes, edges, bonds)
        return nodes

    @abstractmethod
    def _add_bases(self) -> None:
        """Add the modules of the two methods below, in the order of the published state dict."""

    @abstractmethod
    def _edge_features(self, distance: Tensor) -> Tensor:
        """First features of each edge [E, F], from distances, Å [E]."""

    @abstractmethod
    def _angle_features(self, cosine: Tensor) -> Tensor:
        """First features of each angle [T, F], from cosines [T]."""

    def _layers(self, inputs: int) -> list[MLPLayer]:
        """From a basis of `inputs` functions to features."""
        c = self.settings
        return [MLPLayer(inputs, c.embedding_features), MLPLayer(c.embedding_features, c.hidden_features)]

    def _angles(self, graph: AtomGraph, vectors: Tensor, distance: Tensor) -> tuple[Links, Tensor]:
        """Links of the line graph and features of its angles [T, F]; +1 is the cosine of the way back."""
        into, out = _chained(graph)
        if not self.settings.lg_on_fly:
            vectors, distance = vectors.detach(), distance.detach()
        unit = vectors / distance.unsqueeze(1)
        cosine = -(unit.index_select(0, into) * unit.index_select(0, out)).sum(1)
        weight = None
        if self.sound:
            near = self._envelope(distance, self.angle_cutoff or self.cutoff)
            weight = near.index_select(0, into) * near.index_select(0, out)
        return Links(into, out, slots(out, len(vectors)), weight), self._angle_features(cosine)

    def _envelope(self, distance: Tensor, cutoff: float) -> Tensor:
        """Weight of each edge [E, 1], zero at the cutoff."""
        return polynomial_envelope(distance / cutoff, self.exponent).unsqueeze(1)


def _check_features(elements: Sequence[str], name: str) -> None:
    strange = [e for e in elements if SYMBOLS.index(e) > last_element(name)]
    if strange:
        raise ConfigError(
            f"atom_features `{name}` end at {SYMBOLS[last_element(name)]}, and the elements hold {' '.join(strange)}. "
            "Choose other features or fewer elements."
        )


def _chained(graph: AtomGraph) -> tuple[Tensor, Tensor]:
    """The angles of a graph, once sure that one edge of each leads to where the other starts."""
    into, out = graph.angle_in, graph.angle_out
    if into is None or out is None or not torch.equal(graph.edge_dst[into], graph.edge_src[out]):
        raise StructureError(
            "the graph holds no pairs of consecutive edges, which this model needs; connect it with the potential's "
            "`wants`: connect(graph, **potential.wants)."
        )
    return into, out
