"""Molecular dynamics samples what it says, stops when physics ends, and keeps what it had."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixBondLength
from ase.io import read

from alignn_ff.errors import ConfigError, OutputWriteError, RunawayError, StructureError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.md import MDSettings, run_md
from alignn_ff.workflows.velocities import degrees_of_freedom, draw_momenta, temperature


class Spring(EMT):
    """Independent isotropic oscillators of `k` eV/Å² about the first geometry: cheap, exactly solvable."""

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, k=5.0):
        super().__init__()
        self.k, self.origin, self.count = k, None, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if self.origin is None:
            self.origin = atoms.positions.copy()
        self.atoms = atoms.copy()
        self.count += 1
        shift = atoms.positions - self.origin
        energy = 0.5 * self.k * (shift**2).sum()
        self.results = {"energy": energy, "free_energy": energy, "forces": -self.k * shift}


class Failing(Spring):
    """Springs until evaluation `at`, then whatever `failure` does to them."""

    def __init__(self, at, failure):
        super().__init__()
        self.at, self.failure = at, failure

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        if self.count >= self.at:
            self.failure(self)


def interrupt(calc):
    raise KeyboardInterrupt


def refuse(calc):
    raise StructureError("atoms 0 and 1 overlap")


def nan_energy(calc):
    calc.results["energy"] = np.nan


def jump(calc):
    calc.results["energy"] += 1e3


def kick(calc):
    calc.results["forces"] = calc.results["forces"] + 500.0 * np.sign(calc.origin - calc.origin.mean(axis=0))


def copper(repeat=2):
    atoms = bulk("Cu", cubic=True) * (repeat, repeat, repeat)
    atoms.calc = EMT()
    return atoms


def springs(n=32, calc=None):
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)[:n] * 3.0
    atoms = Atoms(f"Cu{n}", positions=grid + 0.01 * rng.standard_normal((n, 3)))
    atoms.calc = calc or Spring()
    return atoms


def test_nve_conserves_energy_and_its_error_falls_with_the_square_of_the_step():
    spread = {}
    for timestep, steps in ((5.0, 60), (2.5, 120)):
        settings = MDSettings(ensemble="nve", timestep_fs=timestep, steps=steps, stats_every=1, temperature_k=600)
        result = run_md(copper(), settings)
        spread[timestep] = np.ptp(result.thermo["total_energy_ev"])
        assert abs(result.energy_drift_mev_per_atom_ps) < 0.5
        assert np.ptp(result.thermo["potential_energy_ev"]) > 50 * spread[timestep]
    assert spread[5.0] / spread[2.5] == pytest.approx(4.0, rel=0.25)


def test_nve_keeps_the_centre_of_mass_at_rest():
    result = run_md(copper(), MDSettings(ensemble="nve", steps=20, timestep_fs=4.0))
    assert np.abs(result.atoms.get_momenta().sum(axis=0)).max() < 1e-10
    assert result.degrees_of_freedom == 3 * 32 - 3


def block_error(values, blocks=20):
    """Standard error of the mean of correlated values, from the scatter of block means."""
    means = values[: len(values) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    return means.std(ddof=1) / np.sqrt(blocks)


@pytest.mark.parametrize(
    ("ensemble", "atoms", "extra"),
    [
        ("nvt", copper(1), {"thermostat_time_fs": 40.0}),
        ("nvt-langevin", springs(8), {"friction_per_fs": 0.02}),
    ],
)
def test_thermostats_reach_the_temperature_per_degree_of_freedom(ensemble, atoms, extra):
    run = MDSettings(
        ensemble=ensemble,
        temperature_k=400,
        timestep_fs=5.0,
        steps=1600,
        stats_every=5,
        equilibration_steps=300,
        **extra,
    )
    result = run_md(atoms, run)
    error = block_error(result.thermo["temperature_k"][60:])
    # counting 3 N instead of 3 N - 3 would put the four copper atoms at 533 K
    assert error < 15.0
    assert result.mean_temperature_k == pytest.approx(400.0, abs=4 * error)
    # canonical spread of the temperature is T sqrt(2 / dof)
    assert result.std_temperature_k == pytest.approx(400 * np.sqrt(2 / result.degrees_of_freedom), rel=0.25)


def test_langevin_heats_free_atoms_only():
    atoms = springs(16)
    atoms.set_constraint(FixAtoms(range(8)))
    run = MDSettings(ensemble="nvt-langevin", temperature_k=400, timestep_fs=5.0, steps=1500, equilibration_steps=200)
    result = run_md(atoms, run)
    assert result.degrees_of_freedom == 3 * 8
    assert result.mean_temperature_k == pytest.approx(
        400.0, abs=4 * block_error(result.thermo["temperature_k"][20:], 10)
    )
    assert result.atoms.positions[:8] == pytest.approx(atoms.positions[:8], abs=1e-12)


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_extended_energy_is_conserved(ensemble):
    settings = MDSettings(ensemble=ensemble, temperature_k=300, timestep_fs=2.0, steps=150, stats_every=1)
    thermo = run_md(copper(1), settings).thermo
    assert np.ptp(thermo["conserved_energy_ev"]) < 0.02 * np.ptp(thermo["total_energy_ev"])


def test_npt_answers_to_pressure():
    volumes = {}
    for pressure in (0.0, 10.0):
        settings = MDSettings(
            ensemble="npt",
            temperature_k=100,
            pressure_gpa=pressure,
            timestep_fs=5.0,
            steps=320,
            barostat_time_fs=200.0,
            equilibration_steps=120,
            stats_every=5,
        )
        result = run_md(copper(1), settings)
        volumes[pressure] = result.mean_volume_a3 / 4
        assert result.mean_pressure_gpa == pytest.approx(pressure, abs=1.0)
        assert result.atoms.cell.angles() == pytest.approx([90.0] * 3)
    # Murnaghan with B0 = 134 GPa, B0' = 4.2 of EMT copper at 0 K
    assert volumes[10.0] / volumes[0.0] == pytest.approx((1 + 4.2 * 10 / 134) ** (-1 / 4.2), abs=0.01)


def test_pressure_is_that_of_stress_and_momenta():
    result = run_md(copper(), MDSettings(ensemble="nve", steps=3, stats_every=1))
    check = result.atoms.copy()
    check.calc = EMT()
    virial = -np.trace(check.get_stress(voigt=False)) / 3
    kinetic = 2 * check.get_kinetic_energy() / (3 * check.get_volume())
    assert result.thermo["pressure_gpa"][-1] == pytest.approx((virial + kinetic) * GPA_PER_EV_A3, rel=1e-6)


def test_without_stress_there_is_no_pressure_column(tmp_path):
    result = run_md(springs(), MDSettings(steps=5), folder=tmp_path)
    assert result.mean_pressure_gpa is None and result.mean_volume_a3 is None
    assert "pressure_gpa" not in result.thermo
    assert "pressure" not in (tmp_path / "thermo.csv").read_text()


@pytest.mark.parametrize("ensemble", ["nve", "nvt-langevin"])
def test_same_seed_same_trajectory(ensemble):
    def final(seed):
        return run_md(springs(), MDSettings(ensemble=ensemble, steps=20, seed=seed)).atoms.positions

    assert np.array_equal(final(1), final(1))
    assert not np.allclose(final(1), final(2))


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "nvt-langevin", "npt"])
def test_one_evaluation_per_step(ensemble):
    class Counted(EMT):
        count = 0

        def calculate(self, *args, **kwargs):
            Counted.count += 1
            super().calculate(*args, **kwargs)

    atoms = copper(1)
    atoms.calc = Counted()
    run_md(atoms, MDSettings(ensemble=ensemble, steps=10, stats_every=2))
    assert Counted.count == 11


def test_input_is_never_touched_and_the_calculator_stays_usable():
    atoms = copper(1)
    before, energy = atoms.copy(), atoms.get_potential_energy()
    run_md(atoms, MDSettings(ensemble="npt", steps=10))
    assert np.array_equal(atoms.positions, before.positions) and np.array_equal(atoms.cell[:], before.cell[:])
    assert not atoms.has("momenta")
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-12)


def test_a_run_goes_on_where_another_ended(tmp_path):
    whole = run_md(springs(), MDSettings(ensemble="nve", steps=20)).atoms
    atoms = springs()
    first = run_md(atoms, MDSettings(ensemble="nve", steps=10), folder=tmp_path)
    half = read(tmp_path / "final.extxyz")
    half.calc = atoms.calc
    second = run_md(half, MDSettings(ensemble="nve", steps=10))
    assert first.atoms.get_kinetic_energy() == pytest.approx(half.get_kinetic_energy(), rel=1e-6)
    assert second.atoms.positions == pytest.approx(whole.positions, abs=1e-5)


def test_velocities_auto_keep_and_draw():
    atoms = springs()
    draw_momenta(atoms, 50.0, np.random.default_rng(0))
    own = atoms.get_momenta()

    def start(**fields):
        return run_md(atoms, MDSettings(ensemble="nve", steps=0, **fields)).atoms.get_momenta()

    assert np.array_equal(start(), own)
    assert np.array_equal(start(velocities="keep"), own)
    assert not np.allclose(start(velocities="draw"), own)
    with pytest.raises(ConfigError, match="the structure has none"):
        run_md(springs(), MDSettings(velocities="keep"))


def test_drawn_momenta_have_the_temperature_and_neither_drift_nor_spin():
    atoms = springs(60)
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(200):
        draw_momenta(atoms, 300.0, rng)
        seen.append(temperature(atoms, degrees_of_freedom(atoms, momentum_conserved=True)))
    assert degrees_of_freedom(atoms, momentum_conserved=True) == 3 * 60 - 6
    assert np.mean(seen) == pytest.approx(300.0, abs=4 * 300 * np.sqrt(2 / 174) / np.sqrt(200))
    assert np.abs(atoms.get_angular_momentum()).max() < 1e-9
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-10


@pytest.mark.parametrize(("name", "dof"), [("CO", 1), ("H2O", 3), ("CO2", 4)])
def test_degrees_of_freedom_of_small_molecules(name, dof):
    atoms = molecule(name)
    atoms.rotate(33, "xy")
    draw_momenta(atoms, 300.0, np.random.default_rng(1))
    assert degrees_of_freedom(atoms, momentum_conserved=True) == dof
    assert degrees_of_freedom(atoms, momentum_conserved=False) == 3 * len(atoms)


def test_a_single_atom_keeps_its_velocity():
    atom = Atoms("Ar")
    atom.calc = LennardJones()
    result = run_md(atom, MDSettings(ensemble="nve", steps=10, timestep_fs=1.0))
    assert result.degrees_of_freedom == 3
    path = result.atoms.positions[0] / (10 * units.fs)
    assert path == pytest.approx(result.atoms.get_velocities()[0])


def test_supercell_repeats_the_structure():
    result = run_md(copper(1), MDSettings(supercell=(2, 1, 3), steps=1))
    assert len(result.atoms) == 24
    assert result.atoms.cell.lengths() == pytest.approx(np.array([2, 1, 3]) * 3.61)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (nan_energy, "the energy is nan"),
        (jump, "the potential energy jumped"),
        (kick, "moves .* Å per step|the temperature is .* above max_temperature_k"),
        (refuse, "the model refused the structure .*overlap"),
    ],
)
def test_runaway_stops_and_the_last_good_frame_survives(tmp_path, failure, message):
    atoms = springs(calc=Failing(26, failure))
    settings = MDSettings(ensemble="nve", steps=200, stats_every=10)
    with pytest.raises(RunawayError, match=message) as caught:
        run_md(atoms, settings, folder=tmp_path)
    assert "last_good.extxyz" in str(caught.value)
    good = read(tmp_path / "last_good.extxyz")
    assert np.isfinite(good.get_forces()).all() and np.isfinite(good.get_momenta()).all()
    sound = run_md(springs(), MDSettings(ensemble="nve", steps=20, stats_every=10)).atoms
    assert good.positions == pytest.approx(sound.positions, abs=1e-6)  # step 20, the last sample before the fault
    assert caught.value.last_good.positions == pytest.approx(sound.positions, abs=1e-12)


def test_atoms_that_collapse_are_caught():
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.2]])
    atoms.calc = Spring()
    with pytest.raises(RunawayError, match=r"step 0 .*atoms 0 and 1 are 0.2 Å apart.*no good frame"):
        run_md(atoms, MDSettings(ensemble="nve"))


def test_too_hot_is_a_runaway_at_the_limit_asked_for():
    with pytest.raises(RunawayError, match="above max_temperature_k = 100"):
        run_md(springs(), MDSettings(ensemble="nve", max_temperature_k=100.0))


def test_interrupt_returns_the_whole_steps_so_far(tmp_path):
    atoms = springs(calc=Failing(26, interrupt))
    result = run_md(atoms, MDSettings(ensemble="nve", steps=200, stats_every=10), folder=tmp_path)
    assert (result.completed, result.steps, result.outcome) == (False, 24, "interrupted")
    sound = run_md(springs(), MDSettings(ensemble="nve", steps=24)).atoms
    assert result.atoms.positions == pytest.approx(sound.positions, abs=1e-12)
    assert result.atoms.get_momenta() == pytest.approx(sound.get_momenta(), abs=1e-12)
    assert np.genfromtxt(tmp_path / "thermo.csv", delimiter=",", names=True)["step"].tolist() == [0, 10, 20]


def test_rows_and_frames_are_on_disk_while_the_run_goes_on(tmp_path):
    seen = []

    def look(calc):
        seen.append(len((tmp_path / "thermo.csv").read_text().splitlines()))
        seen.append(len(read(tmp_path / "trajectory.extxyz", index=":")))
        raise KeyboardInterrupt

    run_md(springs(calc=Failing(16, look)), MDSettings(steps=50, stats_every=5, traj_every=7), folder=tmp_path)
    assert seen == [1 + 3, 3]  # header and steps 0, 5, 10; frames 0, 7, 14


def test_files_hold_the_result(tmp_path):
    result = run_md(copper(1), MDSettings(steps=12, stats_every=5, traj_every=5), folder=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"md.json", "md.png", "final.extxyz", "thermo.csv", "trajectory.extxyz"}
    assert result.thermo["step"].tolist() == [0, 5, 10, 12]  # the last step is always sampled
    frames = read(tmp_path / "trajectory.extxyz", index=":")
    assert len(frames) == 4
    assert frames[-1].get_potential_energy() == pytest.approx(result.thermo["potential_energy_ev"][-1], abs=1e-6)
    assert frames[-1].get_momenta() == pytest.approx(result.atoms.get_momenta(), abs=1e-6)
    assert frames[-1].get_forces().shape == (4, 3)
    stored = json.loads((tmp_path / "md.json").read_text())
    assert stored["mean_temperature_k"] == result.mean_temperature_k and "thermo" not in stored


def test_no_trajectory_on_request(tmp_path):
    run_md(springs(), MDSettings(steps=2, traj_every=0), folder=tmp_path)
    assert not (tmp_path / "trajectory.extxyz").exists()


def test_an_unwritable_folder_is_said_so(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputWriteError):
        run_md(springs(), MDSettings(steps=2), folder=tmp_path / "file" / "run")


def test_ensembles_refuse_what_they_cannot_integrate():
    slab = copper(1)
    slab.pbc = (True, True, False)
    bonded = copper(1)
    bonded.set_constraint(FixBondLength(0, 1))
    for atoms, ensemble, message in [
        (slab, "npt", "periodic in 3D"),
        (bonded, "npt", "Remove the constraints"),
        (bonded, "nvt", "cannot hold atoms"),
    ]:
        with pytest.raises(ConfigError, match=message):
            run_md(atoms, MDSettings(ensemble=ensemble))


def test_a_calculator_without_free_energy_still_runs():
    class Bare(Spring):
        def get_potential_energy(self, atoms=None, force_consistent=False):
            if force_consistent:
                raise PropertyNotImplementedError
            return super().get_potential_energy(atoms)

    result = run_md(springs(calc=Bare()), MDSettings(ensemble="nvt", steps=5))
    assert result.completed and result.energy_drift_mev_per_atom_ps is None
