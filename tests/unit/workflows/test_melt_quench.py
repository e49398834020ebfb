"""A crystal melts, is quenched, and what it was and became is told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import read

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.analysis import AnalysisSettings, run_analysis
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.melt_quench import MeltQuenchSettings, run_melt_quench
from benchmarks.ensembles import Argon

A = 5.6
"""Lattice constant in Å."""

FAST = {"ensemble": "nvt-langevin", "friction_per_fs": 0.002, "timestep_fs": 5.0, "temperature_k": 20.0}
BRIEF = FAST | {"hold_steps": 20, "heat_steps": 4, "melt_steps": 20, "quench_steps": 6, "traj_every": 2}


def argon(calc=None):
    atoms = bulk("Ar", cubic=True, a=A) * (3, 3, 3)
    atoms.calc = calc or Argon()
    return atoms


class Interrupted(Argon):
    """Somebody presses Ctrl-C at evaluation `at`."""

    at = 0

    def calculate(self, *args, **kwargs):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


def test_argon_melts_and_stays_disordered(tmp_path):
    steps = {"hold_steps": 160, "heat_steps": 120, "melt_steps": 600, "quench_steps": 240, "traj_every": 8}
    settings = MeltQuenchSettings(melt_temperature_k=1200.0, rdf_reach_a=8.0, **FAST, **steps)
    result = run_melt_quench(argon(), settings, folder=tmp_path)
    assert result.melted and result.outcome == "done" and result.melt_displacement_a > A / np.sqrt(2)
    assert result.cooling_rate_k_per_ps == pytest.approx(1180.0 / (240 * 0.005))
    crystal, melt, quenched = (result.states[name] for name in ("crystal", "melt", "quenched"))
    assert crystal.shell.coordination == pytest.approx(12.0, abs=0.1)
    assert crystal.shell.peak_a == pytest.approx(A / np.sqrt(2), abs=0.1)
    assert list(crystal.pairs) == ["Ar-Ar"] and melt.shell.coordination > 8
    density = 4 * 39.948 * 1.66053906660 / A**3
    assert [state.density_g_cm3 for state in (crystal, melt, quenched)] == pytest.approx([density] * 3)
    second = np.abs(result.rdf["melt"]["distance_a"] - A) < 0.3
    # the second shell of fcc at √2 of the first is what neither a liquid nor a glass has
    assert result.rdf["crystal"]["g"][second].max() > 1.15 > result.rdf["melt"]["g"][second].max()
    assert result.rdf["crystal"]["g"].max() > 2 * result.rdf["melt"]["g"].max()
    assert {path.name for path in tmp_path.iterdir()} >= {
        *("melt-quench.json", "melt-quench.png", "rdf-crystal.csv", "rdf-melt.csv", "rdf-quenched.csv"),
        *("melt.extxyz", "quenched.extxyz", "thermo.csv", "trajectory.extxyz", "md.json", "restart.npz"),
    }
    stored = json.loads((tmp_path / "melt-quench.json").read_text())
    assert stored["states"]["crystal"]["shell"]["coordination"] == pytest.approx(12.0, abs=0.1) and "rdf" not in stored
    assert "neighbours within" in dict(result.rows())["melt"]
    quarter = run_analysis(read(tmp_path / "trajectory.extxyz", ":20"), AnalysisSettings(blocks=2))
    assert quarter.interval_fs == pytest.approx(40.0)  # the frames of the run are those of any other


def test_what_does_not_melt_is_told():
    result = run_melt_quench(argon(), MeltQuenchSettings(melt_temperature_k=25.0, **BRIEF))
    assert not result.melted and result.outcome == "not converged" and result.melt_displacement_a < 1.0
    assert dict(result.rows())["melted"] == "no"


def test_a_broken_run_goes_on(tmp_path):
    settings = MeltQuenchSettings(melt_temperature_k=100.0, restart_every=10, **BRIEF)
    broken = argon(calc=Interrupted())
    broken.calc.at = 47
    with pytest.raises(KeyboardInterrupt):
        run_melt_quench(broken, settings, folder=tmp_path / "broken")
    assert not (tmp_path / "broken" / "melt-quench.json").exists()
    resumed = run_melt_quench(broken, settings, folder=tmp_path / "broken", resume=True)
    whole = run_melt_quench(argon(calc=Interrupted()), settings, folder=tmp_path / "whole")
    assert np.array_equal(resumed.atoms.positions, whole.atoms.positions)
    for name in ("trajectory.extxyz", "rdf-melt.csv", "melt-quench.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_stages_and_times():
    settings = MeltQuenchSettings(melt_temperature_k=1234.5, timestep_fs=2.0)
    stages = "5000@300,5000@300-1234.5,10000@1234.5,50000@1234.5-300,5000@300"
    assert settings.md == MDSettings(ensemble="npt", stages=stages, timestep_fs=2.0, traj_every=50)
    assert settings.spans_fs == {"crystal": (0, 10000), "melt": (20000, 40000), "quenched": (140000, 150000)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"melt_temperature_k": 300.0}, "melt_temperature_k = 300: more than temperature_k = 300"),
        ({"hold_steps": 400}, "must hold 5 frames; with traj_every = 50 it does not"),
        ({"ensemble": "nve"}, "One of nvt"),
        ({"ensemble": "nvt", "pressure_gpa": 1.0}, "ensemble nvt does not read it"),
        ({"rdf_bin_a": 9.0}, "rdf_bin_a = 9"),
    ],
)
def test_settings_that_contradict(fields, message):
    with pytest.raises(ConfigError, match=message):
        MeltQuenchSettings(**fields)


def test_molecules_are_refused():
    with pytest.raises(ConfigError, match="periodic in 3D"):
        run_melt_quench(molecule("H2O"))
