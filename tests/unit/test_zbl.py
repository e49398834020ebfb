"""The repulsive core against the published formula."""

from __future__ import annotations

import math

import pytest
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from alignn_ff.models import build
from alignn_ff.models.base import SYMBOLS
from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.zbl import COVALENT_RADII
from alignn_ff.testing import check_smooth, predict
from tests.tolerances import FLOAT64

ELEMENTS = ["H", "O", "Cu", "U"]


def dimer(one: str, other: str, distance: float) -> Atoms:
    return Atoms([one, other], positions=[[0, 0, 0], [0.6 * distance, 0, 0.8 * distance]])


def energy(one: str, other: str, distance: float, **fields) -> float:
    potential = build({"name": "zbl", "elements": ELEMENTS, **fields})
    return float(predict(potential, [dimer(one, other, distance)]).energy)


def published(one: str, other: str, distance: float) -> float:
    """Ziegler, Biersack, Littmark 1985, in eV and Å, constants as in LAMMPS' manual of pair_style zbl."""
    z1, z2 = atomic_numbers[one], atomic_numbers[other]
    x = distance * (z1**0.23 + z2**0.23) / 0.46850
    screening = (
        0.02817 * math.exp(-0.20162 * x)
        + 0.28022 * math.exp(-0.40290 * x)
        + 0.50986 * math.exp(-0.94229 * x)
        + 0.18175 * math.exp(-3.19980 * x)
    )
    return 14.399645 * z1 * z2 / distance * screening


@pytest.mark.parametrize(("one", "other"), [("H", "H"), ("H", "O"), ("O", "Cu"), ("Cu", "Cu"), ("Cu", "U")])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_pair_energy_is_the_published_one_under_the_envelope(one, other, share):
    end = 0.8 * (covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])
    envelope = float(polynomial_envelope(torch.tensor(share, dtype=torch.float64)))
    expected = published(one, other, share * end) * envelope
    assert energy(one, other, share * end) == pytest.approx(expected, rel=1e-3)  # LAMMPS rounds the length


@pytest.mark.parametrize(("one", "other"), [("H", "O"), ("Cu", "Cu"), ("H", "U")])
def test_nothing_is_left_beyond_its_end(one, other):
    end = 0.8 * (covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])
    assert energy(one, other, end + 1e-6) == 0.0
    assert energy(one, other, 0.95 * end) > 0.0
    assert energy(one, other, 0.95 * end, fraction=0.7) == 0.0


def test_typical_bonds_feel_nothing():
    assert energy("Cu", "Cu", 2.4) == energy("H", "O", 0.94) == energy("H", "H", 0.74) == 0.0


@pytest.mark.parametrize(("one", "other"), [("H", "O"), ("Cu", "Cu"), ("Cu", "U")])
def test_it_ends_with_two_continuous_derivatives(one, other):
    potential = build({"name": "zbl", "elements": ELEMENTS})
    end = 0.8 * (covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])
    check_smooth(potential, dimer(one, other, end), end, limits=FLOAT64)
    force = [float(predict(potential, [dimer(one, other, end - gap)]).forces.abs().max()) for gap in (1e-3, 2e-3)]
    assert force[1] / force[0] == pytest.approx(4.0, rel=0.05), "the force must end like a square"


def test_radii_are_those_of_the_table_in_ase():
    assert pytest.approx(covalent_radii[1:97].tolist()) == COVALENT_RADII


def test_symbols_are_those_of_ase():
    assert all(atomic_numbers[symbol] == z for z, symbol in enumerate(SYMBOLS))
    assert len(SYMBOLS) == 119
