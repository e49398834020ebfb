"""A table of materials judges a calculator: values equal those of ASE directly, rows are kept, failures have names."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.phonons import Phonons

from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.benchmark import BenchmarkSettings, run_benchmark
from alignn_ff.workflows.benchmark_errors import compare, failures, statistics
from alignn_ff.workflows.benchmark_ledger import ROWS, Row
from alignn_ff.workflows.benchmark_materials import Material

RELAX = BenchmarkSettings(properties="relax")
THZ_PER_EV = 241.79893


class CountingEMT(EMT):
    """EMT that counts its evaluations, and is interrupted at one of them."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        super().__init__()
        self.evaluations, self.interrupt_at = 0, interrupt_at

    def calculate(self, *args, **kwargs):
        self.evaluations += 1
        if self.evaluations == self.interrupt_at:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


def material(symbol, a, **references):
    return Material(symbol, bulk(symbol, a=a), references, source="somebody 2020")


def relaxed(symbol):
    """By ASE alone."""
    atoms = bulk(symbol)
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5)
    return atoms


def stress_slopes(atoms, voigt):
    """dσ/dε [6] in GPa of a clamped Voigt strain, by central differences of ASE's stress."""
    step, tensor = 1e-4, np.zeros(6)
    tensor[voigt] = 1.0
    xx, yy, zz, yz, xz, xy = tensor
    strain = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
    stresses = []
    for sign in (-1, 1):
        copy = atoms.copy()
        copy.set_cell(atoms.cell[:] @ (np.eye(3) + sign * step * strain), scale_atoms=True)
        copy.calc = EMT()
        stresses.append(copy.get_stress())
    return (stresses[1] - stresses[0]) / (2 * step) * GPA_PER_EV_A3


def bulk_modulus(atoms):
    volumes, energies = [], []
    for ratio in np.linspace(0.94, 1.06, 11):
        copy = atoms.copy()
        copy.set_cell(atoms.cell[:] * ratio ** (1 / 3), scale_atoms=True)
        copy.calc = EMT()
        volumes.append(copy.get_volume())
        energies.append(copy.get_potential_energy())
    return EquationOfState(volumes, energies, eos="birchmurnaghan").fit()[2] * GPA_PER_EV_A3


def frequency_at_x(atoms, folder):
    """Highest at X, where an fcc crystal has its highest."""
    phonons = Phonons(atoms, EMT(), supercell=(4, 4, 4), delta=0.01, name=folder / "phonon")
    phonons.run()
    phonons.read(acoustic=True)
    return phonons.band_structure([(0.5, 0.5, 0.0)]).max() * THZ_PER_EV


@pytest.fixture
def references(tmp_path):
    """Of copper, all four properties."""
    atoms = relaxed("Cu")
    c11, c12 = stress_slopes(atoms, 0)[:2]
    return {
        "lattice_a": atoms.cell.lengths()[0] * np.sqrt(2),
        "volume_per_atom": atoms.get_volume(),
        "eos_bulk_modulus": bulk_modulus(atoms),
        "c11": c11,
        "c12": c12,
        "c44": stress_slopes(atoms, 3)[3],
        "bulk_modulus": (c11 + 2 * c12) / 3,
        "max_frequency": frequency_at_x(atoms, tmp_path),
    }


LIMITS = {
    "lattice_a": 1e-4,
    "volume_per_atom": 1e-3,
    "eos_bulk_modulus": 0.1,
    **dict.fromkeys(("c11", "c12", "c44", "bulk_modulus"), 0.3),
    "max_frequency": 0.05,
}


def test_against_ase_directly_the_errors_are_zero(references):
    result = run_benchmark([material("Cu", 3.7, **references)], EMT(), BenchmarkSettings(supercell=(4, 4, 4)))
    assert result.outcome == "done" and result.rows_done == result.rows_in_all == 4
    assert {row.property for row in result.measured} == {"relax", "eos", "elastic", "phonon"}
    found = {one.quantity: one for one in result.errors}
    assert set(found) == set(references)
    for name, one in found.items():
        assert one.mae <= LIMITS[name] and one.mae == abs(one.mean_error), one
        assert one.count == 1 and one.missing == 0 and list(one.worst) == ["Cu"]


