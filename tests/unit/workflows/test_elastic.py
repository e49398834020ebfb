"""Elastic constants against second derivatives of the energy, theory, symmetry and the equation of state."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase.build import bulk, make_supercell, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from scipy.spatial.transform import Rotation

from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.elastic import ElasticSettings, run_elastic
from alignn_ff.workflows.elastic_scan import strained
from alignn_ff.workflows.elastic_tensor import Tensor, symmetrised
from alignn_ff.workflows.eos import EOSSettings, run_eos
from alignn_ff.workflows.relax import RelaxSettings, run_relax

CLAMPED = ElasticSettings(relax_ions=False, axes="input")
TURN = Rotation.from_euler("zyx", [0.4, 1.0, -0.6]).as_matrix()


def crystal(*args, calculator=EMT, **kwargs):
    atoms = bulk(*args, **kwargs)
    atoms.calc = calculator()
    return atoms


@pytest.fixture(scope="module")
def alloy():
    """A triclinic crystal at its energy minimum, with internal degrees of freedom: seven elements in an fcc cell."""
    atoms = make_supercell(bulk("Cu", a=3.9), [[1, 1, 0], [4, 0, 1], [7, 0, 0]])
    atoms.symbols = "CuAuNiPdAgPtAl"
    atoms.calc = EMT()
    relaxed = run_relax(atoms, RelaxSettings(fmax=1e-5, optimizer="BFGS"))
    assert relaxed.converged and relaxed.space_group_after == "P1 (1)"
    return relaxed.atoms


@pytest.fixture(scope="module")
def alloy_elastic(alloy):
    start = alloy.copy()
    start.calc = EMT()
    return run_elastic(start, ElasticSettings(relax=False, fmax=1e-5, axes="input"))


def energy_of(atoms, *strains):
    """Energy after a sum of Voigt strains."""
    deformed = atoms.copy()
    total = sum(strained(atoms, d, e).cell[:] - atoms.cell[:] for d, e in strains)
    deformed.set_cell(atoms.cell[:] + total, scale_atoms=True)
    deformed.calc = EMT()
    return deformed.get_potential_energy()


def second_derivatives_gpa(atoms, h=2e-3):
    """C_ij by central differences of the energy alone; error of order h²."""
    found = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
            found[i, j] = sum(s * t * energy_of(atoms, (i, s * h), (j, t * h)) for s, t in signs) / (4 * h * h)
    return found * GPA_PER_EV_A3 / atoms.get_volume()


def test_triclinic_tensor_is_the_second_derivative_of_the_energy(alloy, alloy_elastic):
    expected = second_derivatives_gpa(alloy)
    found = alloy_elastic.clamped_ion.tensor_gpa
    assert found == pytest.approx(expected, abs=0.005 * expected.max())
    assert np.abs(expected[:3, 3:]).min() > 0.001 * expected.max()  # it is triclinic
    assert alloy_elastic.asymmetry_gpa < 0.01


def test_relaxed_ions_soften_as_theory_says(alloy, alloy_elastic):
    """C_relaxed = C_clamped - Λᵀ Φ⁺ Λ / V with Φ = ∂²E/∂u∂u, Λ = ∂²E/∂u∂ε (Born and Huang, 1954)."""

    def forces(atoms):
        copy = atoms.copy()
        copy.calc = EMT()
        return copy.get_forces().ravel()

    def moved(place, h):
        copy = alloy.copy()
        copy.positions.flat[place] += h
        return copy

    h = 1e-4
    hessian = [(forces(moved(k, -h)) - forces(moved(k, h))) / (2 * h) for k in range(3 * len(alloy))]
    coupling = [(forces(strained(alloy, d, -h)) - forces(strained(alloy, d, h))) / (2 * h) for d in range(6)]
    softening = np.array(coupling) @ np.linalg.pinv(hessian, rcond=1e-6) @ np.array(coupling).T
    expected = alloy_elastic.clamped_ion.tensor_gpa - softening * GPA_PER_EV_A3 / alloy.get_volume()
    found = alloy_elastic.relaxed_ion.tensor_gpa
    assert found == pytest.approx(expected, abs=0.005 * expected.max())
    assert alloy_elastic.ion_relaxation_gpa > 0.05 * expected.max()
    assert np.linalg.eigvalsh(alloy_elastic.clamped_ion.tensor_gpa - found).min() > -0.02  # never stiffer


def test_bulk_modulus_is_that_of_the_equation_of_state(alloy, alloy_elastic):
    start = alloy.copy()
    start.calc = EMT()
    scan = EOSSettings(volume_range_percent=2.0, points=7, fmax=1e-4)
    # the scan keeps the shape of the cell, which is Voigt's average
    assert alloy_elastic.relaxed_ion.bulk_modulus_voigt_gpa == pytest.approx(
        run_eos(start, scan).bulk_modulus_gpa, rel=0.01
    )
    copper = run_elastic(crystal("Cu"), CLAMPED)
    relaxed = copper.atoms.copy()
    relaxed.calc = EMT()
    assert copper.elasticity.bulk_modulus_reuss_gpa == pytest.approx(run_eos(relaxed, scan).bulk_modulus_gpa, rel=2e-3)


@pytest.mark.parametrize("element", ["Cu", "Al"])
def test_cubic_metals_against_energies(element):
    result = run_elastic(crystal(element))
    expected = second_derivatives_gpa(result.atoms)
    found = (result.cubic.c11_gpa, result.cubic.c12_gpa, result.cubic.c44_gpa)
    assert found == pytest.approx((expected[0, 0], expected[0, 1], expected[3, 3]), rel=0.002)
    assert result.space_group == "Fm-3m (225)" and result.relaxed_ion.stability == "stable"
    # every atom is a centre of inversion: nothing to relax
    assert np.array_equal(result.relaxed_ion.tensor_gpa, result.clamped_ion.tensor_gpa)


def test_argon_obeys_cauchys_relation():
    """Central pair forces at zero pressure, every atom a centre of inversion: C12 = C44 (Born and Huang, 1954)."""
    atoms = bulk("Ar", a=5.26)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5, smooth=True)
    result = run_elastic(atoms, ElasticSettings(fmax=1e-6))
    assert result.cubic.c12_gpa == pytest.approx(result.cubic.c44_gpa, rel=2e-3)
    assert 3.5 < result.cubic.c11_gpa < 5.0  # measured 4.2 GPa near 0 K


def test_turning_the_input_turns_the_tensor_and_nothing_else():
    straight = run_elastic(crystal("Cu"), CLAMPED)
    atoms = crystal("Cu")
    atoms.set_cell(atoms.cell[:] @ TURN.T, scale_atoms=True)
    turned = run_elastic(atoms, CLAMPED)
    expected = symmetrised(Tensor(straight.clamped_ion.tensor_gpa, np.zeros((6, 6))), TURN[None]).values
    assert turned.clamped_ion.tensor_gpa == pytest.approx(expected, abs=0.02)
    assert np.abs(turned.clamped_ion.tensor_gpa - straight.clamped_ion.tensor_gpa).max() > 5.0
    assert turned.cubic.c44_gpa == pytest.approx(straight.cubic.c44_gpa, rel=1e-4)
    assert turned.elasticity.debye_temperature_k == pytest.approx(straight.elasticity.debye_temperature_k, rel=1e-4)
    standard = run_elastic(atoms, ElasticSettings(relax_ions=False))
    assert standard.clamped_ion.tensor_gpa == pytest.approx(straight.clamped_ion.tensor_gpa, abs=0.02)
    assert abs(standard.axes @ TURN) == pytest.approx(abs(standard.axes @ TURN).round(), abs=1e-6)  # cubic axes again


def test_hexagonal_copper_has_five_constants():
    result = run_elastic(crystal("Cu", "hcp", a=2.55, c=4.16))
    c = result.relaxed_ion.tensor_gpa
    assert result.space_group == "P6_3/mmc (194)" and result.cubic is None
    assert (c[0, 0], c[0, 2], c[3, 3]) == pytest.approx((c[1, 1], c[1, 2], c[4, 4]), rel=1e-9)
    assert c[5, 5] == pytest.approx((c[0, 0] - c[0, 1]) / 2, rel=1e-9)
    assert c[:3, 3:] == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert abs(c[2, 2] - c[0, 0]) > 5.0
    assert result.ion_relaxation_gpa > 0.5  # the two atoms shift against each other in the plane
    assert result.relaxed_ion.tensor_gpa[2, 2] == pytest.approx(result.clamped_ion.tensor_gpa[2, 2], rel=1e-4)


def test_diamond_silicon_softens_in_shear_only():
    result = run_elastic(crystal("Si", calculator=AlignnFFCalculator))
    clamped, relaxed = result.clamped_ion.tensor_gpa, result.relaxed_ion.tensor_gpa
    assert relaxed[3, 3] < 0.85 * clamped[3, 3]  # Kleinman's internal displacement
    assert relaxed[:3, :3] == pytest.approx(clamped[:3, :3], rel=1e-3)


def test_an_unstable_crystal_gets_a_verdict_and_a_partial_result(caplog):
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_elastic(crystal("Cu", "bcc", a=2.86), CLAMPED)
    found = result.elasticity
    assert result.space_group == "Im-3m (229)"
    assert found.stability == "unstable"
    assert found.smallest_eigenvalue_gpa == pytest.approx(result.cubic.c11_gpa - result.cubic.c12_gpa, rel=1e-6)
    assert found.smallest_eigenvalue_gpa < -1.0
    assert found.bulk_modulus_voigt_gpa > 100 and found.bulk_modulus_hill_gpa is None
    assert result.cubic.zener_anisotropy is None
    assert "mechanically unstable" in caplog.text
    labels = [label for label, _ in result.rows()]
    assert "Born stability" in labels and "Debye temperature" not in labels and "sound" not in result.tables()


def test_under_pressure_the_bulk_modulus_is_that_of_pressure_over_volume():
    result = run_elastic(crystal("Cu"), ElasticSettings(pressure_gpa=20.0, relax_ions=False))
    pressures, volumes = [], []
    for scale in (0.999, 1.001):
        atoms = result.atoms.copy()
        atoms.set_cell(atoms.cell[:] * scale, scale_atoms=True)
        atoms.calc = EMT()
        pressures.append(-atoms.get_stress()[:3].mean() * GPA_PER_EV_A3)
        volumes.append(atoms.get_volume())
    modulus = -result.volume_a3 * (pressures[1] - pressures[0]) / (volumes[1] - volumes[0])
    assert np.mean(pressures) == pytest.approx(20.0, abs=0.05)
    assert result.elasticity.bulk_modulus_hill_gpa == pytest.approx(modulus, rel=2e-3)
    assert result.residual_stress_gpa < 0.01


def test_an_unrelaxed_input_is_told(caplog):
    squeezed = crystal("Cu", a=3.5)
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_elastic(squeezed, ElasticSettings(relax=False, relax_ions=False))
    assert result.residual_stress_gpa > 5.0 and "not at its energy minimum" in caplog.text
    assert result.volume_a3 == pytest.approx(squeezed.get_volume())


def test_a_relaxation_that_ran_out_of_steps_is_told(caplog):
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_elastic(crystal("Cu", a=3.5), ElasticSettings(relax_ions=False, relax_steps=1))
    assert result.outcome == "not converged" and "did not converge" in caplog.text


def test_strain_beyond_the_linear_range_is_told(caplog):
    atoms = bulk("Ar", a=5.26)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.5, smooth=True)
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_elastic(atoms, ElasticSettings(strain_percent=4.0, relax_ions=False))
    assert result.nonlinearity_percent > 2.0 and "not linear" in caplog.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"points": 7}, "an even number"),
        ({"points": 4}, "at least 6"),
        ({"strain_percent": 8.0}, "at most 5 %"),
        ({"axes": "cartesian"}, "One of standard, input"),
        ({"relax": False, "pressure_gpa": 1.0}, "relax is off"),
        ({"relax": False, "relax_ions": False, "fmax": 0.1}, "nothing is relaxed"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ConfigError, match=message):
        ElasticSettings(**fields)


def test_only_crystals_with_stress_have_one():
    lone = molecule("CO")
    lone.calc = EMT()
    with pytest.raises(ConfigError, match="not a crystal"):
        run_elastic(lone)

    class WithoutStress(EMT):
        implemented_properties = ("energy", "forces")

        def calculate(self, *args, **kwargs):
            super().calculate(*args, **kwargs)
            self.results.pop("stress", None)

    with pytest.raises(ConfigError, match="offers no stress"):
        run_elastic(crystal("Cu", calculator=WithoutStress))


def test_files_hold_the_result_and_the_input_is_untouched(tmp_path):
    atoms = crystal("Cu")
    before = atoms.copy()
    result = run_elastic(atoms, folder=tmp_path)
    assert atoms == before
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("elastic.json", "elastic.png", "crystal.extxyz"),
        *("strains.csv", "tensor.csv", "sound.csv", "cubic.csv"),
    }
    stored = json.loads((tmp_path / "elastic.json").read_text())
    assert stored["relaxed_ion"]["tensor_gpa"] == result.relaxed_ion.tensor_gpa.tolist()
    header, line = (tmp_path / "cubic.csv").read_text().splitlines()
    assert header.startswith("c11_gpa,c12_gpa,c44_gpa,zener_anisotropy,bulk_modulus_hill_gpa")
    assert float(line.split(",")[0]) == pytest.approx(result.cubic.c11_gpa)
    assert len((tmp_path / "strains.csv").read_text().splitlines()) == 1 + 2 * 36
    rows = dict(result.rows())
    assert rows["C11"] == f"{result.cubic.c11_gpa:.2f} GPa" and "Zener anisotropy" in rows


def test_interrupt_keeps_the_strains_computed(tmp_path):
    class Impatient(EMT):
        count = 0

        def calculate(self, *args, **kwargs):
            Impatient.count += 1
            if Impatient.count == 9:
                raise KeyboardInterrupt
            super().calculate(*args, **kwargs)

    with pytest.raises(KeyboardInterrupt):
        run_elastic(crystal("Cu", a=3.59, calculator=Impatient), ElasticSettings(relax=False), folder=tmp_path)
    assert 5 < len((tmp_path / "strains.csv").read_text().splitlines()) < 9
    assert not (tmp_path / "elastic.json").exists()
