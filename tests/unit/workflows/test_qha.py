"""Thermal expansion against a lattice sum of its own, and thermodynamic identities."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.force_constants import HarmonicSettings, force_constants
from alignn_ff.workflows.gruneisen import mode_gruneisen
from alignn_ff.workflows.qha import QHASettings, run_qha
from tests.unit.workflows.test_phonons import pair_frequencies

MESH = (5, 5, 5)


def argon():
    atoms = bulk("Ar", a=5.26)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=4.5)  # nearest neighbours only
    return atoms


@pytest.fixture(scope="module")
def solid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qha")
    settings = QHASettings(
        supercell=(2, 2, 2),
        mesh=MESH,
        band_points=5,
        max_temperature_k=40.0,
        temperature_step_k=2.0,
        points_below=1,
        points_above=6,
        fmax=1e-6,
    )
    return run_qha(argon(), settings, folder=folder), folder


@pytest.fixture(scope="module")
def copper_volumes():
    phonons = []
    for a in (3.59, 3.61, 3.57):
        atoms = bulk("Cu", a=a)
        atoms.calc = EMT()
        phonons.append(force_constants(atoms, np.diag([3, 3, 3]), HarmonicSettings()).phonon)
    return phonons


def free_energy(volume_atoms, temperature):
    """Static energy and vibrations of the lattice sum on the same mesh, eV."""
    atoms = volume_atoms.copy()
    atoms.calc = argon().calc
    steps = np.array(np.meshgrid(*[range(n) for n in MESH])).reshape(3, -1).T
    points = [step / np.array(MESH) for step in steps if step.any()]
    quanta = np.array([pair_frequencies(atoms, q) for q in points]) * 1e12 * units._hplanck / units._e
    thermal = 0.0 if temperature == 0 else units.kB * temperature * np.log1p(-np.exp(-quanta / units.kB / temperature))
    return atoms.get_potential_energy() + (0.5 * quanta + thermal).sum() / len(steps)


def test_expansion_is_that_of_the_lattice_sum(solid):
    result, _ = solid
    ratios = 1 + np.linspace(0.0, 0.12, 11)
    scaled = []
    for ratio in ratios:
        scaled.append(result.atoms.copy())
        scaled[-1].set_cell(result.atoms.cell[:] * ratio ** (1 / 3), scale_atoms=True)
    volumes = np.array([atoms.get_volume() for atoms in scaled])
    for temperature in (0.0, 20.0, 40.0):
        energies = [free_energy(atoms, temperature) for atoms in scaled]
        curve = np.polynomial.Polynomial.fit(volumes, energies, 5)
        minima = [root.real for root in curve.deriv().roots() if abs(root.imag) < 1e-9]
        minimum = min(minima, key=lambda volume: curve(volume))
        row = int(np.argmin(np.abs(result.temperatures["temperature_k"] - temperature)))
        assert result.temperatures["volume_a3"][row] == pytest.approx(minimum, rel=5e-4)
        assert result.temperatures["gibbs_free_energy_ev"][row] == pytest.approx(curve(minimum), abs=2e-5)
    assert result.temperatures["volume_a3"][-1] > 1.02 * result.static_volume_a3


def test_thermodynamic_identities(solid):
    result, _ = solid
    table = result.temperatures
    temperature, volume, gibbs = (table[name] for name in ("temperature_k", "volume_a3", "gibbs_free_energy_ev"))
    middle = slice(6, -1)
    entropy_ev = table["entropy_j_per_k_mol"] * units.J / units.mol
    assert entropy_ev[middle] == pytest.approx(-np.gradient(gibbs, temperature)[middle], rel=0.02)
    expansion = np.gradient(volume, temperature) / volume
    assert table["thermal_expansion_per_k"][middle] == pytest.approx(expansion[middle], rel=0.01)
    heat_ev = table["heat_capacity_p_j_per_k_mol"] * units.J / units.mol
    assert heat_ev[middle] == pytest.approx((temperature * np.gradient(entropy_ev, temperature))[middle], rel=0.05)
    assert (np.diff(table["bulk_modulus_gpa"]) < 0).all()  # heat softens
    assert table["a_a"] == pytest.approx((np.sqrt(2) * volume) ** (1 / 3), rel=1e-4)


def test_mode_gruneisen_parameters_are_logarithmic_derivatives(solid):
    """γ = -d ln ω / d ln V of the lattice sum."""
    result, _ = solid
    table = result.gruneisen_mesh
    row = int(np.flatnonzero(table["weight"] == table["weight"].max())[0])  # a general point, no two modes alike
    q = [table[f"q_{axis}"][row] for axis in (1, 2, 3)]
    found = []
    for ratio in (0.995, 1.005):
        atoms = result.atoms.copy()
        atoms.set_cell(atoms.cell[:] * ratio ** (1 / 3), scale_atoms=True)
        found.append(np.log(pair_frequencies(atoms, q)))
    expected = -(found[1] - found[0]) / np.log(1.005 / 0.995)
    mine = np.array([table[f"gruneisen_{mode}"][row] for mode in (1, 2, 3)])
    assert mine == pytest.approx(expected, rel=0.02)
    assert np.isnan(table["gruneisen_1"][0])  # translations have none
    assert set(result.gruneisen_bands["label"]) >= {"GAMMA", "X", "L"}


def test_mode_gruneisen_parameters_are_smooth_to_the_very_centre(copper_volumes):
    near, nearer = (mode_gruneisen(*copper_volumes, np.array([[f, f, 2 * f]])) for f in (0.01, 0.005))
    assert nearer == pytest.approx(near, rel=0.02) and np.ptp(near) > 0.5


def test_copper_expands_as_its_modes_say():
    settings = QHASettings(supercell=(2, 2, 2), mesh=(7, 7, 7), band_points=5, max_temperature_k=400.0)
    atoms = bulk("Cu")
    atoms.calc = EMT()
    result = run_qha(atoms, settings)
    assert result.converged and result.supercell_atoms == 8
    # the volume without vibrations is 2 % smaller, where modes are a little less anharmonic
    assert result.mean_mode_gruneisen_300k == pytest.approx(result.gruneisen_parameter_300k, rel=0.1)
    assert 35e-6 < result.thermal_expansion_300k_per_k < 75e-6  # measured 50e-6 1/K
    assert result.bulk_modulus_300k_gpa < 134.5 and 23 < result.heat_capacity_p_300k_j_per_k_mol < 26
    assert result.static_volume_a3 < result.zero_kelvin_volume_a3 < result.volume_300k_a3


def test_a_scan_left_behind_by_heat_is_cut_and_told(caplog):
    settings = QHASettings(
        supercell=(2, 2, 2),
        mesh=MESH,
        band_points=2,
        points_below=1,
        points_above=3,
        volume_step_percent=0.8,
        max_temperature_k=600.0,
        relax=False,
    )
    atoms = bulk("Cu", a=3.59)
    atoms.calc = EMT()
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_qha(atoms, settings)
    assert 200 < result.highest_temperature_k < 500 and "the tables end there" in caplog.text
    assert result.temperatures["volume_a3"].max() <= result.volumes["volume_a3"].max()
    narrow = QHASettings(**{**vars(settings), "volume_step_percent": 0.1})
    with pytest.raises(ConfigError, match="lies outside the scan"):
        run_qha(atoms, narrow)


def test_an_unstable_crystal_is_refused_with_the_mode():
    atoms = bulk("Cu", "bcc", a=2.86)
    atoms.calc = EMT()
    with pytest.raises(ConfigError, match=r"imaginary modes at 0\.960 of the relaxed volume: -.* THz at q = \["):
        run_qha(atoms, QHASettings(supercell=(2, 2, 2), mesh=MESH))


def test_files_hold_the_result(solid):
    result, folder = solid
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("qha.json", "qha.png", "crystal.extxyz", "volumes.csv", "temperatures.csv"),
        *("gruneisen_bands.csv", "gruneisen_mesh.csv"),
    }
    stored = json.loads((folder / "qha.json").read_text())
    assert stored["zero_kelvin_volume_a3"] == result.zero_kelvin_volume_a3 and stored["volume_300k_a3"] is None
    assert len((folder / "volumes.csv").read_text().splitlines()) == 1 + 8
    assert "thermal expansion" not in " ".join(label for label, _ in result.rows())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"points_below": 1, "points_above": 2}, "make 4 volumes"),
        ({"points_below": 10, "volume_step_percent": 6.0}, "less than 50"),
        ({"temperature_step_k": 500.0}, "at most a third"),
        ({"equation": "birchmurnaghan"}, "did you mean `birch_murnaghan`"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ConfigError, match=message):
        QHASettings(**fields)
