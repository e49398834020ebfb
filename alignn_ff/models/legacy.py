"""What upstream adds to the published models around their networks, each quirk a potential of its own.

Upstream's forces are not always the gradient of the energy it returns. `value_with_gradient` expresses that: a number
with one value and the gradient of another. Only published weights need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph, atom_counts
from alignn_ff.models.base import Heads, Potential
from alignn_ff.models.layers.cutoff import polynomial_envelope

_SCREENING = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
_SCREENING_LENGTH_A = 0.46850
_COULOMB_EV_A = 14.399645
"""Upstream's constants of the ZBL repulsion, as it rounds them."""


def value_with_gradient(value: Tensor, felt: Tensor) -> Tensor:
    """The numbers of `value` with the gradient of `felt`."""
    return value.detach() + (felt - felt.detach())


class LegacyPenalty(Potential):
    """Repulsion factor·(threshold - d) of every directed edge shorter than `threshold`, felt and seldom told.

    Upstream differentiates it with the energy and mostly leaves it out of the energy it returns.

    Args:
        elements: symbols.
        factor: eV/Å.
        threshold: Å.
        envelope: radius (Å) and exponent of the cutoff function that upstream puts in the place of d here, where its
            DGL model puts it in the place of the distance; none for the distance itself.
        told: "never"; "once", as upstream's smooth model does; "times_atoms", N times over for N atoms, as its DGL
            model does without `energy_mult_natoms`.
    """

    name = "legacy_penalty"

    def __init__(
        self,
        elements: Sequence[str],
        factor: float,
        threshold: float,
        envelope: Sequence[float] | None = None,
        told: Literal["never", "once", "times_atoms"] = "never",
    ) -> None:
        super().__init__()
        self.elements = tuple(elements)
        self.factor, self.threshold, self.told = factor, threshold, told
        self.envelope = None if envelope is None else (float(envelope[0]), int(envelope[1]))
        self.cutoff = self.receptive_field = threshold if self.envelope is None else self.envelope[0]
        self.claims = frozenset()

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        length = vectors.norm(dim=1)
        if self.envelope is not None:
            radius, exponent = self.envelope
            length = polynomial_envelope(length / radius, exponent)
        edge = self.factor * (self.threshold - length).clamp(min=0.0)
        energy = edge.new_zeros(len(graph.numbers)).index_add(0, graph.edge_dst, edge)
        if self.told == "once":
            return Heads(energy=energy)
        times = atom_counts(graph)[graph.graph_index] if self.told == "times_atoms" else 0
        return Heads(energy=value_with_gradient(times * energy, energy))

    @property
    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "elements": list(self.elements),
            "factor": self.factor,
            "threshold": self.threshold,
            "envelope": None if self.envelope is None else list(self.envelope),
            "told": self.told,
        }


class LegacyZBL(Potential):
    """Screened nuclear repulsion with one cutoff for all pairs, by upstream's constants.

    E_pair = k Z_i Z_j / d φ(d/a) f(d/cutoff), a = 0.4685 Å/(Z_i^0.23 + Z_j^0.23), f the polynomial envelope of
    exponent 4 (Ziegler, Biersack, Littmark, "The Stopping and Range of Ions in Solids", 1985).

    Args:
        elements: symbols.
        cutoff: Å.
    """

    name = "legacy_zbl"

    def __init__(self, elements: Sequence[str], cutoff: float) -> None:
        super().__init__()
        self.elements = tuple(elements)
        self.cutoff = self.receptive_field = cutoff

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        energy = vectors.new_zeros(len(graph.numbers))
        near = torch.nonzero(vectors.detach().norm(dim=1) < self.cutoff).squeeze(1)
        distance = vectors[near].norm(dim=1)
        first, second = (graph.numbers[ends[near]].to(vectors.dtype) for ends in (graph.edge_src, graph.edge_dst))
        reduced = distance * (first**0.23 + second**0.23) / _SCREENING_LENGTH_A
        screening = sum(weight * torch.exp(-decay * reduced) for weight, decay in _SCREENING)
        pair = _COULOMB_EV_A * first * second / distance * screening * polynomial_envelope(distance / self.cutoff, 4)
        return Heads(energy=energy.index_add(0, graph.edge_dst[near], 0.5 * pair))

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "elements": list(self.elements), "cutoff": self.cutoff}


class LegacyGradient(Potential):
    """Another potential whose forces and stress are multiplied by factor · N^power, N the atoms of the structure.

    Upstream's `grad_multiplier` (factor, with its sign turned), `force_mult_natoms` (power 1) and the absence of
    `energy_mult_natoms` (power -1).

    Args:
        potential: its config.
        factor: of the gradient.
        power: of the number of atoms, -1, 0 or 1.
    """

    name = "legacy_gradient"

    def __init__(self, potential: dict[str, Any], factor: float = 1.0, power: int = 0) -> None:
        super().__init__()
        from alignn_ff.models import build  # here: the table of models names this class

        self.inner = build(potential)
        self.factor, self.power = factor, power
        same = ("elements", "cutoff", "angle_cutoff", "topology", "receptive_field", "atomwise_names")
        for attribute in (*same, "additional_names", "extra_features"):
            setattr(self, attribute, getattr(self.inner, attribute))
        self.claims = frozenset()

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        inner = self.inner(graph, vectors)
        energy = inner.energy
        atoms = atom_counts(graph)[graph.graph_index].to(energy.dtype)
        return inner._replace(energy=value_with_gradient(energy, self.factor * atoms**self.power * energy))

    @property
    def config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "potential": self.inner.config,
            "factor": self.factor,
            "power": self.power,
        }
