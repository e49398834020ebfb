"""Prototypes of the distillation: the crystals their names promise."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from alignn_ff.distill.prototypes import PROTOTYPES, build_prototype

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:spglib")

COORDINATION = {
    "fcc": {"Cu": 12},
    "bcc": {"W": 8},
    "sc": {"Po": 6},
    "hcp": {"Mg": 12},
    "diamond": {"Si": 4},
    "arsenic": {"As": 3},
    "graphite": {"C": 3},
    "black-phosphorus": {"P": 3},
    "rocksalt": {"Na": 6, "Cl": 6},
    "caesium-chloride": {"Cs": 8, "Cl": 8},
    "zincblende": {"Zn": 4, "S": 4},
    "wurtzite": {"Zn": 4, "S": 4},
    "boron-nitride": {"B": 3, "N": 3},
    "litharge": {"O": 4, "Pb": 4},
    "fluorite": {"Ca": 8, "F": 4},
    "antifluorite": {"O": 8, "Na": 4},
    "rutile": {"Ti": 6, "O": 3},
    "anatase": {"Ti": 6, "O": 3},
    "quartz": {"Si": 4, "O": 2},
    "cadmium-iodide": {"Cd": 6, "I": 3},
    "cadmium-chloride": {"Cd": 6, "Cl": 3},
    "molybdenite": {"Mo": 6, "S": 3},
    "cuprite": {"O": 4, "Cu": 2},
    "copper3-gold": {"Au": 12, "Cu": 12},
    "rhenium-oxide": {"Re": 6, "O": 2},
    "corundum": {"Al": 6, "O": 4},
    "half-heusler": {"Ni": 8, "Ti": 4, "Sn": 4},
    "perovskite": {"Sr": 12, "Ti": 6, "O": 2},
    "delafossite": {"Cu": 2, "Fe": 6, "O": 4},
    "layered-oxide": {"Li": 6, "Co": 6, "O": 6},
    "chalcopyrite": {"Cu": 4, "Fe": 4, "S": 4},
    "spinel": {"Mg": 4, "Al": 6, "O": 4},
    "calcite": {"Ca": 6, "C": 3},
    "elpasolite": {"Al": 6, "Na": 6, "K": 12},
}
"""Neighbours within 15 % of the nearest, as crystallography counts them."""


@pytest.mark.parametrize("name", PROTOTYPES)
def test_space_group_and_primitive_cell(name):
    atoms, prototype = build_prototype(name), PROTOTYPES[name]
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    assert spglib.get_symmetry_dataset(cell, symprec=1e-3).number == prototype.space_group
    assert len(spglib.find_primitive(cell, symprec=1e-3)[2]) == len(atoms)
    assert set(atoms.symbols) == set(prototype.elements)


@pytest.mark.parametrize("name", PROTOTYPES)
def test_nearest_neighbours_are_a_bond_apart(name):
    atoms = build_prototype(name)
    first, second, distances = neighbor_list("ijd", atoms, 4.0)
    radii = covalent_radii[atoms.numbers]
    assert 0.8 < (distances / (radii[first] + radii[second])).min() < 1.3


@pytest.mark.parametrize("name", COORDINATION)
def test_coordination(name):
    atoms = build_prototype(name)
    first, distances = neighbor_list("id", atoms, 5.0)
    for atom, symbol in enumerate(atoms.symbols):
        if symbol in COORDINATION[name]:
            own = distances[first == atom]
            assert np.sum(own < 1.15 * own.min()) == COORDINATION[name][symbol]


def test_what_is_built_is_the_callers_own():
    build_prototype("rocksalt").positions += 1.0
    assert build_prototype("rocksalt").positions[0] == pytest.approx([0.0, 0.0, 0.0])
