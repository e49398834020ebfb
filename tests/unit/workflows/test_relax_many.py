"""Structures relaxed in lockstep go the way that each goes alone, whatever befalls the others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from alignn_ff import AlignnFFCalculator, run_relax, run_relax_many
from alignn_ff.errors import ConfigError, RunawayError, StructureError
from alignn_ff.workflows import lockstep
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxSettings


class Together(EMT):
    """EMT that takes many structures, remembers how many came at once, and may fail at a call."""

    def __init__(self, at=None, failure=None):
        super().__init__()
        self.at_once, self.at, self.failure = [], at, failure

    def evaluate(self, structures):
        self.at_once.append(len(structures))
        for atoms in structures:
            if len(atoms) > 1 and np.min(atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]) < 0.1:
                raise StructureError("atoms overlap")
        found = [one(atoms) for atoms in structures]
        if len(self.at_once) == self.at:
            self.failure(found)
        return found

    def calculate(self, *args, **kwargs):
        raise AssertionError("evaluated alone")


def one(atoms):
    calc = EMT()
    calc.calculate(atoms, ["energy", "forces", *(["stress"] if atoms.cell.rank == 3 else [])])
    return calc.results


def interrupt(found):
    raise KeyboardInterrupt


def crystals(calc=None):
    """Of 1 to 4 atoms, near and far from their minima."""
    mixed = bulk("Cu", cubic=True, a=3.7)
    mixed.symbols[0] = "Au"
    found = [bulk("Cu", a=3.61), mixed, bulk("Ni", a=3.5) * (1, 1, 2), bulk("Al", a=4.1) * (3, 1, 1)]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.02 * seed, seed=seed)
        atoms.calc = calc
    return found


BRIEF = RelaxSettings(optimizer="BFGS", fmax=0.03, steps=20)


@cache
def alone(settings=BRIEF):
    """What becomes of each crystal by itself."""
    return [run_relax(atoms, settings) for atoms in crystals(EMT())]


def require_same(many, ones, tol=1e-9):
    for result, other in zip(many, ones, strict=True):
        assert (result.steps, result.reason, result.cell) == (other.steps, other.reason, other.cell)
        assert result.atoms.positions == pytest.approx(other.atoms.positions, abs=tol)
        assert result.atoms.cell[:] == pytest.approx(other.atoms.cell[:], abs=tol)
        assert result.energy_ev == pytest.approx(other.energy_ev, abs=tol)
        assert result.max_stress_gpa == pytest.approx(other.max_stress_gpa, abs=1e-6)
        assert result.space_group_after == other.space_group_after


@pytest.mark.parametrize(
    "settings",
    [
        RelaxSettings(steps=12),
        BRIEF,
        replace(BRIEF, cell="none"),
        replace(BRIEF, fix_symmetry=True, symprec=0.1, pressure_gpa=3.0),
        replace(BRIEF, constant_volume=True),
        replace(BRIEF, hydrostatic=True, pressure_gpa=-1.0),
        replace(BRIEF, cell_mask=(0, 0, 1, 0, 0, 0)),
    ],
    ids=["few steps", "cell", "fixed cell", "symmetry", "volume", "hydrostatic", "mask"],
)
def test_each_goes_the_way_it_goes_alone(settings):
    calculator = Together()
    many, ones = run_relax_many(crystals(calculator), settings), alone(settings)
    require_same(many, ones)
    assert len({result.steps for result in many}) > 1  # they end one by one
    evaluations = [result.steps + 1 for result in ones]
    if settings.fix_symmetry:  # starts that were made symmetric are evaluated twice
        assert sum(evaluations) < sum(calculator.at_once) <= sum(evaluations) + len(ones)
    else:  # each round is of all that are not finished, and of nothing else
        assert calculator.at_once == [sum(n > k for n in evaluations) for k in range(max(evaluations))]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_table_goes_its_way(name):
    settings = RelaxSettings(optimizer=name, fmax=0.05, cell="none", steps=10)
    require_same(run_relax_many(crystals(Together()), settings), alone(settings))


def test_a_model_relaxes_many_as_it_relaxes_one():
    calculator = AlignnFFCalculator(device="cpu", dtype="float64", domain_check=False)
    settings = RelaxSettings(optimizer="BFGS", fmax=0.02, steps=15)
    starts = [bulk("Si", a=5.6), bulk("Cu", cubic=True, a=3.6), bulk("Ge", a=5.7) * (2, 1, 1), bulk("Li") * (2, 1, 1)]
    for seed, atoms in enumerate(starts):
        atoms.rattle(0.05, seed=seed)
        atoms.calc = calculator
    require_same(run_relax_many(starts, settings), [run_relax(atoms, settings) for atoms in starts])


def test_files_are_those_of_each_alone(tmp_path):
    starts = crystals(Together())[:2]
    folders = [tmp_path / f"many-{k}" for k in range(2)]
    run_relax_many(starts, BRIEF, folders=folders)
    for k, (folder, atoms) in enumerate(zip(folders, crystals(EMT()), strict=False)):
        run_relax(atoms, BRIEF, folder=tmp_path / f"one-{k}")
        for name in ("trajectory.extxyz", "relaxed.extxyz", "convergence.csv", "relax.json"):
            assert (folder / name).read_bytes() == (tmp_path / f"one-{k}" / name).read_bytes()
        assert np.array_equal(starts[k].positions, atoms.positions) and isinstance(starts[k].calc, Together)


def test_slabs_and_molecules_have_a_turn_too():
    starts = [molecule("CO"), fcc111("Cu", (1, 1, 2), a=3.6, vacuum=4.0), bulk("Cu", a=3.61)]
    many = run_relax_many(sharing(starts), BRIEF)
    assert [result.cell for result in many] == ["none", "none", "full"]
    assert many[0].max_stress_gpa is None and many[0].volume_a3 is None
    require_same(many, [run_relax(carrying(atoms, EMT()), BRIEF) for atoms in starts])


def carrying(atoms, calc):
    atoms = atoms.copy()
    atoms.calc = calc
    return atoms


def sharing(structures):
    calculator = Together()
    return [carrying(atoms, calculator) for atoms in structures]


def test_errors_keep_no_other_from_its_way():
    overlapping = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.05]], cell=[9, 9, 9], pbc=True)
    bad = Atoms("Cu", positions=[[np.nan, 0, 0]])
    starts = sharing([overlapping, *crystals()[:2], bad, *crystals()[2:]])
    many = run_relax_many(starts, BRIEF)
    assert isinstance(many[0], StructureError) and "overlap" in str(many[0])
    assert isinstance(many[3], StructureError) and "not finite" in str(many[3])
    require_same([many[k] for k in (1, 2, 4, 5)], alone())
    molecules = run_relax_many(sharing([molecule("CO"), bulk("Cu", a=3.6)]), replace(BRIEF, pressure_gpa=1.0))
    assert isinstance(molecules[0], ConfigError) and molecules[1].converged


def test_a_runaway_ends_alone(tmp_path):
    def spoil(found):
        found[1]["forces"] = np.full_like(found[1]["forces"], np.nan)

    folders = [tmp_path / str(k) for k in range(4)]
    many = run_relax_many(crystals(Together(3, spoil)), BRIEF, folders=folders)
    assert isinstance(many[1], RunawayError) and many[1].last_good is not None
    assert (tmp_path / "1" / "last_good.extxyz").exists() and not (tmp_path / "1" / "relax.json").exists()
    require_same([many[k] for k in (0, 2, 3)], [alone()[k] for k in (0, 2, 3)])


def test_ctrl_c_keeps_what_there_is(monkeypatch):
    monkeypatch.setattr(lockstep, "WALKS_AT_ONCE", 3)
    assert alone()[0].steps < 4 < min(result.steps for result in alone()[1:3])
    many = run_relax_many([*crystals(calc := Together(5, interrupt)), carrying(bulk("Cu"), calc)], BRIEF)
    assert many[0].outcome == "done" and many[0].steps == alone()[0].steps
    for result, other in zip(many[1:3], alone()[1:3], strict=True):
        assert (result.outcome, result.steps) == ("interrupted", 3)
        assert result.history["energy_ev"] == pytest.approx(other.history["energy_ev"][:4], abs=1e-9)
    assert many[4] is None
    with pytest.raises(KeyboardInterrupt):
        run_relax_many(crystals(Together(1, interrupt)))


def test_an_interrupt_in_the_step_of_one_reaches_all(monkeypatch):
    """Ctrl-C comes while one of the walks has its turn, which keeps it to itself."""
    count = []

    def step(self, *args):
        count.append(self)
        if len(count) == 6:
            raise KeyboardInterrupt
        return original(self, *args)

    original = BFGS.step
    monkeypatch.setattr(BFGS, "step", step)
    many = run_relax_many(crystals(Together()), BRIEF)
    # two had seen the forces of their first step
    assert [(result.outcome, result.steps) for result in many] == [("interrupted", n) for n in (1, 1, 0, 0)]


def test_how_many_go_at_once_is_bounded(monkeypatch):
    for name, bound, most in [("WALKS_AT_ONCE", 2, 2), ("BATCH_ATOMS", 1, 1)]:
        monkeypatch.setattr(lockstep, name, bound)
        calculator = Together()
        require_same(run_relax_many(crystals(calculator), BRIEF), alone())
        assert max(calculator.at_once) == most


def test_without_a_calculator_for_all_they_go_one_after_the_other():
    class Watched(EMT):
        def calculate(self, atoms, *args):
            seen.append(len(atoms))
            super().calculate(atoms, *args)

    seen = []
    shared = Watched()
    require_same(run_relax_many(crystals(shared), BRIEF), alone())
    lengths = [len(atoms) for atoms in crystals()]
    assert [n for n, before in zip(seen, [0, *seen], strict=False) if n != before] == lengths
    assert lockstep.shared_calculator(crystals(shared)) is None
    assert lockstep.shared_calculator([*crystals(Together()), *crystals(Together())]) is None


def test_nothing_lent_is_passed_off_for_another_structure():
    calculator, atoms = Together(), bulk("Cu", a=3.7)
    lending = lockstep.Lending(calculator)
    lending.lend(atoms.copy(), {"energy": 7.0, "forces": np.zeros((1, 3))})
    atoms.calc = lending
    assert atoms.get_potential_energy() == 7.0 and not calculator.at_once
    atoms.set_cell(atoms.cell[:] * 1.01, scale_atoms=True)
    assert atoms.get_potential_energy() == pytest.approx(one(atoms)["energy"], abs=1e-12)
    assert calculator.at_once == [1]


def test_no_structures_no_results():
    assert run_relax_many([]) == []
