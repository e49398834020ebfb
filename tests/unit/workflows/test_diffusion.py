"""Displacements are those of the atoms, across borders and drifts; coefficients and errors are those of known walks."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.diffusion import DiffusionSettings, diffuse, obstacle, square_displacement
from alignn_ff.workflows.time_series import autocorrelation, block_mean
from alignn_ff.workflows.trajectory import Trajectory, dated, unwrapped
from tests.unit.workflows.walks import CELL, brownian

D = 2e-4
SHORT_LAGS = DiffusionSettings(fit_start_percent=0, fit_end_percent=10)


def walk(seed=0, **fields):
    return brownian(np.random.default_rng(seed), diffusion_cm2_s=D, interval_fs=20.0, frames=500, **fields)


def coefficient(frames, settings=SHORT_LAGS):
    return diffuse(settings.kept(frames), settings)[1]["Ar"]


def test_displacement_is_the_mean_over_atoms_and_origins():
    positions = np.cumsum(np.random.default_rng(0).standard_normal((30, 4, 3)), axis=0) + 1000.0
    direct = [0.0] + [((positions[lag:] - positions[:-lag]) ** 2).sum(axis=2).mean() for lag in range(1, 30)]
    assert square_displacement(positions) == pytest.approx(direct, abs=1e-9)


def test_autocorrelation_is_the_mean_over_origins():
    series = np.random.default_rng(1).standard_normal((25, 3, 50))
    direct = [(series[lag:] * series[: 25 - lag]).sum() / (25 - lag) for lag in range(25)]
    assert autocorrelation(series) == pytest.approx(direct, abs=1e-10)


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_unwrapping_undoes_wrapping_in_any_cell(pbc):
    rng = np.random.default_rng(2)
    positions = rng.random((6, 3)) @ CELL + np.cumsum(0.4 * rng.standard_normal((200, 6, 3)), axis=0)
    frames = [Atoms("Ar6", positions=each, cell=CELL, pbc=pbc) for each in positions]
    start = frames[0].positions.copy()
    for frame in frames[1:]:
        frame.wrap()
    assert unwrapped(frames, remove_drift=False) == pytest.approx(positions - positions[0] + start, abs=1e-9)
    held = unwrapped(frames)
    assert np.ptp(held.mean(axis=1), axis=0) == pytest.approx(0.0, abs=1e-9)


def test_unwrapped_frames_far_from_the_cell_do_not_jump_when_it_breathes():
    rng = np.random.default_rng(3)
    scaled = rng.random((5, 3)) + 50.0
    frames = [Atoms("Ar5", scaled_positions=scaled, cell=10.0 * size * np.eye(3), pbc=True) for size in (1, 1.01, 1)]
    moved = unwrapped(frames, remove_drift=False)
    assert np.abs(moved - moved[0]).max() <= 0.1 + 1e-9  # 1 % of a cell length, not of fifty
    assert moved[2] == pytest.approx(moved[0], abs=1e-9)


def test_a_known_walk_diffuses_as_it_should():
    found = coefficient(walk(atoms=200))
    expected = D * (1 - 1 / 200)  # the centre of mass takes its share along
    assert found.error_cm2_s < 0.03 * D
    assert found.coefficient_cm2_s == pytest.approx(expected, abs=3 * found.error_cm2_s)
    assert found.exponent == pytest.approx(1.0, abs=0.05)


def test_errors_are_the_scatter_of_repeated_walks():
    found = [coefficient(walk(seed, atoms=20)) for seed in range(30)]
    values = np.array([each.coefficient_cm2_s for each in found])
    errors = np.array([each.error_cm2_s for each in found])
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.4)
    assert values.mean() == pytest.approx(D * 19 / 20, abs=3 * values.std(ddof=1) / np.sqrt(30))


def test_drift_diffuses_only_where_it_is_kept():
    frames = walk(atoms=100, drift_a=0.2)
    held = coefficient(frames)
    assert held.coefficient_cm2_s == pytest.approx(0.99 * D, abs=4 * held.error_cm2_s)
    drifting = coefficient(frames, replace(SHORT_LAGS, remove_drift=False))
    assert drifting.coefficient_cm2_s > 1.5 * D and drifting.exponent > 1.1


def test_elements_differ():
    frames = walk(atoms=40)
    for frame in frames:
        frame.symbols[:20] = "Ne"
    still = frames[0].positions[20:]
    for frame in frames:
        frame.positions[20:] = still
    table, found = diffuse(SHORT_LAGS.kept(frames), replace(SHORT_LAGS, remove_drift=False))
    assert found["Ne"].coefficient_cm2_s == pytest.approx(D, rel=0.2)
    assert found["Ar"].coefficient_cm2_s == pytest.approx(0.0, abs=1e-12) and found["Ar"].exponent is None
    assert list(table) == ["time_ps", "msd_Ar_a2", "msd_Ne_a2"] and table["time_ps"][1] == pytest.approx(0.02)
    assert table["msd_Ne_a2"][10] == pytest.approx(6 * D * 10 * 200.0, rel=0.1)


def test_atoms_on_their_sites_do_not_diffuse():
    rng = np.random.default_rng(4)
    sites = rng.random((50, 3)) @ CELL
    frames = [Atoms("Ar50", positions=sites + 0.1 * rng.standard_normal((50, 3)), cell=CELL, pbc=True)] * 1
    frames += [
        Atoms("Ar50", positions=sites + 0.1 * rng.standard_normal((50, 3)), cell=CELL, pbc=True) for _ in range(99)
    ]
    settings = DiffusionSettings(frame_interval_fs=100.0)
    found = coefficient(frames, settings)
    assert abs(found.coefficient_cm2_s) < 3 * found.error_cm2_s and abs(found.exponent) < 0.05


def test_steps_near_half_the_cell_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        unwrapped(walk(atoms=5))
    assert not caplog.records
    rng = np.random.default_rng(5)
    fast = brownian(rng, diffusion_cm2_s=2e-2, interval_fs=20.0, frames=30, atoms=5)
    with caplog.at_level(logging.WARNING):
        unwrapped(fast)
    assert "near half of the cell" in caplog.text and len(caplog.records) == 1


def test_the_error_of_a_mean_of_correlated_values():
    rng = np.random.default_rng(6)
    noise = rng.standard_normal((200, 2000))
    series = np.array([np.convolve(row, np.ones(10) / 10, mode="valid") for row in noise])
    found = np.array([block_mean(row, 10) for row in series])
    assert np.sqrt((found[:, 1] ** 2).mean()) == pytest.approx(found[:, 0].std(), rel=0.15)
    assert block_mean(np.array([3.0]), 5) == (3.0, None)


def test_the_time_between_frames():
    frames = walk(atoms=2)[:11]
    assert dated(frames).interval_fs == pytest.approx(20.0) and len(dated(frames).frames) == 11
    assert dated(frames[::2]).interval_fs == pytest.approx(40.0)
    end = frames[10].copy()
    end.info["time_fs"] = 207.0
    assert len(dated([*frames, end]).frames) == 11  # a run writes its end in any case
    assert DiffusionSettings(frame_interval_fs=5.0).kept([*frames, end]).interval_fs == 5.0
    bare = [Atoms("Ar", cell=CELL, pbc=True)] * 3
    assert dated(bare).interval_fs is None
    for uneven in ([*frames, *frames], [frames[0], frames[2], frames[3], frames[4]], frames[::-1], frames[:1] * 3):
        with pytest.raises(StructureError, match="equally spaced"):
            dated(uneven)


def test_trajectories_that_are_none():
    with pytest.raises(StructureError, match="no frames"):
        Trajectory([])
    with pytest.raises(StructureError, match="no atoms"):
        Trajectory([Atoms()])
    with pytest.raises(StructureError, match="frame 1 of the trajectory has other atoms"):
        Trajectory([Atoms("ArNe"), Atoms("NeAr")])
    with pytest.raises(StructureError, match="periodic in other directions"):
        Trajectory([Atoms("Ar", pbc=False), Atoms("Ar", pbc=True)])
    with pytest.raises(StructureError, match="frame 0 of the trajectory has positions that are not finite"):
        Trajectory([Atoms("Ar", positions=[[np.nan, 0, 0]])])


def test_obstacles():
    frames = walk(atoms=3)
    assert obstacle(SHORT_LAGS.kept(frames), SHORT_LAGS) is None
    assert "20 frames are too few" in obstacle(SHORT_LAGS.kept(frames[:20]), SHORT_LAGS)
    assert "frame_interval_fs" in obstacle(Trajectory(frames), SHORT_LAGS)
    no_cell = [Atoms("Ar3", positions=frame.positions, pbc=(True, False, False)) for frame in frames]
    assert "without a lattice vector" in obstacle(Trajectory(no_cell, 1.0), SHORT_LAGS)
    assert "its own centre of mass" in obstacle(Trajectory([frame[:1] for frame in frames], 1.0), SHORT_LAGS)


def test_settings_that_contradict():
    with pytest.raises(ConfigError, match="fit_start_percent = 60"):
        DiffusionSettings(fit_start_percent=60.0)
    with pytest.raises(ConfigError, match="at most 100"):
        DiffusionSettings(fit_end_percent=101.0)
    with pytest.raises(ConfigError, match="skip_frames = 500: the trajectory has 500 frames"):
        DiffusionSettings(skip_frames=500).kept(walk(atoms=1))
