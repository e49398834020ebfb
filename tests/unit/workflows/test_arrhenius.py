"""Activation energies are those that walks were made with, and the errors those of the points."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import units

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.arrhenius import ArrheniusSettings, fitted, run_arrhenius
from alignn_ff.workflows.diffusion import Diffusion
from tests.unit.workflows.walks import brownian

ENERGY_EV, PREFACTOR_CM2_S = 0.25, 3e-3
SHORT_LAGS = ArrheniusSettings(fit_start_percent=0, fit_end_percent=15)


def law(temperature_k):
    return PREFACTOR_CM2_S * np.exp(-ENERGY_EV / (units.kB * temperature_k))


def walks(temperature_k, seed=0, atoms=60, frames=300):
    rng = np.random.default_rng([seed, int(temperature_k)])
    fields = {"frames": frames, "atoms": atoms, "temperature_k": temperature_k}
    return brownian(rng, diffusion_cm2_s=law(temperature_k), interval_fs=100.0, symbols="Li", **fields)


def points(temperatures, errors, rng=None):
    noise = np.zeros(len(temperatures)) if rng is None else rng.standard_normal(len(temperatures))
    return [
        Diffusion(float(law(t) * np.exp(error * shift)), float(law(t) * error), 1.0)
        for t, error, shift in zip(temperatures, errors, noise, strict=True)
    ]


def test_exact_points_give_the_law_back():
    temperatures = np.array([600.0, 800.0, 1000.0, 1300.0])
    fit = fitted(temperatures, points(temperatures, [0.1, 0.02, 0.05, 0.03]), 300.0)
    assert fit.activation_energy_ev == pytest.approx(ENERGY_EV, rel=1e-9)
    assert fit.prefactor.value_cm2_s == pytest.approx(PREFACTOR_CM2_S, rel=1e-8)
    assert fit.extrapolated.value_cm2_s == pytest.approx(law(300.0), rel=1e-8)
    assert fit.at(np.array([450.0])) == pytest.approx([law(450.0)], rel=1e-8) and fit.scatter < 1e-6


def test_errors_of_two_points_follow_from_theirs():
    temperatures, errors = np.array([700.0, 1100.0]), np.array([0.08, 0.03])
    fit = fitted(temperatures, points(temperatures, errors), 300.0)
    beta = 1 / (units.kB * temperatures)
    assert fit.activation_energy_error_ev == pytest.approx(np.hypot(*errors) / (beta[0] - beta[1]), rel=1e-9)
    assert fit.scatter is None


def test_errors_are_the_scatter_of_noisy_points():
    rng, temperatures = np.random.default_rng(0), np.array([600.0, 750.0, 900.0, 1200.0])
    errors = [0.15, 0.1, 0.05, 0.05]
    fits = [fitted(temperatures, points(temperatures, errors, rng), 300.0) for _ in range(400)]
    energies = np.array([fit.activation_energy_ev for fit in fits])
    cold = np.log([fit.extrapolated.value_cm2_s for fit in fits])
    assert energies.std() == pytest.approx(fits[0].activation_energy_error_ev, rel=0.12)
    assert cold.std() == pytest.approx(np.log(fits[0].extrapolated.error_factor), rel=0.12)
    assert np.mean([fit.scatter**2 for fit in fits]) == pytest.approx(1.0, abs=0.2)


def test_walks_of_known_activation(tmp_path):
    result = run_arrhenius([walks(1200.0), walks(700.0), walks(900.0)], SHORT_LAGS, folder=tmp_path)
    fit = result.fits["Li"]
    assert result.points["temperature_k"] == pytest.approx([700.0, 900.0, 1200.0])
    assert fit.activation_energy_error_ev < 0.02
    assert fit.activation_energy_ev == pytest.approx(ENERGY_EV, abs=4 * fit.activation_energy_error_ev)
    factor = fit.extrapolated.error_factor**4
    assert law(300.0) / factor < fit.extrapolated.value_cm2_s < law(300.0) * factor
    assert json.loads((tmp_path / "arrhenius.json").read_text())["fits"]["Li"]["prefactor"]["error_factor"] > 1
    assert (tmp_path / "points.csv").read_text().startswith("temperature_k,diffusion_Li_cm2_s,error_Li_cm2_s\n")
    rows = dict(result.rows())
    assert rows["activation energy of Li"].endswith("eV") and "times or over" in rows["diffusion of Li at 300 K"]
    assert len(result.plot().axes[0].lines) >= 2


def test_an_element_that_stays_has_no_fit():
    sets = [walks(t, atoms=20) for t in (700.0, 900.0)]
    for frames in sets:
        rng = np.random.default_rng(1)
        for frame in frames:
            frame.symbols[10:] = "O"
            frame.positions[10:] = sets[0][0].positions[10:] + 0.01 * rng.standard_normal((10, 3))
    settings = ArrheniusSettings(fit_start_percent=0, fit_end_percent=15, remove_drift=False)
    result = run_arrhenius(sets, settings)
    assert set(result.fits) == {"Li"} and "no more than twice its error" in result.left_out["O"]


def test_what_has_no_activation_energy():
    hot, cold = walks(900.0, atoms=4), walks(700.0, atoms=4)
    with pytest.raises(ConfigError, match=r"two temperatures or more; the trajectories have 900\.0 K\."):
        run_arrhenius([hot])
    with pytest.raises(ConfigError, match="two temperatures"):
        run_arrhenius([hot, walks(900.0, atoms=4)])
    with pytest.raises(ConfigError, match="two temperatures or more; the trajectories have none"):
        run_arrhenius([])
    with pytest.raises(ConfigError, match="no diffusion of trajectory 1: 20 frames are too few"):
        run_arrhenius([hot, cold[:20]])
    for frame in cold:
        frame.symbols[0] = "Na"
    with pytest.raises(StructureError, match="other elements: Li-Na, Li"):
        run_arrhenius([hot, cold])
    for frame in cold:
        del frame.arrays["momenta"]
    with pytest.raises(StructureError, match="trajectory 1 has no momenta"):
        run_arrhenius([hot, cold])
