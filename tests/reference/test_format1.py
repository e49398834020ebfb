"""Files of format 1 keep loading, and keep their numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import load_checkpoint
from tests.reference.record_format1 import FOLDER, structures

NUMBERS = json.loads((FOLDER / "numbers.json").read_text())


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_golden_file_keeps_its_numbers(name):
    calculator = AlignnFFCalculator(FOLDER / "model.safetensors", dtype="float64")
    calculator.calculate(structures()[name])
    assert calculator.results.keys() == NUMBERS[name].keys()
    for key, value in NUMBERS[name].items():
        assert np.allclose(calculator.results[key], value, rtol=1e-9, atol=1e-9), key


def test_golden_file_keeps_its_facts():
    checkpoint = load_checkpoint(FOLDER / "model.safetensors")
    assert checkpoint.facts == {"licence": "MIT", "note": "random weights"}
    assert checkpoint.potential.elements == ("H", "O", "Al", "Cu")
    assert checkpoint.potential.cutoff == 4.0