def test_only_what_has_a_reference_is_computed():
    table = [material("Cu", 3.6, lattice_a=3.6), material("Al", 4.0, volume_per_atom=16.0, c11=100.0)]
    result = run_benchmark(table, EMT(), RELAX)
    assert [(row.material, row.property) for row in result.measured] == [("Cu", "relax"), ("Al", "relax")]
    assert [(one.material, one.quantity) for one in result.comparisons] == [
        ("Cu", "lattice_a"),
        ("Al", "volume_per_atom"),
    ]


def row(name, status="done", reason="", **values):
    return Row(name, "relax", "", status, reason, values, (), 0.0)


def test_errors_by_hand():
    values = {"A": (4.0, 4.4), "B": (5.0, 4.9), "C": (2.0, 2.0), "D": (1.0, 1.2), "E": (3.0, None)}
    pairs = [
        compare(Material(name, bulk("Cu"), {"lattice_a": reference}), row(name, lattice_a=value))
        for name, (reference, value) in values.items()
    ]
    comparisons = [one for pair in pairs for one in pair]
    (one,) = statistics(comparisons)
    assert (one.count, one.missing, one.unit) == (4, 1, "Å")
    assert one.mae == pytest.approx(0.7 / 4) and one.mean_error == pytest.approx(0.5 / 4)
    assert one.rmse == pytest.approx(np.sqrt(0.21 / 4)) and one.mae_percent == pytest.approx((10 + 2 + 20) / 4)
    assert list(one.worst) == ["A", "D", "B"] and one.worst["B"] == pytest.approx(-0.1)
    assert failures(comparisons) == {"E, relax": "it has no lattice_a"}


def test_what_did_not_converge_or_failed_counts_in_no_error():
    kept = Material("A", bulk("Cu"), {"lattice_a": 4.0})
    loose = compare(kept, row("A", status="not converged", lattice_a=9.0))
    broken = compare(replace(kept, name="B"), row("B", status="failed", reason="ValueError: why"))
    (one,) = statistics([*loose, *broken])
    assert (one.count, one.missing, one.mae, one.worst) == (0, 2, None, {})
    assert failures([*loose, *broken]) == {"A, relax": "a relaxation did not converge", "B, relax": "ValueError: why"}


def test_a_material_the_calculator_does_not_know_is_named_and_the_rest_computed(tmp_path):
    table = [material("Fe", 2.9, lattice_a=2.9), material("Cu", 3.6, lattice_a=3.6)]
    result = run_benchmark(table, EMT(), RELAX, folder=tmp_path)
    assert result.outcome == "not converged" and (result.rows_done, result.rows_failed) == (1, 1)
    assert list(result.failures) == ["Fe, relax"] and "Fe" in result.failures["Fe, relax"]
    page = "".join(result.findings(tmp_path))
    assert "failed: Fe, relax" in page and "<img" in page and "://" not in page


def test_too_few_steps_are_not_converged_and_the_warning_says_of_what(caplog):
    with caplog.at_level(logging.WARNING):
        table = [material("Cu", 3.4, lattice_a=3.6)]
        result = run_benchmark(table, EMT(), BenchmarkSettings(relax_steps=1))
    assert result.outcome == "not converged" and result.rows_not_converged == 1
    assert "Cu, relax: the relaxation before it did not converge" in caplog.text
    assert "did not converge" in result.measured[0].notes[0]
    assert logging.getLogger("alignn_ff.workflows").propagate


TABLE = [material("Cu", 3.6, lattice_a=3.6), material("Al", 4.0, lattice_a=4.0), material("Ni", 3.5, lattice_a=3.5)]


def numbers(result):
    return [(one.material, one.predicted, one.error) for one in result.comparisons]


