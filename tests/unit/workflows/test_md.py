"""Molecular dynamics samples what it says, stops when physics ends, and keeps what it had."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from operator import attrgetter

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
from alignn_ff.workflows.ensembles import ENSEMBLES
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
        ("nvt-bussi", copper(1), {"thermostat_time_fs": 20.0}),
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


def test_berendsen_has_the_right_mean_and_too_little_fluctuation():
    run = MDSettings(ensemble="nvt-berendsen", temperature_k=400, timestep_fs=5.0, steps=800, equilibration_steps=100)
    result = run_md(copper(1), run)
    assert result.mean_temperature_k == pytest.approx(400.0, rel=0.02)
    assert result.std_temperature_k < 0.7 * 400 * np.sqrt(2 / result.degrees_of_freedom)
    assert np.abs(result.atoms.get_momenta().sum(axis=0)).max() < 1e-10


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


@pytest.mark.parametrize("ensemble", ["nvt", "nvt-bussi", "npt", "npt-axes", "npt-flexible", "nph"])
def test_what_an_ensemble_conserves_is_conserved_and_better_with_shorter_steps(ensemble):
    spread = {}
    for timestep, steps in ((4.0, 40), (2.0, 80)):
        fields = {"pressure_gpa": 2.0} if ensemble.startswith("np") else {}
        settings = MDSettings(
            ensemble=ensemble, temperature_k=300, timestep_fs=timestep, steps=steps, stats_every=1, **fields
        )
        thermo = run_md(copper(1), settings).thermo
        spread[timestep] = np.ptp(thermo["conserved_energy_ev"])
        assert spread[timestep] < 0.1 * np.ptp(thermo["potential_energy_ev"])
    assert 2.5 < spread[4.0] / spread[2.0] < 6.0


@pytest.mark.parametrize("ensemble", ["npt", "npt-axes", "npt-flexible", "npt-langevin"])
def test_npt_answers_to_pressure(ensemble):
    volumes = {}
    for pressure in (0.0, 10.0):
        settings = MDSettings(
            ensemble=ensemble,
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
        lengths, angles = result.atoms.cell.lengths(), result.atoms.cell.angles()
        assert (np.ptp(angles) < 1e-9) == (ensemble != "npt-flexible")
        assert (np.ptp(lengths) < 1e-9) == (ensemble in ("npt", "npt-langevin"))
    # Murnaghan with B0 = 134 GPa, B0' = 4.2 of EMT copper at 0 K
    assert volumes[10.0] / volumes[0.0] == pytest.approx((1 + 4.2 * 10 / 134) ** (-1 / 4.2), abs=0.01)


def test_axes_that_are_held_keep_their_length():
    fields = {"pressure_gpa": 5.0, "cell_axes": (False, True, False), "barostat_time_fs": 200.0}
    cell = run_md(copper(1), MDSettings(ensemble="npt-axes", timestep_fs=5.0, steps=40, **fields)).atoms.cell
    assert cell.lengths()[[0, 2]] == pytest.approx([3.61, 3.61], abs=1e-12)
    assert cell.lengths()[1] < 3.58


def test_flexible_cells_share_heat_evenly_between_stretches_and_shears():
    """Cells of ASE get the heat of nine components for the six they have; ours that of six."""
    dynamics = ENSEMBLES["npt-flexible"].build(
        copper(1), MDSettings(ensemble="npt-flexible"), 9, np.random.default_rng(0)
    )
    barostat, k_t = dynamics._barostat, units.kB * 300 * 9 / 12
    upper = np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1]], dtype=bool)
    momenta = np.where(np.eye(3), np.sqrt(barostat.W * k_t), np.sqrt(barostat.W * k_t / 2))  # each p²/2W is k T/2
    assert upper.sum() == barostat._cell_dof
    before = momenta.copy()
    barostat.integrate_nhc_baro(momenta, 1.0)
    assert momenta == pytest.approx(before, rel=1e-12)  # at its temperature already, the bath lets it be
    assert barostat._p_xi[0] == pytest.approx(0.0, abs=1e-9)


def test_constant_enthalpy_turns_heat_into_volume():
    def warmed(temperature):
        fields = {"timestep_fs": 4.0, "steps": 150, "barostat_time_fs": 300.0}
        return run_md(copper(1), MDSettings(ensemble="nph", temperature_k=temperature, **fields))

    hot = warmed(900.0)
    assert hot.mean_volume_a3 > 1.003 * warmed(100.0).mean_volume_a3
    assert hot.mean_temperature_k < 600  # half of what was drawn goes into the springs


def test_ramps_and_stages_set_the_pace():
    ramp = {"temperature_k": 100.0, "temperature_end_k": 700.0, "steps": 600}
    for ensemble, how, fields in [
        ("nvt-langevin", ramp, {"friction_per_fs": 0.05}),
        ("nvt-bussi", {"stages": "200@100,300@100-700,100@700"}, {"thermostat_time_fs": 20.0}),
        ("nvt", ramp, {"thermostat_time_fs": 50.0}),
        ("nvt-berendsen", ramp, {"thermostat_time_fs": 20.0}),
    ]:
        result = run_md(copper(2), MDSettings(ensemble=ensemble, timestep_fs=4.0, **how, **fields))
        thermo = result.thermo
        assert thermo["target_temperature_k"][[0, -1]].tolist() == [100.0, 700.0]
        assert len(thermo["step"]) == 61 and result.energy_drift_mev_per_atom_ps is None
        off = thermo["temperature_k"] - thermo["target_temperature_k"]
        # canonical noise of 93 degrees of freedom, and a lag of the ramp's slope times the relaxation time
        assert abs(off[30:].mean()) < 60 and np.abs(off[30:]).max() < 350
        assert "conserved_energy_ev" not in thermo


def test_a_ramp_keeps_the_relaxation_time_of_the_baths():
    atoms = copper(1)
    settings = MDSettings(ensemble="npt", temperature_k=300, temperature_end_k=600, steps=10)
    ensemble, rng = ENSEMBLES["npt"], np.random.default_rng(0)
    hot = MDSettings(ensemble="npt", temperature_k=600)
    dynamics, other = (ensemble.build(atoms, how, 9, rng) for how in (settings, hot))
    ensemble.heat(dynamics, 600.0, 9)
    for name in ("_thermostat._Q", "_thermostat._kT", "_barostat._R", "_barostat._W", "_barostat._kT"):
        assert attrgetter(name)(dynamics) == pytest.approx(attrgetter(name)(other), rel=1e-12)


def test_pressure_and_density_are_those_of_stress_momenta_and_masses():
    result = run_md(copper(), MDSettings(ensemble="nve", steps=3, stats_every=1))
    grams, cm3 = result.atoms.get_masses().sum() / units.mol, result.atoms.get_volume() * 1e-24
    assert result.thermo["density_g_cm3"][-1] == pytest.approx(grams / cm3, rel=1e-6)
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


@pytest.mark.parametrize("ensemble", ["nve", "nvt-langevin", "nvt-bussi"])
def test_same_seed_same_trajectory(ensemble):
    def final(seed):
        return run_md(springs(), MDSettings(ensemble=ensemble, steps=20, seed=seed)).atoms.positions

    assert np.array_equal(final(1), final(1))
    assert not np.allclose(final(1), final(2))


@pytest.mark.parametrize("ensemble", ENSEMBLES)
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


def test_atoms_that_leave_for_good_are_caught():
    pair = Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 4.0]])
    pair.calc = Spring(k=0.0)
    pair.set_velocities([[0, 0, 0], [0, 0.3 / units.fs, 0.4 / units.fs]])
    settings = MDSettings(ensemble="nve", steps=1000, max_temperature_k=1e9)
    with pytest.raises(RunawayError, match=r"atoms were lost: 1 of 2 are 10\d"):
        run_md(pair, settings)
    pair.set_cell([20, 20, 20])
    pair.pbc = True
    assert run_md(pair, settings).completed


def test_cells_that_fly_apart_are_caught(tmp_path):
    settings = MDSettings(ensemble="npt", pressure_gpa=-30.0, steps=2000, timestep_fs=4.0, barostat_time_fs=500)
    with pytest.raises(RunawayError, match=r"the volume is \d\d\.\d times that of the start"):
        run_md(copper(1), settings, folder=tmp_path)
    assert read(tmp_path / "last_good.extxyz").get_volume() < 10 * 3.61**3


def test_interrupt_returns_the_whole_steps_so_far(tmp_path):
    atoms = springs(calc=Failing(26, interrupt))
    result = run_md(atoms, MDSettings(ensemble="nve", steps=200, stats_every=10), folder=tmp_path)
    assert (result.completed, result.steps, result.outcome) == (False, 24, "interrupted")
    sound = run_md(springs(), MDSettings(ensemble="nve", steps=24)).atoms
    assert result.atoms.positions == pytest.approx(sound.positions, abs=1e-12)
    assert result.atoms.get_momenta() == pytest.approx(sound.get_momenta(), abs=1e-12)
    assert np.genfromtxt(tmp_path / "thermo.csv", delimiter=",", names=True)["step"].tolist() == [0, 10, 20]


def test_progress_tells_temperature_energy_and_speed(monkeypatch):
    notes = []

    @contextmanager
    def listen(*args, **kwargs):
        yield lambda steps=1, note="": notes.append(note)

    monkeypatch.setattr("alignn_ff.workflows.md.track", listen)
    began = time.perf_counter()
    result = run_md(springs(), MDSettings(ensemble="nve", steps=30, timestep_fs=2.0, stats_every=1))
    seconds = time.perf_counter() - began
    assert len(notes) == 31
    kelvin, energy, speed = re.fullmatch(r"(\d+) K, (-?[\d.]+) eV, (\S+) ns/day", notes[-1]).groups()
    assert float(kelvin) == round(result.thermo["temperature_k"][-1])
    assert float(energy) == pytest.approx(result.thermo["potential_energy_ev"][-1], abs=1e-3)
    assert float(speed) > 30 * 2e-6 * 86400 / seconds  # at least what the whole call allowed


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
    assert names == {"md.json", "md.png", "final.extxyz", "restart.npz", "thermo.csv", "trajectory.extxyz"}
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
    bonded, frozen = copper(1), copper(1)
    frozen.set_constraint(FixAtoms(range(4)))
    bonded.set_constraint(FixBondLength(0, 1))
    for atoms, ensemble, message in [
        (slab, "npt", "periodic in 3D"),
        (bonded, "npt", "Remove the constraints"),
        (bonded, "nvt", "cannot hold atoms"),
        (bonded, "nvt-berendsen", "cannot hold atoms"),
        (slab, "nph", "periodic in 3D"),
        (slab, "npt-langevin", "periodic in 3D"),
        (frozen, "nvt-bussi", "all atoms are at rest"),
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
