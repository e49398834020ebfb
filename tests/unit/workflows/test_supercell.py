"""The rule that chooses a supercell."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.workflows.force_constants import HarmonicSettings, supercell_matrix
from alignn_ff.workflows.supercell import chosen_supercell, force_range_a, next_larger


def lengths(atoms, matrix):
    return np.linalg.norm(matrix @ atoms.cell[:], axis=1)


@pytest.mark.parametrize(
    ("atoms", "multiples"),
    [
        (bulk("Cu"), (4, 4, 4)),  # 2.55 Å
        (bulk("Cu", cubic=True), (3, 3, 3)),  # 3.61 Å
        (bulk("Cu", "hcp", a=2.55, c=4.16), (4, 4, 3)),
        (bulk("Cu", cubic=True) * (1, 2, 3), (3, 2, 1)),
        (Atoms("H", cell=[12, 12, 12], pbc=True), (1, 1, 1)),
    ],
)
def test_smallest_multiples_that_are_long_enough(atoms, multiples):
    matrix = chosen_supercell(atoms, 5.0, 400)
    assert np.array_equal(matrix, np.diag(multiples))
    assert lengths(atoms, matrix).min() >= 10.0


def test_a_skewed_cell_gets_the_supercell_of_the_compact_one():
    compact = bulk("Cu")
    skewed = compact.copy()
    skewed.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 5, 1]]) @ compact.cell[:])
    matrix = chosen_supercell(skewed, 5.0, 400)
    assert round(np.linalg.det(matrix)) == 64
    assert lengths(skewed, matrix) == pytest.approx([4 * 3.61 / np.sqrt(2)] * 3)


def test_a_lattice_constant_just_short_of_the_rule_still_counts():
    atoms = Atoms("H", cell=[4.999, 4.999, 4.9], pbc=True)
    assert np.array_equal(chosen_supercell(atoms, 5.0, 400), np.diag([2, 2, 3]))


def test_the_cap_shortens_all_equal_vectors_alike_and_is_told(caplog):
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        matrix = chosen_supercell(bulk("Cu"), 5.0, 63)
    assert np.array_equal(matrix, np.diag([3, 3, 3]))
    assert "larger than 63" in caplog.text and "7.66 Å" in caplog.text and "10.00 Å" in caplog.text
    caplog.clear()
    assert np.array_equal(chosen_supercell(bulk("Cu"), 5.0, 64), np.diag([4, 4, 4])) and not caplog.text
    assert np.array_equal(chosen_supercell(bulk("Cu", cubic=True), 5.0, 1), np.eye(3))


def test_a_supercell_given_too_short_is_taken_and_told(caplog):
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        matrix = supercell_matrix(bulk("Cu"), HarmonicSettings(supercell=(4, 4, 3)), EMT())
    assert np.array_equal(matrix, np.diag([4, 4, 3]))
    assert "7.66 Å long where twice the range of the forces is 10.00 Å" in caplog.text
    caplog.clear()
    supercell_matrix(bulk("Cu"), HarmonicSettings(supercell=(4, 4, 4)), EMT())
    assert not caplog.text


def test_the_next_larger_one_grows_where_it_is_shortest():
    assert np.array_equal(next_larger(bulk("Cu"), np.diag([4, 4, 4])), np.diag([5, 5, 5]))
    hexagonal = bulk("Cu", "hcp", a=2.55, c=4.16)
    assert np.array_equal(next_larger(hexagonal, np.diag([4, 4, 3])), np.diag([5, 5, 3]))


def test_the_range_follows_the_cutoff_of_the_model(potential):
    assert force_range_a(EMT()) == 5.0
    assert force_range_a(AlignnFFCalculator(potential, device="cpu")) == pytest.approx(1.5 * potential.cutoff)
