"""Upstream's attention variants say here what upstream's calculator said of them (see record_attention.py)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.errors import CheckpointError
from alignn_ff.models import Potential, build
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.pretrained.publish import save_upstream
from alignn_ff.pretrained.upstream import describe, load_upstream, network_of
from tests.reference.property_weights import fill
from tests.reference.test_upstream import ENERGY, FORCES, STRESS, structure

CASES = json.loads((Path(__file__).parent / "upstream" / "attention.json").read_text())


def filled(case: str) -> Potential:
    """The potential of a recorded config, with formulaic weights, as upstream made it."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        potential = build(describe(CASES[case]["config"]))
    finally:
        torch.set_default_dtype(default)
    with torch.no_grad():
        fill(network_of(potential), ("_species_table",))
    return potential


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_upstream(case):
    calculator = AlignnFFCalculator(filled(case), dtype="float64")
    for name, expected in CASES[case]["results"].items():
        atoms = structure(name)
        calculator.calculate(atoms)
        assert abs(calculator.results["energy"] - expected["energy"]) / len(atoms) <= ENERGY
        assert np.abs(calculator.results["forces"] - expected["forces"]).max() <= FORCES
        assert np.abs(calculator.results["stress"] - expected["stress"]).max() <= STRESS


@pytest.mark.parametrize("case", CASES)
def test_written_as_upstream_writes_them_they_come_back_bit_by_bit(case, tmp_path):
    potential = filled(case)
    save_upstream(tmp_path / "model", potential)
    again = load_upstream(tmp_path / "model").potential
    assert again.config == potential.config
    states = (p.state_dict() for p in (potential, again))
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))


def test_upstreams_dgl_model_has_no_attention(tmp_path):
    network = build({"name": "alignn_atomwise", "mode": "legacy", "elements": ["Cu"], "conv_type": "n_alignn"})
    assert isinstance(network, AlignnNetwork)
    with pytest.raises(CheckpointError, match="upstream has no model like this"):
        save_upstream(tmp_path / "model", network)
