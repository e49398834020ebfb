"""Algebra of elastic tensors: rotation, symmetry, averages and sound against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from scipy.spatial.transform import Rotation

from alignn_ff.workflows.elastic_fit import fit_stress
from alignn_ff.workflows.elastic_moduli import cubic_constants, density_g_cm3, elasticity
from alignn_ff.workflows.elastic_tensor import (
    Tensor,
    bond_matrix,
    eigenvalues,
    sound_velocities_m_s,
    symmetrised,
)
from alignn_ff.workflows.symmetry import point_group_rotations, standard_rotation

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
TURN = Rotation.from_euler("zyx", [0.3, -1.1, 0.7]).as_matrix()


def exact(values):
    return Tensor(np.array(values, dtype=float), np.zeros((6, 6)))


def cubic(c11, c12, c44):
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return exact(matrix)


def positive(seed=0):
    factor = np.random.default_rng(seed).normal(size=(6, 6))
    return exact(factor @ factor.T + np.eye(6))


def full(matrix):
    """Rank four [3, 3, 3, 3], filled component by component."""
    found = np.zeros((3, 3, 3, 3))
    for i, (a, b) in enumerate(VOIGT):
        for j, (c, d) in enumerate(VOIGT):
            for m, n in ((a, b), (b, a)):
                for p, q in ((c, d), (d, c)):
                    found[m, n, p, q] = matrix[i, j]
    return found


def test_rotation_is_that_of_the_rank_four_tensor():
    tensor = positive()
    directly = np.einsum("ia,jb,kc,ld,abcd", *[TURN] * 4, full(tensor.values))
    assert full(symmetrised(tensor, TURN[None]).values) == pytest.approx(directly, abs=1e-12)
    assert bond_matrix(np.eye(3)) == pytest.approx(np.eye(6), abs=1e-15)


def test_no_rotation_changes_eigenvalues_or_averages():
    crystal = bulk("Cu")
    one, other = (elasticity(tensor, crystal) for tensor in (positive(), symmetrised(positive(), TURN[None])))
    assert other.eigenvalues_gpa == pytest.approx(one.eigenvalues_gpa, rel=1e-10)
    for name in ("bulk_modulus_reuss_gpa", "shear_modulus_voigt_gpa", "universal_anisotropy", "debye_temperature_k"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-10)


def test_a_cubic_group_leaves_three_constants_and_averages_the_errors():
    group = point_group_rotations(bulk("Cu"), 0.01)
    assert len(group) == 48
    rng = np.random.default_rng(3)
    raw = Tensor(rng.normal(size=(6, 6)), np.full((6, 6), 0.1))
    found = symmetrised(raw, group)
    c11, c12, c44 = found.values[0, 0], found.values[0, 1], found.values[3, 3]
    assert found.values == pytest.approx(cubic(c11, c12, c44).values, abs=1e-12)
    assert c11 == pytest.approx(raw.values[[0, 1, 2], [0, 1, 2]].mean())
    assert found.errors[0, 0] == pytest.approx(0.1 / np.sqrt(3)) and found.errors[0, 1] == pytest.approx(
        0.1 / np.sqrt(6)
    )
    assert symmetrised(found, group).values == pytest.approx(found.values, abs=1e-12)


def test_standard_axes_of_a_turned_cubic_crystal_are_its_own():
    crystal = bulk("Cu")
    crystal.set_cell(crystal.cell[:] @ TURN.T, scale_atoms=True)
    turned = symmetrised(cubic(168.4, 121.4, 75.4), TURN[None])
    back = symmetrised(turned, standard_rotation(crystal, 0.01)[None])
    assert back.values == pytest.approx(cubic(168.4, 121.4, 75.4).values, abs=1e-9)
    assert symmetrised(turned, point_group_rotations(crystal, 0.01)).values == pytest.approx(turned.values, abs=1e-9)


def test_copper_from_its_measured_constants():
    """C11 168.4, C12 121.4, C44 75.4 GPa, a 3.615 Å: Simmons and Wang's handbook of single-crystal constants."""
    crystal = bulk("Cu", a=3.615)
    found, constants = elasticity(cubic(168.4, 121.4, 75.4), crystal), cubic_constants(cubic(168.4, 121.4, 75.4).values)
    zener = 2 * 75.4 / (168.4 - 121.4)
    assert constants.zener_anisotropy == pytest.approx(zener)
    assert found.bulk_modulus_hill_gpa == pytest.approx((168.4 + 2 * 121.4) / 3)
    # Ranganathan and Ostoja-Starzewski, equation for cubic crystals
    assert found.universal_anisotropy == pytest.approx(1.2 * (np.sqrt(zener) - 1 / np.sqrt(zener)) ** 2)
    assert found.eigenvalues_gpa == pytest.approx([47.0, 47.0, 150.8, 150.8, 150.8, 411.2])
    assert density_g_cm3(crystal) == pytest.approx(8.93, abs=0.01)
    assert found.debye_temperature_k == pytest.approx(343, rel=0.02)  # K, from its specific heat near 0 K
    assert found.young_modulus_hill_gpa == pytest.approx(
        2 * found.shear_modulus_hill_gpa * (1 + found.poisson_ratio_hill)
    )


