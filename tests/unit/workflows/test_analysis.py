"""What is said of a trajectory is what it was made with, and what cannot be said is left out with its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.analysis import AnalysisSettings, run_analysis
from alignn_ff.workflows.trajectory import Trajectory
from alignn_ff.workflows.vibrations import vibrate
from tests.unit.workflows.walks import brownian

QUICK = AnalysisSettings(rdf_reach_a=4.0, rdf_frames=3)
SPRING_EV_A2 = 4.0


def oscillating(symbols, thz, *, frames=2000, interval_fs=10.0, amplitude=0.01):
    """Atoms that oscillate on their sites, each with its own frequency and random phases."""
    rng = np.random.default_rng(0)
    atoms = Atoms(symbols, positions=3.0 * np.arange(len(symbols))[:, None] * np.ones(3), cell=[30.0] * 3, pbc=True)
    omega = 2 * np.pi * np.asarray(thz)[:, None] / 1000.0
    phases = 2 * np.pi * rng.random((len(symbols), 3))
    out = []
    for k in range(frames):
        frame, angle = atoms.copy(), omega * interval_fs * k + phases
        frame.positions += amplitude * np.sin(angle)
        frame.set_velocities(amplitude * omega * np.cos(angle) / units.fs)
        out.append(frame)
    return Trajectory(out, interval_fs)


def peaks(table, name):
    values = table[name]
    inside = (values[1:-1] > values[:-2]) & (values[1:-1] > values[2:]) & (values[1:-1] > 0.05 * values.max())
    return table["frequency_thz"][1:-1][inside]


def integral(table, name):
    values = table[name]
    return float((values[1:] + values[:-1]).sum() / 2 * table["frequency_thz"][1])


def test_independent_oscillators_stand_at_their_frequencies():
    trajectory = oscillating(["C", "C", "Si", "Si"], [12.34, 12.34, 3.21, 3.21])
    seen = vibrate(trajectory, 0.25, remove_drift=False)
    assert peaks(seen.vdos, "C_per_thz") == pytest.approx([12.34], abs=0.02)
    assert peaks(seen.vdos, "Si_per_thz") == pytest.approx([3.21], abs=0.02)
    assert seen.resolution_thz == 0.25 and integral(seen.vdos, "total_per_thz") == pytest.approx(12.0, rel=1e-12)
    # the share of an element is that of its kinetic energy, here m omega² at one amplitude
    ratio = 28.085 * 3.21**2 / (12.011 * 12.34**2)
    assert integral(seen.vdos, "Si_per_thz") == pytest.approx(12 * ratio / (1 + ratio), rel=0.02)
    high = seen.vdos["C_per_thz"] > 0.5 * seen.vdos["C_per_thz"].max()
    assert np.ptp(seen.vdos["frequency_thz"][high]) == pytest.approx(0.25, abs=0.07)  # full width at half height
    times = seen.vacf["time_ps"]
    assert times[1] == pytest.approx(0.01)
    assert seen.vacf["vacf_C"] == pytest.approx(np.cos(2 * np.pi * 12.34 * times), abs=0.03)


def harmonic_chain(n, spring_ev_a2, timestep_fs, frames, every):
    """Velocity-Verlet dynamics of a ring of atoms with springs between neighbours, alike in x, y and z."""
    rng = np.random.default_rng(1)
    atoms = Atoms(f"Si{n}", positions=np.outer(3.0 * np.arange(n), [1, 0, 0]), cell=[3.0 * n, 9, 9], pbc=True)
    mass, dt, shift = atoms.get_masses()[0], timestep_fs * units.fs, np.zeros((n, 3))
    speed = 0.002 * rng.standard_normal((n, 3))
    speed -= speed.mean(axis=0)

    def force(u):
        return spring_ev_a2 * (np.roll(u, 1, axis=0) + np.roll(u, -1, axis=0) - 2 * u)

    out = []
    for step in range(frames * every):
        if step % every == 0:
            out.append(atoms.copy())
            out[-1].positions += shift
            out[-1].set_velocities(speed)
        speed = speed + 0.5 * dt * force(shift) / mass
        shift = shift + dt * speed
        speed = speed + 0.5 * dt * force(shift) / mass
    return Trajectory(out, timestep_fs * every)


def test_dynamics_of_a_harmonic_crystal_has_the_frequencies_of_its_dispersion():
    n = 8
    trajectory = harmonic_chain(n, SPRING_EV_A2, 1.0, 4000, 8)
    seen = vibrate(trajectory, 0.1)
    waves = np.arange(1, n // 2 + 1)
    mass = bulk("Si").get_masses()[0]
    expected = 2 * np.sqrt(SPRING_EV_A2 / mass) * np.sin(np.pi * waves / n) / (2 * np.pi) * units.fs * 1000
    assert peaks(seen.vdos, "total_per_thz") == pytest.approx(expected, abs=0.02)
    assert integral(seen.vdos, "total_per_thz") == pytest.approx(3 * n, rel=1e-12)


def test_the_whole_analysis(tmp_path):
    rng = np.random.default_rng(2)
    frames = brownian(rng, diffusion_cm2_s=1e-4, interval_fs=10.0, frames=120, atoms=30, temperature_k=85.0)
    settings = replace(QUICK, skip_frames=20)
    result = run_analysis(frames, settings, folder=tmp_path)
    assert result.outcome == "done" and result.frames == 100 and result.interval_fs == pytest.approx(10.0)
    assert result.temperature_k == pytest.approx(85.0, rel=1e-9) and result.temperature_error_k < 1e-9
    density = frames[0].get_masses().sum() / frames[0].get_volume() * 1.66053906660
    assert result.density_g_cm3 == pytest.approx(density, rel=1e-6) and result.density_error_g_cm3 < 1e-12
    assert result.highest_thz == pytest.approx(50.0) and result.resolution_thz == pytest.approx(2.0)
    assert result.coefficients["Ar"].coefficient_cm2_s == pytest.approx(1e-4, rel=0.3)
    assert set(result.curves) == {"rdf", "msd", "vacf", "vdos"} and not result.left_out
    saved = {path.name for path in tmp_path.iterdir()}
    assert saved >= {"analysis.json", "rdf.csv", "msd.csv", "vacf.csv", "vdos.csv", "analysis.png", "last.extxyz"}
    stored = json.loads((tmp_path / "analysis.json").read_text())
    assert stored["coefficients"]["Ar"]["error_cm2_s"] > 0 and "curves" not in stored
    rows = dict(result.rows())
    assert rows["mean density"].endswith("g/cm³") and "cm²/s" in rows["diffusion of Ar"]
    assert [ax.get_xlabel() for ax in result.plot().axes][:3] == ["Distance (Å)", "Time (ps)", "Time (ps)"]


def test_the_density_of_a_breathing_cell_has_an_error():
    sizes = np.random.default_rng(3).normal(3.6, 0.02, 40)
    result = run_analysis([bulk("Cu", a=size) for size in sizes], QUICK)
    densities = 63.546 * 1.66053906660 / (sizes**3 / 4)
    assert result.density_g_cm3 == pytest.approx(densities.mean(), rel=1e-6)
    assert result.density_error_g_cm3 == pytest.approx(densities.std() / np.sqrt(40), rel=0.8)


def test_what_cannot_be_had_is_left_out_with_its_reason():
    single = run_analysis([bulk("Cu", cubic=True)], QUICK)
    assert set(single.curves) == {"rdf"} and single.density_error_g_cm3 is None
    assert "time between frames is unknown" in single.left_out["diffusion"]
    assert "no diffusion" in dict(single.rows())
    still = run_analysis([bulk("Cu", cubic=True)] * 30, replace(QUICK, frame_interval_fs=1.0))
    assert "no momenta" in still.left_out["velocity correlation"] and still.temperature_k is None
    water = [molecule("H2O") for _ in range(50)]
    for k, atoms in enumerate(water):
        atoms.set_momenta(np.full((3, 3), np.sin(k)) * [[1], [-1], [0]])
    free = run_analysis(water, replace(QUICK, frame_interval_fs=1.0))
    assert set(free.left_out) == {"density", "radial distribution"} and set(free.curves) == {"msd", "vacf", "vdos"}
    short = run_analysis(water[:10], replace(QUICK, frame_interval_fs=1.0, fit_end_percent=100.0, blocks=2))
    assert "10 frames are too few" in short.left_out["velocity correlation"]


def test_nothing_at_all_is_an_error():
    with pytest.raises(StructureError, match="nothing can be said of this trajectory: no density, as"):
        run_analysis([molecule("H2O")] * 100, QUICK)
    with pytest.raises(ConfigError, match="rdf_bin_a = 5 is more than"):
        AnalysisSettings(rdf_bin_a=5.0, rdf_reach_a=4.0)
