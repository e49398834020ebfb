"""The flagship: ALIGNN's gated messages and bond angles, smooth in every coordinate, at a cost linear in edges."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import SYMBOLS, Heads, Potential, element_index, heads
from alignn_ff.models.elements import COVALENT_RADII, descriptors
from alignn_ff.models.further_outputs import FurtherOutputs, output_names
from alignn_ff.models.growth import behind_blocks, enlarged
from alignn_ff.models.layers.density import Density
from alignn_ff.models.layers.gated_conv import GatedConvolution
from alignn_ff.models.layers.harmonics import spherical_harmonics
from alignn_ff.models.layers.line_graph import LineGraph
from alignn_ff.models.layers.mlp import Standardize, first_layer, mlp, readout
from alignn_ff.models.layers.radial import BesselBasis, BondBasis
from alignn_ff.models.ops import Spokes, slots, spokes, to_table
from alignn_ff.schema import parse

GROWING = ("gcn_layers", "hidden_features", "density_channels", "message_features")
"""Sizes that `AlignnSmooth.grown` can raise."""


class AlignnSmoothConfig(FurtherOutputs):
    """Sizes and choices of `alignn_smooth`; docs/adr/002 says what was measured."""

    cutoff: float = Field(default=5.0, gt=0, description="Å; every neighbour up to here counts")
    hidden_features: int = Field(default=64, ge=1, description="numbers that describe an atom")
    gcn_layers: int = Field(default=1, ge=1, description="rounds of densities and messages")
    arrangement: Literal["sequence", "parallel"] = Field(
        default="sequence",
        description="messages carry what the densities found (2 cutoffs a layer), or both start from the same atoms",
    )
    density_channels: int = Field(default=16, ge=1)
    max_degree: int = Field(default=3, ge=0, le=3, description="largest angular momentum of the densities")
    body_order: Literal[3, 4, 5] = Field(default=4, description="atoms an angular invariant couples")
    message_features: int = Field(default=32, ge=0, description="width of a message; 0 leaves the convolution out")
    gate: bool = Field(default=False, description="multiply messages by a sigmoid gate of both atoms and the edge")
    radial_functions: int = Field(default=6, ge=1, description="fewer are smoother, and generalised better")
    bond_functions: int = Field(
        default=0, ge=0, description="more radial functions, of the distance over the sum of both atoms' radii; not 1"
    )
    envelope_exponent: int = Field(default=6, ge=3)
    line_graph_layers: int = Field(default=0, ge=0, description="gated convolutions on pairs of edges")
    line_graph_cutoff: float = Field(default=3.5, gt=0, description="Å; longest edge of the line graph")

    @model_validator(mode="after")
    def _consistent(self) -> AlignnSmoothConfig:
        if self.body_order > 3 and self.max_degree < 2:
            raise ValueError("body_order above 3 couples densities of l = 1 and 2; it needs max_degree of 2 or 3")
        if self.bond_functions == 1:
            raise ValueError(
                "bond_functions must be 0 or at least 2: one Gaussian has no neighbour to take its width from"
            )
        if self.line_graph_layers and self.line_graph_cutoff > self.cutoff:
            raise ValueError("line_graph_cutoff must not exceed cutoff")
        return self


class _Edges(NamedTuple):
    """Edges as the layers see them, in the tables of their receivers: senders and bases, Y_lm [P, S]."""

    spokes: Spokes
    harmonics: Tensor


class _Layer(nn.Module):
    """One round: angular densities update the atoms, then atoms send messages."""

    def __init__(self, c: AlignnSmoothConfig) -> None:
        super().__init__()
        f, k = c.hidden_features, c.radial_functions + c.bond_functions
        self.parallel = c.arrangement == "parallel"
        self.density = Density(f, k, c.density_channels, c.max_degree, c.body_order)
        self.standardize = Standardize(self.density.outputs)
        # The centre's own features go in too, so that its element weighs the angles it sees.
        self.angular = mlp(self.density.outputs + f, f, f)
        self.conv = GatedConvolution(f, k, c.message_features, gate=c.gate) if c.message_features else None

    def begin_as_identity(self) -> None:
        """Make every step of this round zero; its gradients are not."""
        last = [self.angular[-1], *((self.conv.own, self.conv.out) if self.conv else ())]
        for parameter in (parameter for layer in last for parameter in layer.parameters()):
            nn.init.zeros_(parameter)

    def renew(self, invariants: Tensor) -> None:
        """Standardise invariants [N, outputs] by new constants; the weights after them make up for it."""
        self.standardize.renew_before(first_layer(self.angular), invariants)

    def forward(self, nodes: Tensor, e: _Edges) -> Tensor:
        invariants = self.density(nodes, e.spokes, e.harmonics)
        after = nodes + self.angular(torch.cat([self.standardize(invariants), nodes], dim=1))
        if self.conv is None:
            return after
        return after + self.conv(nodes if self.parallel else after, e.spokes)


def _reach(c: AlignnSmoothConfig) -> float:
    """Receptive field, Å: how far messages of messages carry."""
    steps = 1 if c.arrangement == "parallel" or not c.message_features else 2
    # Angles pair edges into one atom, so line graph layers, however many, hear of that atom's neighbours alone.
    return c.gcn_layers * steps * c.cutoff + (c.line_graph_cutoff if c.line_graph_layers else 0.0)


class AlignnSmooth(Potential):
    """Gated density network: per-atom energies from distances and angles, with two continuous derivatives.

    E_i = s(Z_i) (network_i - network of an isolated atom of the same element): no residual without neighbours.
    Source of the form and its measurements: docs/adr/002-alignn-smooth.md; densities after Drautz, Phys. Rev. B 99,
    014104 (2019); gated convolution after Choudhary and DeCost, npj Comput. Mater. 7, 185 (2021).

    Args:
        elements: symbols.
        energy_scale: first value of the learnt scale s of each element, eV.
        **fields: see `AlignnSmoothConfig`.
    """

    name = "alignn_smooth"
    index: Tensor
    Config = AlignnSmoothConfig

    def __init__(self, elements: Sequence[str], energy_scale: Sequence[float], **fields: Any) -> None:
        super().__init__()
        self.settings = c = parse(AlignnSmoothConfig, fields, "model alignn_smooth")
        self.elements = tuple(elements)
        self.cutoff = c.cutoff
        self.angle_cutoff = c.line_graph_cutoff if c.line_graph_layers else None
        self.receptive_field = _reach(c)
        self.register_buffer("index", element_index(elements), persistent=False)
        self.energy_scale = nn.Parameter(torch.tensor(list(energy_scale), dtype=torch.get_default_dtype()))
        numbers = [SYMBOLS.index(symbol) for symbol in elements]
        self.embedding = nn.Embedding.from_pretrained(first_embedding(numbers, c.hidden_features), freeze=False)
        self.basis = BesselBasis(c.cutoff, c.radial_functions, c.envelope_exponent)
        self.bonds = BondBasis([COVALENT_RADII[z - 1] for z in numbers], c.bond_functions) if c.bond_functions else None
        self.line_graph = (
            LineGraph(c.hidden_features, c.line_graph_layers, c.line_graph_cutoff, c.envelope_exponent)
            if c.line_graph_layers
            else None
        )
        self.layers = nn.ModuleList([_Layer(c) for _ in range(c.gcn_layers)])
        self.readout = mlp(c.hidden_features, c.hidden_features, 1)
        self.atomwise_names, self.additional_names = output_names(c)
        self.atomwise_readout = readout(c.hidden_features, c.atomwise_output_features)
        self.additional_readout = readout(c.hidden_features, c.additional_output_features)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        n_atoms = len(graph.numbers)
        element = self.index[graph.numbers]
        # One isolated atom of each element present rides along: what the network says of it is subtracted.
        present, isolated = element.unique(return_inverse=True)
        nodes = self.embedding(torch.cat([element, present]))  # [N + elements present, F]
        edges = self._edges(graph, vectors, element, len(nodes))
        if self.line_graph is not None:
            nodes = nodes + self.line_graph(nodes, graph, vectors)
        for layer in self.layers:
            nodes = layer(nodes, edges)
        raw = self.readout(nodes).squeeze(1)
        residual = raw[:n_atoms] - raw[n_atoms:][isolated]
        energy = self.energy_scale[element] * residual
        return heads(energy, nodes[:n_atoms], (self.atomwise_readout, self.additional_readout))

    @torch.no_grad()
    def calibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        observers = [module for module in self.modules() if isinstance(module, Standardize)]
        for module in observers:
            module.observing = True
        self(graph, vectors)
        for module in observers:
            module.observing = False

    @torch.no_grad()
    def recalibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        self.calibrate(graph, vectors)  # of what `grown` has added
        # Weights grow in training, and with them the features, until steps that were small no longer are.
        seen: dict[nn.Module, Tensor] = {}
        observers = [module for module in self.modules() if isinstance(module, Standardize)]
        hooks = [m.register_forward_pre_hook(lambda module, args: seen.update({module: args[0]})) for m in observers]
        self(graph, vectors)
        for hook in hooks:
            hook.remove()
        for module in self.modules():
            if isinstance(module, (_Layer, GatedConvolution, LineGraph)):
                module.renew(seen[module.standardize])

    @property
    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "elements": list(self.elements),
            "energy_scale": self.energy_scale.detach().tolist(),
            **self.settings.model_dump(),
        }

    @torch.no_grad()
    def restricted(self, elements: Sequence[str]) -> AlignnSmooth:
        """The same network with the same weights for some of its elements, in the order given."""
        rows = torch.tensor([self.elements.index(element) for element in elements])
        state = self.state_dict()
        for name in ("energy_scale", "embedding.weight", "bonds.radius"):
            if name in state:
                state[name] = state[name][rows]
        network = AlignnSmooth(elements, state["energy_scale"].tolist(), **self.settings.model_dump())
        network.to(self.dtype).load_state_dict(state)
        return network

    @torch.no_grad()
    def grown(self, **sizes: int) -> AlignnSmooth:
        """The same function as a larger network: what is added changes nothing at first, and can learn.

        Args:
            **sizes: of `GROWING`, none smaller than it is.
        """
        settings = {**self.settings.model_dump(), **sizes}
        network = AlignnSmooth(self.elements, self.energy_scale.tolist(), **settings).to(self.dtype)
        for layer in list(network.layers)[len(self.layers) :]:
            assert isinstance(layer, _Layer)
            layer.begin_as_identity()
        state = network.state_dict()
        for name, learnt in self.state_dict().items():
            state[name] = enlarged(name, learnt, state[name], self._places(name, network))
        network.load_state_dict(state)
        return network

    def _places(self, name: str, larger: AlignnSmooth) -> Tensor | None:
        """Where the inputs of a parameter or buffer stand in that of a larger network; None for in front."""
        layer, before, after = self.layers[0], self.settings.density_channels, larger.settings.density_channels
        assert isinstance(layer, _Layer)
        kinds = layer.density.outputs // before
        if name.endswith(".angular.0.weight"):  # invariants, then the features of the centre
            features = kinds * after + torch.arange(self.settings.hidden_features)
            return torch.cat([behind_blocks(kinds, before, after), features])
        of_invariants = re.fullmatch(r"layers\.\d+\.standardize\..*", name)
        return behind_blocks(kinds, before, after) if of_invariants else None

    def _edges(self, graph: AtomGraph, vectors: Tensor, element: Tensor, rows: int) -> _Edges:
        distance = vectors.norm(dim=1, keepdim=True)
        harmonics = spherical_harmonics(vectors / distance, self.settings.max_degree)
        basis, envelope = self.basis(distance)
        if self.bonds is not None:
            bonds = self.bonds(distance, element[graph.edge_src], element[graph.edge_dst])
            basis = torch.cat([basis, envelope * bonds], dim=1)
        where = slots(graph.edge_dst, rows)
        return _Edges(spokes(graph.edge_src, basis, envelope, where), to_table(harmonics, where))


def first_embedding(numbers: Sequence[int], features: int) -> Tensor:
    """Features [elements, F] to start from, of unit variance: four fifths of it a random map of the descriptors.

    Elements of close chemistry start close, so that what is learnt on one serves the other from the first step.
    """
    known = descriptors(numbers)
    mapped = known @ torch.randn(known.shape[1], features) / math.sqrt(known.shape[1])
    return math.sqrt(0.8) * mapped + math.sqrt(0.2) * torch.randn(len(numbers), features)
