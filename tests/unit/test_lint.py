"""Warnings about labels whose shape is right and whose numbers are not."""

from __future__ import annotations

import pytest
import torch

from alignn_ff.data.lint import missing_label_note, stress_unit_warning, zero_stress_warning, zero_stresses
from alignn_ff.data.sources import Sample
from alignn_ff.io import Targets, from_ase
from alignn_ff.units import GPA_PER_EV_A3, KBAR_PER_EV_A3
from tests.structures import SMALL


def samples(stress_ev_a3: float, factor: float, count: int = 20) -> list[Sample]:
    graph = from_ase(SMALL["primitive_cell"]())
    shares = torch.linspace(0.1, 1.0, count, dtype=torch.float64)
    stresses = [factor * stress_ev_a3 * share * torch.eye(3, dtype=torch.float64)[None] for share in shares]
    force, energy = torch.zeros((1, 3), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    return [Sample(graph, Targets(energy, force, stress, energy), str(i), "all") for i, stress in enumerate(stresses)]


@pytest.mark.parametrize("stress", [0.001, 0.05, 0.5])
def test_plausible_stress_passes(stress):
    assert stress_unit_warning(samples(stress, 1.0)) is None


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("factor", "unit", "setting"),
    [(KBAR_PER_EV_A3, "look like kbar", "kbar_vasp"), (GPA_PER_EV_A3, "look like GPa", "stress_unit: gpa")],
)
def test_stress_in_another_unit_is_told_with_the_setting_that_mends_it(factor, unit, setting, sign):
    warning = stress_unit_warning(samples(0.1, sign * factor))
    assert unit in warning and setting in warning


def test_a_single_wild_label_does_not_cry_wolf():
    sound = samples(0.05, 1.0)
    wild = sound[0]._replace(targets=sound[0].targets._replace(stress=torch.full((1, 3, 3), 500.0).double()))
    assert stress_unit_warning([wild, *sound[1:]]) is None


def test_absent_stress_is_no_reason_to_warn():
    nothing = samples(torch.nan, 1.0)
    assert stress_unit_warning(nothing) is None


def test_stress_of_exactly_zero_is_a_placeholder():
    sound, missing = samples(0.05, 1.0, 3), samples(torch.nan, 1.0, 3)
    without = sound[1].targets._replace(stress=torch.zeros((1, 3, 3)).double())  # no forces either: atoms far apart
    assert zero_stress_warning([*sound, *missing, sound[1]._replace(targets=without)]) is None
    forces = torch.tensor([[0.1, 0.0, 0.0]], dtype=torch.float64)
    zero = sound[1]._replace(targets=without._replace(forces=forces), key="placed")
    assert zero_stresses([*sound, zero, *missing]) == ["placed"]
    warning = zero_stress_warning([*sound, zero])
    assert "of 1 of 4 structures" in warning and "stress_weight: 0" in warning


def test_missing_labels_are_counted():
    data = samples(0.05, 1.0, count=3)
    assert missing_label_note(data) is None
    data[1] = data[1]._replace(targets=data[1].targets._replace(energy=torch.tensor([torch.nan]).double()))
    data += samples(torch.nan, 1.0, count=2)
    note = missing_label_note(data)
    assert "of 5 structures" in note and "energy from 1" in note and "stress from 2" in note
    assert "forces" not in note
