"""What the periodic table knows: places, and that neighbours in it are neighbours in the descriptors."""

from __future__ import annotations

import pytest
import torch
from ase.data import atomic_numbers, covalent_radii

from alignn_ff.models.alignn_smooth import first_embedding
from alignn_ff.models.base import SYMBOLS
from alignn_ff.models.elements import COVALENT_RADII, ELECTRONEGATIVITIES, descriptors, place


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("H", (1, 1, 0)),
        ("He", (1, 18, 0)),
        ("C", (2, 14, 0)),
        ("Sc", (4, 3, 0)),
        ("Xe", (5, 18, 0)),
        ("La", (6, 3, 1)),
        ("Yb", (6, 3, 14)),
        ("Hf", (6, 4, 0)),
        ("Pt", (6, 10, 0)),
        ("Th", (7, 3, 2)),
    ],
)
def test_places_in_the_periodic_table(symbol, expected):
    assert place(SYMBOLS.index(symbol)) == expected


def test_tables_cover_the_same_elements_and_the_radii_are_the_published_ones():
    assert len(COVALENT_RADII) == len(ELECTRONEGATIVITIES) == SYMBOLS.index("Cm")
    assert pytest.approx(list(covalent_radii[1:97])) == COVALENT_RADII
    assert max(ELECTRONEGATIVITIES) == ELECTRONEGATIVITIES[SYMBOLS.index("F") - 1] == 3.98


@pytest.mark.parametrize(
    ("symbol", "relatives"),
    [("Na", {"K", "Li", "Mg"}), ("O", {"N", "F", "S"}), ("Gd", {"Eu", "Tb"}), ("Pd", {"Pt", "Ni", "Ag"})],
)
def test_nearest_elements_are_chemical_relatives(symbol, relatives):
    every = descriptors(range(1, 97))
    order = torch.cdist(every, every)[atomic_numbers[symbol] - 1].argsort()
    nearest = {SYMBOLS[int(place) + 1] for place in order[1:5]}
    assert nearest & relatives


def test_relatives_start_with_similar_features_and_no_two_elements_with_the_same():
    torch.manual_seed(0)
    features = torch.nn.functional.normalize(first_embedding(range(1, 97), 128), dim=1)
    likeness = features @ features.T
    na, k, o = (SYMBOLS.index(s) - 1 for s in ("Na", "K", "O"))
    assert likeness[na, k] > likeness[na, o] + 0.3
    assert (likeness - 2 * torch.eye(96)).max() < 0.99