def test_after_an_interrupt_only_the_rest_is_computed(tmp_path):
    whole = CountingEMT()
    expected = run_benchmark(TABLE, whole, RELAX)
    first = CountingEMT(interrupt_at=whole.evaluations // 2)
    partial = run_benchmark(TABLE, first, RELAX, folder=tmp_path)
    assert partial.outcome == "interrupted" and 0 < len(partial.measured) < 3
    assert numbers(partial) == numbers(expected)[: len(partial.measured)]

    with (tmp_path / ROWS).open("a") as file:
        file.write('{"material": "Ni", "prope')  # as a kill leaves it
    second = CountingEMT()
    result = run_benchmark(TABLE, second, RELAX, folder=tmp_path, resume=True)
    assert result.outcome == "done" and numbers(result) == numbers(expected)
    assert 0 < second.evaluations < whole.evaluations

    third = CountingEMT()
    again = run_benchmark(TABLE, third, RELAX, folder=tmp_path, resume=True)
    assert third.evaluations == 0 and numbers(again) == numbers(expected)


def test_an_interrupt_before_the_first_row_stays_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(TABLE, CountingEMT(interrupt_at=1), RELAX, folder=tmp_path)
    assert run_benchmark(TABLE[:1], CountingEMT(), RELAX, folder=tmp_path, resume=True).outcome == "done"


def test_a_table_may_change_in_between(tmp_path):
    run_benchmark(TABLE[:2], CountingEMT(), RELAX, folder=tmp_path)
    renamed = replace(TABLE[0], name="copper", references={"lattice_a": 3.0})
    moved = material("Al", 4.1, lattice_a=4.0)
    calc = CountingEMT()
    same = run_benchmark([renamed], calc, RELAX, folder=tmp_path, resume=True)
    assert calc.evaluations == 0 and same.comparisons[0].reference == 3.0 and same.measured[0].material == "copper"
    run_benchmark([moved], calc, RELAX, folder=tmp_path, resume=True)
    assert calc.evaluations > 0


def test_what_failed_is_tried_again(tmp_path):
    table = [material("Fe", 2.9, lattice_a=2.9)]
    assert run_benchmark(table, CountingEMT(), RELAX, folder=tmp_path).rows_failed == 1
    run_benchmark(table, CountingEMT(), RELAX, folder=tmp_path, resume=True)
    rows = [json.loads(line) for line in (tmp_path / ROWS).read_text().splitlines()[1:]]
    assert [one["status"] for one in rows] == ["failed", "failed"]


def test_rows_of_another_calculator_or_settings_are_refused(tmp_path):
    run_benchmark(TABLE[:1], EMT(), RELAX, folder=tmp_path)
    with pytest.raises(ConfigError, match="LennardJones"):
        run_benchmark(TABLE[:1], LennardJones(), RELAX, folder=tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"fmax = 0.0001, now 0.01"):
        run_benchmark(TABLE[:1], EMT(), replace(RELAX, fmax=0.01), folder=tmp_path, resume=True)


def test_damaged_or_foreign_folders_are_refused(tmp_path):
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"no rows\.jsonl"):
        run_benchmark(TABLE[:1], EMT(), RELAX, folder=tmp_path, resume=True)
    (tmp_path / ROWS).write_text('{"format": 1}\n{"material": 3}\n')
    with pytest.raises(CheckpointError, match="damaged"):
        run_benchmark(TABLE[:1], EMT(), RELAX, folder=tmp_path, resume=True)


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="did you mean `phonon`"):
        BenchmarkSettings(properties="relax,phonons")
    with pytest.raises(ConfigError, match=r"no reference of elastic; it has some of relax"):
        run_benchmark(TABLE, EMT(), BenchmarkSettings(properties="relax,elastic"))
    with pytest.raises(ConfigError, match="is to relax"):
        run_benchmark(TABLE, EMT(), BenchmarkSettings(relax=False))
    with pytest.raises(ConfigError, match="resume needs the folder"):
        run_benchmark(TABLE, EMT(), RELAX, resume=True)