def test_an_isotropic_solid_has_one_sound_in_every_direction():
    k, g = 100.0, 40.0
    tensor = cubic(k + 4 * g / 3, k - 2 * g / 3, g)
    crystal = bulk("Al")
    found, density = elasticity(tensor, crystal), density_g_cm3(crystal)
    directions = np.random.default_rng(0).normal(size=(5, 3))
    velocities = sound_velocities_m_s(tensor.values, density, directions)
    expected = [found.transverse_velocity_m_s] * 2 + [found.longitudinal_velocity_m_s]
    assert velocities == pytest.approx(np.array([expected] * 5), rel=1e-9)
    assert found.universal_anisotropy == pytest.approx(0.0, abs=1e-12)
    assert found.bulk_modulus_reuss_gpa == pytest.approx(k) and found.shear_modulus_hill_gpa == pytest.approx(g)


def test_sound_along_cubic_axes_has_closed_forms():
    c11, c12, c44, density = 168.4, 121.4, 75.4, 8.93
    velocities = sound_velocities_m_s(cubic(c11, c12, c44).values, density, np.array([[1, 0, 0], [1, 1, 0]]))
    squares = np.array([[c44, c44, c11], [(c11 - c12) / 2, c44, (c11 + c12) / 2 + c44]]) / density * 1e6
    assert velocities**2 == pytest.approx(squares, rel=1e-9)
    unstable = sound_velocities_m_s(cubic(100.0, 120.0, 50.0).values, density, np.array([[1, 1, 0]]))
    assert np.isnan(unstable[0, 0]) and np.isfinite(unstable[0, 1:]).all()


def test_verdicts():
    crystal = bulk("Cu")
    assert elasticity(cubic(170, 120, 75), crystal).stability == "stable"
    unstable = elasticity(cubic(120, 130, 75), crystal)
    assert unstable.stability == "unstable" and unstable.smallest_eigenvalue_gpa == pytest.approx(-10.0)
    assert unstable.bulk_modulus_voigt_gpa == pytest.approx(380 / 3)
    assert unstable.bulk_modulus_reuss_gpa is None and unstable.debye_temperature_k is None
    vague = Tensor(cubic(121, 120, 75).values, np.full((6, 6), 5.0))
    assert elasticity(vague, crystal).stability.startswith("undecided")


def test_error_of_an_eigenvalue_is_its_spread():
    rng = np.random.default_rng(5)
    tensor = Tensor(cubic(150, 110, 80).values + np.diag([0, 20, 30, 0, 0, -20]), np.full((6, 6), 0.2))
    value, error = eigenvalues(tensor)
    drawn = [eigenvalues(Tensor(tensor.values + 0.2 * symmetric_noise(rng), tensor.errors))[0][0] for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(value[0], abs=3 * error)
    assert np.std(drawn) == pytest.approx(error, rel=0.1)


def symmetric_noise(rng):
    noise = np.triu(rng.normal(size=(6, 6)))
    return noise + np.triu(noise, 1).T


def test_fit_of_a_known_polynomial():
    strains = np.array([-3, -2, -1, 1, 2, 3]) * 0.002
    c = positive(1).values
    stresses = np.array([1.0 + np.outer(strains, c[:, d]) + 40 * strains[:, None] ** 2 for d in range(6)])
    fit = fit_stress(strains, stresses)
    assert fit.tensor.values == pytest.approx(c, abs=1e-9)
    assert fit.tensor.errors.max() < 1e-9 and fit.asymmetry_gpa < 1e-9 and fit.nonlinearity < 1e-9
    bent = fit_stress(strains, stresses + 1e5 * np.abs(c).max() * strains[None, :, None] ** 3)
    assert bent.tensor.values == pytest.approx(c, abs=1e-8) and bent.nonlinearity > 0.1


def test_fit_errors_are_those_of_the_noise():
    rng = np.random.default_rng(0)
    strains = np.array([-3, -2, -1, 1, 2, 3]) * 0.002
    c = positive(1).values
    clean = np.array([np.outer(strains, c[:, d]) for d in range(6)])
    fits = [fit_stress(strains, clean + 0.01 * rng.normal(size=clean.shape)).tensor for _ in range(300)]
    spread = np.std([fit.values for fit in fits], axis=0)
    stated = np.sqrt(np.mean([fit.errors**2 for fit in fits], axis=0))
    assert stated / spread == pytest.approx(np.ones((6, 6)), abs=0.25)
