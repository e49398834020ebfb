"""Radial distributions of what is known: an ideal gas, shells of crystals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from alignn_ff.workflows.rdf import first_shell, radial_distribution
from tests.unit.workflows.walks import CELL


def test_an_ideal_gas_has_no_structure_even_beyond_half_the_cell():
    rng, n_argon, n_neon = np.random.default_rng(0), 60, 20
    symbols = ["Ar"] * n_argon + ["Ne"] * n_neon
    frames = [Atoms(symbols, scaled_positions=rng.random((80, 3)) * 3 - 1, cell=CELL, pbc=True) for _ in range(20)]
    shortest = 8.5  # Å to an atom's own next image, whose peak is no gas; half the cell ends before 4.3 Å
    table = radial_distribution(frames, reach_a=shortest, bin_a=0.5)
    volume = abs(np.linalg.det(CELL))
    shells = 4 / 3 * np.pi * ((table["distance_a"] + 0.25) ** 3 - (table["distance_a"] - 0.25) ** 3)
    for name, pairs, expected in [
        ("g", 80 * 79 / 2, 79 / 80),
        ("g_Ar-Ne", n_argon * n_neon, 1.0),
        ("g_Ar-Ar", n_argon * (n_argon - 1) / 2, 59 / 60),
        ("g_Ne-Ne", n_neon * (n_neon - 1) / 2, 19 / 20),
    ]:
        noise = 1 / np.sqrt(20 * pairs * shells / volume)  # of so many independent counts
        assert np.abs((table[name] - expected) / noise)[1:].max() < 4.0
        assert np.average(table[name], weights=shells) == pytest.approx(expected, abs=4 * noise.min() / 3)


def test_shells_of_fcc_in_its_smallest_cell():
    table = radial_distribution([bulk("Cu", a=3.6)], reach_a=6.0, bin_a=0.02)
    filled = np.flatnonzero(table["g"])
    assert table["distance_a"][filled] == pytest.approx(3.6 * np.sqrt(np.arange(1, 6) / 2), abs=0.011)
    assert table["n_Cu-Cu"][filled].tolist() == pytest.approx([12, 18, 42, 54, 78])


def test_pairs_of_rocksalt_and_the_size_of_its_cell():
    salt = bulk("NaCl", "rocksalt", a=5.64)
    table = radial_distribution([salt], reach_a=7.01, bin_a=0.05)
    assert table["n_Na-Cl"][-1] == table["n_Cl-Na"][-1] == pytest.approx(6 + 8 + 24)
    assert table["n_Na-Na"][-1] == pytest.approx(12 + 6 + 24)
    sheared = salt.copy()
    sheared.set_cell(np.array([[1, 0, 0], [1, 1, 0], [-2, 1, 1]]) @ salt.cell[:])  # the same lattice
    for same in (sheared, salt * (3, 2, 1)):
        other = radial_distribution([same], reach_a=7.01, bin_a=0.05)
        assert all(other[name] == pytest.approx(table[name]) for name in table)
    whole = (table["g_Na-Na"] + table["g_Cl-Cl"] + 2 * table["g_Cl-Na"]) / 4
    assert table["g"] == pytest.approx(whole)


def test_unequal_numbers_share_their_pairs():
    table = radial_distribution([bulk("CaF2", "fluorite", a=5.46)], reach_a=2.6, bin_a=0.1)
    assert table["n_Ca-F"][-1] == pytest.approx(8) and table["n_F-Ca"][-1] == pytest.approx(4)
    assert table["n"][-1] == pytest.approx((8 + 2 * 4) / 3)
    partial = ["g_Ca-Ca", "g_Ca-F", "g_F-F"]
    assert list(table) == ["distance_a", "g", *partial, "n", "n_Ca-Ca", "n_Ca-F", "n_F-Ca", "n_F-F"]


def test_first_shells():
    copper = radial_distribution([bulk("Cu", a=3.6)], reach_a=6.0, bin_a=0.05)
    shell = first_shell(copper)
    assert shell.peak_a == pytest.approx(3.6 / np.sqrt(2), abs=0.05) and shell.coordination == pytest.approx(12)
    assert shell.peak_a < shell.minimum_a < 3.6
    fluorite = radial_distribution([bulk("CaF2", "fluorite", a=5.46)], reach_a=6.0, bin_a=0.05)
    assert first_shell(fluorite, ("Ca", "F")).coordination == pytest.approx(8)
    assert first_shell(fluorite, ("F", "Ca")).coordination == pytest.approx(4)
    assert first_shell(radial_distribution([bulk("Cu", a=3.6)], reach_a=2.0, bin_a=0.05)) is None
    assert first_shell(radial_distribution([bulk("Cu", a=3.6)], reach_a=2.6, bin_a=0.05)) is None


def test_the_first_minimum_is_not_a_dent_of_noise():
    distances = np.arange(0.025, 6.0, 0.05)
    liquid = np.exp(-(((distances - 2.6) / 0.25) ** 2)) * 2.5 + 1 / (1 + np.exp(-(distances - 3.4) / 0.1))
    g = liquid + 0.05 * np.random.default_rng(1).standard_normal(len(distances))
    shell = first_shell({"distance_a": distances, "g": g, "n": distances})
    assert shell.peak_a == pytest.approx(2.6, abs=0.1) and shell.minimum_a == pytest.approx(3.1, abs=0.15)


def test_frames_of_other_volumes_count_each_with_its_density():
    small, large = bulk("Cu", a=3.6), bulk("Cu", a=3.8)
    advanced = []
    table = radial_distribution([small, large], reach_a=3.0, bin_a=0.02, advance=lambda: advanced.append(1))
    alone = [radial_distribution([atoms], reach_a=3.0, bin_a=0.02)["g"] for atoms in (small, large)]
    assert table["g"] == pytest.approx(np.mean(alone, axis=0)) and len(advanced) == 2
