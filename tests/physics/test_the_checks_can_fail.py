"""Deliberately broken potentials, each of which the matching check of the conformance kit must catch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ase import Atoms
from torch import Tensor

from alignn_ff import models, testing
from alignn_ff.graph import AtomGraph
from alignn_ff.models import Heads, Potential
from alignn_ff.models.layers.cutoff import polynomial_envelope
from tests.structures import ELEMENTS, SMALL
from tests.tolerances import FLOAT64

PAIR = Atoms("CuNi", positions=[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
CLUSTER = Atoms("Cu5", positions=[[0, 0, 0], [2.1, 0, 0.3], [4.0, 0.5, 0], [6.1, 0, 0.2], [8.0, 0.4, 0]])


class Pairs(Potential):
    """A sound pair potential; the broken ones below each change one thing."""

    name = "pairs"

    def __init__(self) -> None:
        super().__init__()
        self.elements = ELEMENTS
        self.cutoff = self.receptive_field = 3.6
        self.strength = torch.nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        energy = self.pair(vectors, graph) * self.strength
        return Heads(energy=energy.new_zeros(len(graph.numbers)).index_add(0, graph.edge_dst, energy))

    def pair(self, vectors: Tensor, graph: AtomGraph) -> Tensor:
        distance = vectors.norm(dim=1)
        return torch.exp(-distance) * polynomial_envelope(distance / self.cutoff)

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name}


class HardCutoff(Pairs):
    def pair(self, vectors, graph):
        return torch.exp(-vectors.norm(dim=1))


class KinkAtCutoff(Pairs):
    """The energy is continuous, the force is not."""

    def pair(self, vectors, graph):
        distance = vectors.norm(dim=1)
        return torch.exp(-distance) * (1 - distance / self.cutoff).clamp(min=0)


class NonConservative(Pairs):
    def pair(self, vectors, graph):
        return super().pair(vectors, graph) * super().pair(vectors.detach(), graph)


class Directional(Pairs):
    def pair(self, vectors, graph):
        return super().pair(vectors, graph) * (1 + vectors[:, 0] ** 2)


class Chiral(Pairs):
    """Unchanged by rotations, not by reflections."""

    def forward(self, graph, vectors):
        distance = vectors.norm(dim=1, keepdim=True)
        weights = polynomial_envelope(distance / self.cutoff) * torch.exp(-distance * torch.arange(3))  # [E, 3]
        moments = vectors.new_zeros(len(graph.numbers), 3, 3)
        moments = moments.index_add(0, graph.edge_dst, weights[:, :, None] * vectors[:, None, :])
        return Heads(energy=self.strength * torch.linalg.det(moments))


class Anchored(Pairs):
    """Looks at absolute positions, so forces miss a part and neither translations nor images are equal."""

    def forward(self, graph, vectors):
        return Heads(energy=super().forward(graph, vectors).energy + 0.01 * graph.positions.sum(1).sin())


class Numbered(Pairs):
    def forward(self, graph, vectors):
        energy = super().forward(graph, vectors).energy
        return Heads(energy=energy * torch.arange(1, len(energy) + 1))


class NotExtensive(Pairs):
    def forward(self, graph, vectors):
        return Heads(energy=super().forward(graph, vectors).energy / len(graph.numbers))


class BatchNormed(Pairs):
    def forward(self, graph, vectors):
        energy = super().forward(graph, vectors).energy
        return Heads(energy=energy - energy.mean().detach())


class Nearsighted(Pairs):
    """Reaches farther than it says."""

    def __init__(self) -> None:
        super().__init__()
        self.receptive_field = 1.0


class OffsetIsolated(Pairs):
    def forward(self, graph, vectors):
        return Heads(energy=super().forward(graph, vectors).energy + 1e-6)


class Coarse(Pairs):
    """Loses digits in float32."""

    def pair(self, vectors, graph):
        large = 1e6 * torch.ones((), dtype=vectors.dtype)
        return (super().pair(vectors, graph) + large) - large


class Forgetful(Pairs):
    """A weight that no file keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = torch.rand((), dtype=torch.float64)

    def pair(self, vectors, graph):
        return super().pair(vectors, graph) * self.extra


