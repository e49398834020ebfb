"""Many structures through one calculator: the same numbers whichever way they go."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.errors import RunawayError
from alignn_ff.workflows.batch import BATCH_ATOMS, evaluate_each


class OneByOne:
    """A calculator without its `evaluate`."""

    def __init__(self, calculator):
        self.get_potential_energy = calculator.get_potential_energy
        self.get_forces = calculator.get_forces
        self.get_stress = calculator.get_stress


class Counting(EMT):
    """EMT that takes many structures, and remembers how many atoms came at once."""

    def __init__(self):
        super().__init__()
        self.atoms_at_once = []

    def evaluate(self, structures):
        self.atoms_at_once.append(sum(map(len, structures)))
        return [{"energy": float(len(atoms)), "forces": np.zeros((len(atoms), 3))} for atoms in structures]


def crystals():
    found = []
    for seed, cells in enumerate([(1, 1, 1), (2, 1, 1), (1, 2, 1)]):
        atoms = bulk("NaCl", "rocksalt", a=5.6) * cells
        atoms.rattle(0.1, seed=seed)
        found.append(atoms)
    return found


def test_batch_and_single_agree(potential):
    calculator = AlignnFFCalculator(potential, device="cpu", dtype="float64")
    batched = list(evaluate_each(crystals(), calculator, stress=True))
    single = list(evaluate_each(crystals(), OneByOne(calculator), stress=True))
    for one, other, given in zip(batched, single, crystals(), strict=True):
        assert np.array_equal(one.positions, given.positions) and np.array_equal(other.positions, given.positions)
        assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-9)
        assert one.get_forces() == pytest.approx(other.get_forces(), abs=1e-9)
        assert one.get_stress() == pytest.approx(other.get_stress(), abs=1e-10)
        assert np.abs(one.get_forces()).max() > 1e-3


def test_order_is_kept_and_input_untouched():
    structures = [bulk("Cu", a=a) for a in (3.5, 3.7, 3.6)]
    frames = list(evaluate_each(structures, EMT()))
    for atoms, frame in zip(structures, frames, strict=True):
        alone = atoms.copy()
        alone.calc = EMT()
        assert frame.get_potential_energy() == pytest.approx(alone.get_potential_energy(), abs=1e-12)
        assert atoms.calc is None and "stress" not in frame.calc.results


def test_a_batch_stays_below_its_bound():
    calculator = Counting()
    structures = [bulk("Cu") * (7, 10, 10)] * 5 + [bulk("Cu") * (15, 15, 10)]
    frames = list(evaluate_each(structures, calculator))
    assert [frame.get_potential_energy() for frame in frames] == [700.0] * 5 + [2250.0]
    assert calculator.atoms_at_once == [1400, 1400, 700, 2250]
    assert all(n <= BATCH_ATOMS for n in calculator.atoms_at_once[:-1])


def test_a_result_that_is_not_finite_names_its_structure():
    class Broken(Counting):
        def evaluate(self, structures):
            results = super().evaluate(structures)
            results[2]["forces"][0, 1] = np.nan
            return results

    with pytest.raises(RunawayError, match=r"structure 2 of 4: the force on atom 0 \(Cu\)"):
        list(evaluate_each([bulk("Cu")] * 4, Broken()))
