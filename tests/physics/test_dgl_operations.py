"""What a potential is held to, by DGL's sums; in a few seconds, where DGL is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from ase import Atoms

from alignn_ff import testing
from alignn_ff.models import Potential, ops, ops_dgl
from tests.conftest import random_potential
from tests.structures import SMALL
from tests.tolerances import FLOAT64

CONFIGS = ("atomwise", "atomwise_cutoff_function", "atomwise_node_attention", "atomwise_self_attention")
each_potential = pytest.mark.parametrize("config", CONFIGS)


@pytest.fixture(autouse=True)
def by_dgl(with_dgl, monkeypatch) -> Iterator[None]:
    """Each test must have summed by DGL, and by nothing else."""
    made: list[ops.Links] = []
    original = ops_dgl.link
    monkeypatch.setattr(ops_dgl, "link", lambda *asked: made.append(original(*asked)) or made[-1])
    yield
    assert made and all(isinstance(links, ops_dgl.DglLinks) for links in made)


def potential(config: str) -> Potential:
    return random_potential(config, composed=True)


@each_potential
def test_forces_and_stress_are_derivatives_of_the_energy(config):
    for name in ("alloy", "slab"):
        testing.check_forces(potential(config), SMALL[name](), limits=FLOAT64)
        testing.check_stress(potential(config), SMALL[name](), limits=FLOAT64)


@each_potential
def test_batch_equals_single(config):
    testing.check_batch(potential(config), [make() for make in SMALL.values()], limits=FLOAT64)


@each_potential
def test_nothing_jumps_at_a_cutoff(config):
    one = potential(config)
    for distance in (one.cutoff, one.angle_cutoff):
        testing.check_smooth(one, SMALL["alloy"](), distance, limits=FLOAT64)


def test_symmetries_and_supercells():
    for name in ("alloy", "free_molecule", "unwrapped"):
        one, atoms = potential("atomwise"), SMALL[name]()
        testing.check_net_force(one, atoms, limits=FLOAT64)
        testing.check_rotation(one, atoms, improper=True, limits=FLOAT64)
        testing.check_permutation(one, atoms, limits=FLOAT64)
        testing.check_lattice_shift(one, atoms, limits=FLOAT64)
        testing.check_supercell(one, atoms, limits=FLOAT64)


def test_a_structure_without_edges_beside_one_with_edges():
    found = testing.predict(potential("atomwise"), [Atoms("Cu"), SMALL["alloy"]()])
    assert bool(torch.isfinite(found.forces).all()) and not found.forces[0].any()