CASES = [
    (HardCutoff, lambda p: testing.check_smooth(p, PAIR, p.cutoff, limits=FLOAT64), "energy jump"),
    (
        HardCutoff,
        lambda p: testing.check_smooth(p, SMALL["alloy"](), p.cutoff, limits=FLOAT64),
        "energy jump",
    ),
    (KinkAtCutoff, lambda p: testing.check_smooth(p, PAIR, p.cutoff, limits=FLOAT64), "force jump"),
    (NonConservative, lambda p: testing.check_forces(p, SMALL["alloy"](), limits=FLOAT64), "forces against"),
    (NonConservative, lambda p: testing.check_stress(p, SMALL["alloy"](), limits=FLOAT64), "stress against"),
    (Directional, lambda p: testing.check_rotation(p, SMALL["alloy"](), limits=FLOAT64), "rotation"),
    (Directional, lambda p: testing.check_net_force(p, CLUSTER, limits=FLOAT64), "net torque"),
    (
        Chiral,
        lambda p: testing.check_rotation(p, SMALL["alloy"](), improper=True, limits=FLOAT64),
        "reflection",
    ),
    (Anchored, lambda p: testing.check_translation(p, SMALL["alloy"](), limits=FLOAT64), "translation"),
    (Anchored, lambda p: testing.check_lattice_shift(p, SMALL["alloy"](), limits=FLOAT64), "lattice shift"),
    (Anchored, lambda p: testing.check_forces(p, SMALL["free_molecule"](), limits=FLOAT64), "forces against"),
    (Numbered, lambda p: testing.check_permutation(p, SMALL["alloy"](), limits=FLOAT64), "permutation"),
    (NotExtensive, lambda p: testing.check_supercell(p, SMALL["alloy"](), limits=FLOAT64), "supercell"),
    (NotExtensive, lambda p: testing.check_fragments(p, PAIR, CLUSTER, limits=FLOAT64), "far fragments"),
    (BatchNormed, lambda p: testing.check_batch(p, [PAIR, SMALL["alloy"]()], limits=FLOAT64), "batch"),
    (Nearsighted, lambda p: testing.check_receptive_field(p, CLUSTER, limits=FLOAT64), "receptive field"),
    (OffsetIsolated, lambda p: testing.check_isolated_atoms(p, {"Cu": 0.0}, limits=FLOAT64), "isolated"),
    (Coarse, lambda p: testing.check_precision(p, SMALL["alloy"](), limits=FLOAT64), "float32"),
]


@pytest.mark.parametrize(("broken", "check", "said"), CASES, ids=lambda value: getattr(value, "__name__", None))
def test_broken_potential_is_caught(broken, check, said):
    check(Pairs())  # the sound one passes the very same check
    with pytest.raises(AssertionError, match=said):
        check(broken())


def test_weights_that_no_file_keeps_are_caught(monkeypatch, tmp_path):
    for kind in (Pairs, Forgetful):
        monkeypatch.setitem(models.MODELS, "pairs", f"{__name__}:{kind.__name__}")
        if kind is Pairs:
            testing.check_saved(kind().to(torch.float64), SMALL["alloy"](), tmp_path)
        else:
            with pytest.raises(AssertionError, match="changed by being saved"):
                testing.check_saved(kind().to(torch.float64), SMALL["alloy"](), tmp_path)


def test_chirality_is_no_matter_of_rotation():
    testing.check_rotation(Chiral(), SMALL["alloy"](), limits=FLOAT64)


@pytest.mark.parametrize("name", ["alloy", "free_molecule", "slab"])
def test_sound_potential_passes_every_check(name):
    errors = testing.check_all(Pairs(), SMALL[name](), limits=FLOAT64)
    assert len(errors) == 10
    assert errors["forces"] <= FLOAT64.derivative


def test_check_all_catches_what_its_parts_catch():
    with pytest.raises(AssertionError, match="finite differences"):
        testing.check_all(NonConservative(), SMALL["alloy"](), limits=FLOAT64)


def test_a_check_that_tests_nothing_says_so():
    with pytest.raises(AssertionError, match="no pair"):
        testing.check_smooth(Pairs(), Atoms("Cu"), 3.6, limits=FLOAT64)
    with pytest.raises(AssertionError, match="ends within"):
        testing.check_receptive_field(Pairs(), PAIR[:1], limits=FLOAT64)
