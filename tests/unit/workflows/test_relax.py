"""Relaxation finds minima, under pressure too, and leaves its input alone."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS

from alignn_ff.errors import ConfigError, RunawayError, StructureError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxSettings, run_relax


def copper(a=3.7, rattle=0.0):
    atoms = bulk("Cu", cubic=True, a=a)
    atoms.rattle(rattle, seed=1)
    atoms.calc = EMT()
    return atoms


class Failing(EMT):
    """EMT that stops being itself at one evaluation."""

    def __init__(self, at: int, failure):
        super().__init__()
        self.at, self.failure, self.count = at, failure, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, list(properties), list(system_changes))
        self.count += 1
        if self.count == self.at:
            self.failure(self)


def spoil(calc):
    calc.results["forces"] = np.full_like(calc.results["forces"], np.nan)


def interrupt(calc):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_table_reaches_the_minimum(name):
    result = run_relax(copper(3.6, rattle=0.05), RelaxSettings(optimizer=name, cell="none", fmax=0.005))
    assert result.converged and result.outcome == "done"
    perfect = copper(3.6).get_potential_energy()
    assert result.energy_ev == pytest.approx(perfect, abs=1e-3)


def test_lattice_constant_is_that_of_a_scan():
    result = run_relax(copper(3.7), RelaxSettings(fmax=1e-4))
    lengths = np.linspace(3.57, 3.61, 9)
    scan = np.polynomial.Polynomial.fit(lengths, [copper(a).get_potential_energy() for a in lengths], 4)
    minimum = min(scan.deriv().roots().real, key=lambda a: abs(a - 3.59))
    assert result.atoms.cell.lengths() == pytest.approx([minimum] * 3, abs=2e-4)
    assert result.cell == "full"
    assert result.space_group_after == "Fm-3m (225)"
    assert result.volume_a3 == pytest.approx(result.atoms.get_volume())


@pytest.mark.parametrize("pressure", [5.0, -2.0])
def test_stress_balances_the_pressure(pressure):
    result = run_relax(copper(3.6, rattle=0.02), RelaxSettings(pressure_gpa=pressure, fmax=1e-4))
    check = result.atoms.copy()
    check.calc = EMT()
    stress = check.get_stress() * GPA_PER_EV_A3
    assert stress == pytest.approx([-pressure] * 3 + [0.0] * 3, abs=0.01)
    assert result.max_stress_gpa == pytest.approx(np.abs(stress + np.array([pressure] * 3 + [0] * 3)).max())
    assert (result.volume_change_percent < 0) == (pressure > 0)


def test_input_is_never_touched_and_the_calculator_stays_usable():
    atoms = copper(3.7, rattle=0.05)
    before, energy = atoms.copy(), atoms.get_potential_energy()
    run_relax(atoms, RelaxSettings(fix_symmetry=False))
    assert np.array_equal(atoms.positions, before.positions)
    assert np.array_equal(atoms.cell[:], before.cell[:])
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-10)


def test_symmetry_is_kept_and_the_constraint_does_not_stay():
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.set_cell([3.7, 3.7, 3.9], scale_atoms=True)
    atoms.calc = EMT()
    result = run_relax(atoms, RelaxSettings(fix_symmetry=True, steps=3))
    assert result.space_group_before == result.space_group_after == "I4/mmm (139)"
    assert result.atoms.constraints == []


def test_fix_symmetry_cleans_small_noise():
    noisy = copper(3.7, rattle=1e-3)
    kept = run_relax(noisy, RelaxSettings(fix_symmetry=True, symprec=0.05, fmax=1e-3))
    assert kept.space_group_before == kept.space_group_after == "Fm-3m (225)"
    assert np.abs(kept.atoms.get_forces()).max() < 1e-10


def test_constraints_hold():
    atoms = copper(3.6, rattle=0.1)
    atoms.set_constraint(FixAtoms([0, 2]))
    result = run_relax(atoms, RelaxSettings(cell="none"))
    moved = np.linalg.norm(result.atoms.positions - atoms.positions, axis=1)
    assert moved[[0, 2]].max() == 0.0 and moved[[1, 3]].min() > 1e-3
    assert [type(c) for c in result.atoms.constraints] == [FixAtoms]
    # the stored forces are those on all atoms, the criterion those on the free ones
    free = np.linalg.norm(result.atoms.get_forces(apply_constraint=True), axis=1).max()
    assert result.max_force_ev_per_a == pytest.approx(free) and free < 0.01


def test_mask_hydrostatic_and_constant_volume_limit_the_strain():
    start = copper(3.7)
    start.set_cell([3.7, 3.7, 3.5], scale_atoms=True)
    result = run_relax(start, RelaxSettings(cell_mask=(0, 0, 1, 0, 0, 0), fmax=1e-3))
    assert result.max_stress_gpa < 0.05  # held axes do not count
    masked = result.atoms
    assert masked.cell.lengths()[:2] == pytest.approx([3.7, 3.7], abs=1e-9)
    masked.calc = EMT()
    stress = np.abs(masked.get_stress()) * GPA_PER_EV_A3
    assert stress[2] < 0.05 < 1.0 < stress[0]  # free along z only
    result = run_relax(start, RelaxSettings(hydrostatic=True, pressure_gpa=2.0, fmax=1e-3))
    even, stress = result.atoms, result.atoms.get_stress() * GPA_PER_EV_A3
    assert stress[:3].mean() == pytest.approx(-2.0, abs=0.05) and np.ptp(stress[:3]) > 1.0
    assert result.max_stress_gpa == pytest.approx(abs(stress[:3].mean() + 2.0))
    assert even.cell.lengths()[2] / even.cell.lengths()[0] == pytest.approx(3.5 / 3.7, abs=1e-9)
    assert even.get_volume() < start.get_volume()
    result = run_relax(start, RelaxSettings(constant_volume=True, fmax=1e-3))
    same, stress = result.atoms, result.atoms.get_stress() * GPA_PER_EV_A3
    assert result.max_stress_gpa < 0.05 < 1.0 < abs(stress[0])
    assert same.get_volume() == pytest.approx(start.get_volume(), rel=1e-6)
    assert same.cell.lengths() == pytest.approx([start.get_volume() ** (1 / 3)] * 3, rel=1e-3)


def test_auto_leaves_the_cell_of_a_molecule_alone():
    atoms = molecule("CO")
    atoms.calc = EMT()
    result = run_relax(atoms)
    assert (result.cell, result.max_stress_gpa, result.volume_a3, result.space_group_after) == ("none",) + (None,) * 3
    assert result.converged


def test_a_slab_needs_a_mask():
    slab = fcc111("Cu", (1, 1, 3), a=3.7, vacuum=6.0)
    slab.calc = EMT()
    with pytest.raises(ConfigError, match="cell_mask = 1,1,0,0,0,1"):
        run_relax(slab, RelaxSettings(cell="full"))
    height = slab.cell.lengths()[2]
    result = run_relax(slab, RelaxSettings(cell="full", cell_mask=(1, 1, 0, 0, 0, 1)))
    assert result.atoms.cell.lengths()[2] == pytest.approx(height)
    assert result.atoms.cell.lengths()[0] < slab.cell.lengths()[0] - 0.01


def test_steps_run_out():
    result = run_relax(copper(3.9, rattle=0.1), RelaxSettings(steps=2))
    assert (result.converged, result.steps, result.outcome) == (False, 2, "not converged")
    on_atoms = f"{result.max_force_ev_per_a:.3g} eV/Å on atoms"
    assert re.fullmatch(rf"step limit reached, with forces of {on_atoms} and \S+ eV on the cell", result.reason)
    assert len(result.history["step"]) == 3


def test_same_path_as_ase_alone():
    reference = copper(3.6, rattle=0.05)
    optimizer = BFGS(reference, logfile=None)
    optimizer.run(fmax=0.01)
    result = run_relax(copper(3.6, rattle=0.05), RelaxSettings(optimizer="BFGS", cell="none"))
    assert result.steps == optimizer.nsteps
    assert result.atoms.positions == pytest.approx(reference.positions, abs=1e-12)


def test_interrupt_keeps_the_last_whole_step():
    atoms = copper(3.6, rattle=0.1)
    atoms.calc = Failing(4, interrupt)
    result = run_relax(atoms, RelaxSettings(cell="none"))
    assert (result.outcome, result.reason, result.steps) == ("interrupted", "interrupted", 2)
    assert np.isfinite(result.energy_ev) and result.energy_ev == result.history["energy_ev"][-1]


def test_interrupt_before_the_first_step_stays_an_interrupt():
    atoms = copper()
    atoms.calc = Failing(1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_relax(atoms, RelaxSettings(cell="none"))


def test_forces_that_are_not_finite_stop_the_run(tmp_path):
    atoms = copper(3.6, rattle=0.1)
    atoms.calc = Failing(3, spoil)
    with pytest.raises(RunawayError, match=r"step 2: the force on atom 0 \(Cu\).*last_good\.extxyz"):
        run_relax(atoms, RelaxSettings(cell="none"), folder=tmp_path)
    assert np.isfinite(read(tmp_path / "last_good.extxyz").get_forces()).all()


@pytest.mark.parametrize(
    ("atoms", "settings", "error", "message"),
    [
        (bulk("Cu"), RelaxSettings(), ConfigError, "no calculator"),
        (Atoms(), RelaxSettings(), StructureError, "no atoms"),
        (Atoms("Cu", positions=[[np.nan, 0, 0]]), RelaxSettings(), StructureError, "not finite"),
    ],
)
def test_unusable_structures_are_refused(atoms, settings, error, message):
    with pytest.raises(error, match=message):
        run_relax(atoms, settings)


def test_cell_settings_need_a_cell():
    atoms = molecule("CO")
    atoms.calc = EMT()
    for settings, message in [
        (RelaxSettings(cell="full"), "no periodic cell"),
        (RelaxSettings(pressure_gpa=1.0), "`pressure_gpa` = 1.0 has no effect"),
        (RelaxSettings(fix_symmetry=True), "periodic in 3D"),
    ]:
        with pytest.raises(ConfigError, match=message):
            run_relax(atoms, settings)


def test_stored_results_are_not_a_calculator():
    result = run_relax(copper(), RelaxSettings(steps=1))
    with pytest.raises(ConfigError, match="stored results"):
        run_relax(result.atoms)


def test_files_hold_the_result(tmp_path):
    result = run_relax(copper(3.7, rattle=0.02), folder=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"relax.json", "relaxed.extxyz", "convergence.csv", "relax.png", "trajectory.extxyz"}
    stored = json.loads((tmp_path / "relax.json").read_text())
    assert stored["energy_ev"] == result.energy_ev and stored["settings"]["optimizer"] == "FIRE"
    relaxed = read(tmp_path / "relaxed.extxyz")
    assert relaxed.get_potential_energy() == pytest.approx(result.energy_ev, abs=1e-6)
    assert relaxed.positions == pytest.approx(result.atoms.positions, abs=1e-6)
    frames = read(tmp_path / "trajectory.extxyz", index=":")
    assert len(frames) == result.steps + 1
    table = np.genfromtxt(tmp_path / "convergence.csv", delimiter=",", names=True)
    assert table["energy_ev"] == pytest.approx(result.history["energy_ev"], abs=1e-8)


def test_lennard_jones_dimer_has_its_known_distance():
    atoms = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 1.3]])
    atoms.calc = LennardJones(sigma=1.0, epsilon=1.0, rc=10.0)
    result = run_relax(atoms, RelaxSettings(fmax=1e-5))
    assert result.atoms.get_distance(0, 1) == pytest.approx(2 ** (1 / 6), abs=1e-5)
