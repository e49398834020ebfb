"""Equations of state recover known curves and refuse scans without a minimum."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.eos import calculate_eos, vinet
from ase.io import read

from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.eos import EQUATIONS, EOSSettings, run_eos


class Vinet(Calculator):
    """A crystal whose energy is a Vinet curve of its volume: E0 -3 eV, B0 0.5 eV/Å³, B0' 5, V0 20 Å³."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        self.atoms = atoms.copy()
        energy = float(vinet(atoms.get_volume(), -3.0, 0.5, 5.0, 20.0))
        self.results = {"energy": energy, "free_energy": energy, "forces": np.zeros((len(atoms), 3))}


def copper(a=3.6):
    return metal("Cu", a)


def metal(element, a):
    atoms = bulk(element, a=a)
    atoms.calc = EMT()
    return atoms


def exact(volume=20.5):
    atoms = Atoms("H", cell=[volume ** (1 / 3)] * 3, pbc=True)
    atoms.calc = Vinet()
    return atoms


def test_vinet_curve_is_recovered_exactly():
    result = run_eos(exact(), EOSSettings(equation="vinet", volume_range_percent=10.0))
    assert result.volume_a3 == pytest.approx(20.0, rel=1e-6)
    assert result.energy_ev == pytest.approx(-3.0, abs=1e-8)
    assert result.bulk_modulus_gpa == pytest.approx(0.5 * GPA_PER_EV_A3, rel=1e-5)
    assert result.bulk_modulus_derivative == pytest.approx(5.0, abs=1e-4)
    assert result.residual_mev_per_atom < 1e-5


@pytest.mark.parametrize("equation", EQUATIONS)
def test_all_equations_agree_near_the_minimum(equation):
    result = run_eos(exact(20.0), EOSSettings(equation=equation, volume_range_percent=3.0))
    assert result.volume_a3 == pytest.approx(20.0, rel=1e-4)
    assert result.bulk_modulus_gpa == pytest.approx(0.5 * GPA_PER_EV_A3, rel=2e-3)
    assert result.bulk_modulus_derivative == pytest.approx(5.0, rel=0.05)


def test_copper_is_as_ase_fits_it():
    volume, energy, modulus = calculate_eos(copper(), npoints=11, eps=0.06).fit()
    result = run_eos(copper(), EOSSettings(equation="sj"))
    assert result.volume_a3 == pytest.approx(volume, rel=1e-5)
    assert result.energy_ev == pytest.approx(energy, abs=1e-6)
    assert result.bulk_modulus_gpa == pytest.approx(modulus * GPA_PER_EV_A3, rel=1e-3)
    assert (4 * result.volume_a3) ** (1 / 3) == pytest.approx(3.5898, abs=1e-3)  # lattice constant in ASE's manual


def test_aluminium_is_as_ase_fits_it():
    volume, _, modulus = calculate_eos(metal("Al", 4.0), npoints=11, eps=0.06).fit()
    result = run_eos(metal("Al", 4.0), EOSSettings(equation="sj"))
    assert result.volume_a3 == pytest.approx(volume, rel=1e-5)
    assert result.bulk_modulus_gpa == pytest.approx(modulus * GPA_PER_EV_A3, rel=5e-3)


def test_results_scale_with_the_cell():
    one = run_eos(copper())
    atoms = copper() * (2, 1, 1)
    atoms.calc = EMT()
    two = run_eos(atoms)
    assert two.volume_a3 == pytest.approx(2 * one.volume_a3, rel=1e-6)
    assert two.volume_per_atom_a3 == pytest.approx(one.volume_per_atom_a3, rel=1e-6)
    assert two.bulk_modulus_gpa == pytest.approx(one.bulk_modulus_gpa, rel=1e-4)


def test_atoms_relax_at_every_volume():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=2)
    atoms.calc = EMT()
    relaxed = run_eos(atoms, EOSSettings(points=5, fmax=0.005))
    clamped = run_eos(atoms, EOSSettings(points=5, relax=False))
    assert relaxed.scan["max_force_ev_per_a"].max() < 0.005 < 0.1 < clamped.scan["max_force_ev_per_a"].min()
    assert (relaxed.scan["energy_ev"] < clamped.scan["energy_ev"]).all()
    assert relaxed.bulk_modulus_gpa == pytest.approx(134.4, rel=0.02)
    assert clamped.outcome == "done"


def test_a_point_that_did_not_relax_is_told():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=2)
    atoms.calc = EMT()
    result = run_eos(atoms, EOSSettings(points=5, relax_steps=1))
    assert (result.converged, result.outcome) == (False, "not converged")


def test_input_is_never_touched():
    atoms = copper()
    before = atoms.copy()
    run_eos(atoms, EOSSettings(points=5))
    assert np.array_equal(atoms.cell[:], before.cell[:]) and np.array_equal(atoms.positions, before.positions)


@pytest.mark.parametrize(("length", "side"), [(3.9, "smallest"), (3.3, "largest")])
def test_a_minimum_outside_the_scan_is_an_error(length, side):
    with pytest.raises(ConfigError, match=f"{side} volume.*Relax the cell first"):
        run_eos(copper(length))


def test_only_crystals_have_one():
    atoms = molecule("CO")
    atoms.calc = EMT()
    with pytest.raises(ConfigError, match="periodic in 3D"):
        run_eos(atoms)
    with pytest.raises(ConfigError, match="no calculator"):
        run_eos(bulk("Cu"))


def test_interrupt_leaves_no_half_fit_but_the_points(tmp_path):
    class Impatient(Vinet):
        count = 0

        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            Impatient.count += 1
            if Impatient.count == 4:
                raise KeyboardInterrupt
            super().calculate(atoms, properties, system_changes)

    atoms = exact()
    atoms.calc = Impatient()
    with pytest.raises(KeyboardInterrupt):
        run_eos(atoms, folder=tmp_path)
    assert len((tmp_path / "points.csv").read_text().splitlines()) == 1 + 3
    assert not (tmp_path / "eos.json").exists()


def test_files_hold_the_result(tmp_path):
    result = run_eos(copper(), EOSSettings(points=7), folder=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"eos.json", "eos.png", "equilibrium.extxyz", "points.extxyz", "points.csv"}
    stored = json.loads((tmp_path / "eos.json").read_text())
    assert stored["bulk_modulus_gpa"] == result.bulk_modulus_gpa
    assert stored["scan"]["energy_ev"] == result.scan["energy_ev"].tolist()
    assert read(tmp_path / "equilibrium.extxyz").get_volume() == pytest.approx(result.volume_a3, rel=1e-6)
    energies = [frame.get_potential_energy() for frame in read(tmp_path / "points.extxyz", index=":")]
    assert energies == pytest.approx(result.scan["energy_ev"], abs=1e-6)
