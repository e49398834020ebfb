"""Phonons against analytic dynamical matrices, ASE's own, sum rules and thermodynamics."""

from __future__ import annotations

import json
import logging

import numpy as np
import phonopy
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read
from ase.phonons import Phonons
from scipy.spatial.transform import Rotation

from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.errors import ConfigError
from alignn_ff.workflows.force_constants import HarmonicSettings, force_constants, from_phonopy, to_phonopy
from alignn_ff.workflows.phonon_bands import bands_along, frequencies_thz, points_of, standard_path
from alignn_ff.workflows.phonon_dos import density_of_states, run_mesh, thermal_properties
from alignn_ff.workflows.phonon_stability import IMAGINARY, NEAR_GAMMA, STABLE, commensurate_points, stability
from alignn_ff.workflows.phonons import PhononSettings, run_phonons
from alignn_ff.workflows.supercell import chosen_supercell

QUICK = {"mesh": (7, 7, 7), "band_points": 11, "temperature_step_k": 100.0}
X, L = (0.5, 0.0, 0.5), (0.5, 0.5, 0.5)
THZ_PER_ROOT = np.sqrt(units._e / units._amu) * 1e10 / (2 * np.pi) * 1e-12
"""Frequency of the square root of 1 eV/Å²/u."""

GAS_CONSTANT_J_PER_K_MOL = 8.31446261815324


def crystal(*args, calculator=EMT, **kwargs):
    atoms = bulk(*args, **kwargs)
    atoms.calc = calculator()
    return atoms


def argon():
    atoms = bulk("Ar", a=5.26)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=4.5)  # nearest neighbours only
    return atoms


@pytest.fixture(scope="module")
def copper():
    return run_phonons(crystal("Cu"), PhononSettings(supercell=(4, 4, 4), **QUICK))


@pytest.fixture(scope="module")
def cuau():
    """Force constants of L1_0 CuAu: two elements, a primitive cell of two atoms."""
    atoms = Atoms("CuAu", cell=[2.75, 2.75, 3.6], pbc=True, scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)])
    atoms.calc = EMT()
    return force_constants(atoms, np.diag([3, 3, 2]), HarmonicSettings()).phonon


def at(result, q):
    return result.phonon.run_qpoints([q]).frequencies[0]


def pair_frequencies(atoms, q, sigma=3.4, epsilon=0.0104, cutoff=4.5):
    """THz, from the dynamical matrix of a pair potential, summed over a lattice with one atom per cell."""
    steps = np.array(np.meshgrid(*[range(-4, 5)] * 3)).reshape(3, -1).T
    vectors = steps @ atoms.cell[:]
    distances = np.linalg.norm(vectors, axis=1)
    near = (distances > 1e-9) & (distances < cutoff)
    vectors, distances, steps = vectors[near], distances[near], steps[near]
    s6 = (sigma / distances) ** 6
    first = 4 * epsilon * (-12 * s6**2 + 6 * s6) / distances
    second = 4 * epsilon * (156 * s6**2 - 42 * s6) / distances**2
    unit = vectors / distances[:, None]
    parallel = unit[:, :, None] * unit[:, None, :]
    springs = second[:, None, None] * parallel + (first / distances)[:, None, None] * (np.eye(3) - parallel)
    phases = 1 - np.cos(2 * np.pi * steps @ np.array(q))
    eigenvalues = np.linalg.eigvalsh((phases[:, None, None] * springs).sum(axis=0) / atoms.get_masses()[0])
    return np.sqrt(np.maximum(eigenvalues, 0.0)) * THZ_PER_ROOT


def test_argon_has_the_frequencies_of_its_lattice_sums():
    result = run_phonons(argon(), PhononSettings(supercell=(3, 3, 3), fmax=1e-6, **QUICK))
    for q in (X, L, (0.25, 0.0, 0.25), (0.13, 0.31, 0.07)):
        assert at(result, q) == pytest.approx(pair_frequencies(result.atoms, q), abs=2e-4)
    assert 1.5 < result.highest_frequency_thz < 2.5  # measured 2.0 THz at X


def test_metals_have_the_frequencies_of_ases_phonons(copper, tmp_path):
    for result in (copper, run_phonons(crystal("Al"), PhononSettings(supercell=(4, 4, 4), **QUICK))):
        assert_same_as_ase(result, tmp_path / result.atoms.get_chemical_formula())


def assert_same_as_ase(result, folder):
    other = Phonons(result.atoms, EMT(), supercell=(4, 4, 4), delta=0.01, name=folder)
    other.run()
    other.read(acoustic=True)
    for q in (X, L, (0.25, 0.0, 0.25)):
        energies = other.band_structure([q], verbose=False)[0]
        assert at(result, q) == pytest.approx(np.sort(energies) * units._e / units._hplanck * 1e-12, abs=0.01)


def test_copper_is_stable_and_near_its_measured_frequencies(copper):
    assert copper.stability == STABLE and copper.space_group == "Fm-3m (225)"
    # neutrons: X 5.1 and 7.3 THz, L 3.4 and 7.3 THz (Nicklow et al., Phys. Rev. 164, 922, 1967); EMT is stiffer
    assert at(copper, X) == pytest.approx([5.1, 5.1, 7.3], rel=0.15)
    assert at(copper, L) == pytest.approx([3.4, 3.4, 7.3], rel=0.15)
    assert copper.highest_frequency_thz == pytest.approx(at(copper, X)[2], abs=0.05)


def test_translations_cost_nothing(copper):
    assert np.abs(at(copper, (0, 0, 0))).max() < 1e-4
    assert np.abs(copper.phonon.force_constants.sum(axis=1)).max() < 1e-9
    assert copper.drift_ev_per_a2 < 1e-6 and copper.residual_force_ev_per_a < 1e-6
    assert copper.lowest_frequency_thz == pytest.approx(0.0, abs=1e-4)


def test_path_visits_the_special_points_of_fcc(copper):
    bands = copper.bands
    labels = [label for label in bands["label"] if label]
    assert set(labels) >= {"GAMMA", "X", "L", "W", "K", "U"}
    place = list(bands["label"]).index("X")
    assert frequencies_thz(bands)[place] == pytest.approx(at(copper, X), abs=1e-9)
    assert (np.diff(bands["distance_per_a"]) >= 0).all()
    steps = np.diff(points_of(bands), axis=0) @ np.linalg.inv(copper.phonon.primitive.cell).T
    inside = np.diff(bands["segment"]) == 0
    assert np.linalg.norm(steps, axis=1)[inside] == pytest.approx(np.diff(bands["distance_per_a"])[inside])


def test_density_of_states_counts_all_modes(copper, cuau):
    assert np.trapezoid(copper.dos["total_per_thz"], copper.dos["frequency_thz"]) == pytest.approx(3, rel=0.01)
    run_mesh(cuau, (11, 11, 11))
    dos = density_of_states(cuau)
    grid, total = dos["frequency_thz"], dos["total_per_thz"]
    assert np.trapezoid(total, grid) == pytest.approx(6, rel=0.01)
    assert dos["Cu_per_thz"] + dos["Au_per_thz"] == pytest.approx(total, abs=1e-9)
    assert np.trapezoid(dos["Au_per_thz"], grid) == pytest.approx(3, rel=0.05)
    heavy, light = ((grid * dos[f"{name}_per_thz"]).sum() / dos[f"{name}_per_thz"].sum() for name in ("Au", "Cu"))
    assert heavy < 0.8 * light


def test_projection_agrees_with_phonopys_on_the_whole_mesh(cuau):
    run_mesh(cuau, (9, 9, 9))
    ours = density_of_states(cuau)
    cuau.run_mesh((9, 9, 9), is_gamma_center=True, is_mesh_symmetry=False, with_eigenvectors=True)
    theirs = cuau.run_projected_dos(
        freq_min=ours["frequency_thz"][0],
        freq_max=ours["frequency_thz"][-1],
        freq_pitch=np.diff(ours["frequency_thz"])[0],
    )
    centre = (theirs.frequency_points * theirs.projected_dos).sum(axis=1) / theirs.projected_dos.sum(axis=1)
    for atom, name in enumerate(("Cu", "Au")):
        column = ours[f"{name}_per_thz"]
        assert (ours["frequency_thz"] * column).sum() / column.sum() == pytest.approx(centre[atom], rel=0.01)


def test_thermal_properties_obey_thermodynamics(copper):
    run_mesh(copper.phonon, QUICK["mesh"])
    table = thermal_properties(copper.phonon, np.array([0.0, 1.0, 299.0, 300.0, 301.0, 5000.0]))
    free, entropy, heat = (table[name] for name in list(table)[1:])
    # Dulong and Petit, less 3 of 1029 modes, the translations at Γ
    assert heat[-1] == pytest.approx(3 * GAS_CONSTANT_J_PER_K_MOL, rel=4e-3)
    assert entropy[0] == pytest.approx(0.0, abs=1e-9) and heat[0] == pytest.approx(0.0, abs=1e-9)
    assert entropy[3] == pytest.approx(-1000 * (free[4] - free[2]) / 2, rel=1e-4)
    assert heat[3] == pytest.approx(300 * (entropy[4] - entropy[2]) / 2, rel=1e-4)
    assert copper.zero_point_energy_ev == pytest.approx(free[0] * units.kJ / units.mol)
    assert copper.heat_capacity_300k_j_per_k_mol == pytest.approx(heat[3])
    frequencies, weights = copper.phonon.mesh.frequencies, copper.phonon.mesh.weights
    half_quanta = 0.5 * units._hplanck * 1e12 / units._e * weights @ frequencies.sum(axis=1) / weights.sum()
    assert copper.zero_point_energy_ev == pytest.approx(half_quanta, rel=1e-5)


def test_bcc_copper_is_unstable_and_says_where(caplog):
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_phonons(crystal("Cu", "bcc", a=2.86), PhononSettings(supercell=(2, 2, 2), **QUICK))
    assert result.stability == IMAGINARY
    assert result.lowest_frequency_thz == pytest.approx(-1.14, abs=0.1)
    assert at(result, result.lowest_q).min() == pytest.approx(result.lowest_frequency_thz, abs=1e-6)
    # N, the centre of a face of the zone: the shear of {110} planes that leads to fcc
    assert np.sort(np.abs(result.lowest_q)) == pytest.approx([0, 0, 0.5], abs=1e-6)
    assert result.thermal is None and result.zero_point_energy_ev is None and "thermal" not in result.tables()
    assert "imaginary modes: lowest frequency -1.1" in caplog.text
    row = dict(result.rows())["lowest frequency"]
    assert row.startswith("-1.1") and "at q =" in row


def test_imaginary_modes_near_gamma_are_told_apart(copper):
    near, far = np.array([[0.02, 0.0, 0.02]]), np.array([[0.4, 0.0, 0.4]])
    soft = np.array([[-0.3, 1.0, 2.0]])
    assert stability(copper.phonon, near, soft, 0.05).verdict == NEAR_GAMMA
    found = stability(copper.phonon, np.concatenate([near, far]), np.concatenate([2 * soft, soft]), 0.05)
    assert found.verdict == IMAGINARY and found.lowest_q == tuple(far[0])
    assert stability(copper.phonon, far, soft, 0.4).verdict == STABLE
    # near the corner of the cell of reciprocal vectors is near Γ, too
    assert stability(copper.phonon, 1.0 - near, soft, 0.05).verdict == NEAR_GAMMA


def test_commensurate_points_are_those_that_fit(copper):
    points = commensurate_points(copper.phonon)
    assert len(points) == 64
    matrix = np.linalg.inv(copper.phonon.primitive_matrix) @ copper.phonon.supercell_matrix
    turns = points @ matrix
    assert turns == pytest.approx(np.round(turns), abs=1e-9)


def test_batch_and_single_give_the_same_bands():
    class OneByOne:
        def __init__(self, calculator):
            self.get_potential_energy = calculator.get_potential_energy
            self.get_forces = calculator.get_forces

    calculator = AlignnFFCalculator(dtype="float64")
    atoms = bulk("Si", a=5.47)
    found = []
    for calc in (calculator, OneByOne(calculator)):
        atoms.calc = calc
        found.append(force_constants(atoms, np.diag([2, 2, 2]), HarmonicSettings()).phonon)
    assert found[0].force_constants == pytest.approx(found[1].force_constants, abs=1e-7)
    path = standard_path(found[0].primitive, 5, 0.01)
    batched, single = (frequencies_thz(bands_along(phonon, path)) for phonon in found)
    assert batched == pytest.approx(single, abs=1e-4)
    assert 12 < batched.max() < 17  # measured 15.5 THz at Γ


def test_conventional_turned_and_skewed_cells_have_the_same_phonons(copper):
    conventional = run_phonons(crystal("Cu", cubic=True), PhononSettings(supercell=(2, 2, 2), **QUICK))
    assert conventional.primitive_atoms == 1 and conventional.supercell_atoms == 32
    assert at(conventional, X) == pytest.approx(at(copper, X), abs=0.05)
    skewed = crystal("Cu", a=3.59)
    turn = Rotation.from_euler("zyx", [0.4, 1.0, -0.6]).as_matrix()
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ skewed.cell[:] @ turn.T)
    plain = force_constants(crystal("Cu", a=3.59), np.diag([2, 2, 2]), HarmonicSettings()).phonon
    phonon = force_constants(skewed, chosen_supercell(skewed, 2.5, 400), HarmonicSettings()).phonon
    assert np.sort(np.linalg.norm(phonon.supercell.cell, axis=1)) == pytest.approx([2 * 3.59 / np.sqrt(2)] * 3)
    tables = [bands_along(one, standard_path(one.primitive, 5, 0.01)) for one in (plain, phonon)]
    for name in ("X", "L", "W"):
        mine, theirs = (frequencies_thz(table)[list(table["label"]).index(name)] for table in tables)
        assert mine == pytest.approx(theirs, abs=1e-3)


def test_heavier_atoms_swing_slower():
    found = []
    for factor in (1, 4):
        atoms = crystal("Cu", a=3.59)
        atoms.set_masses(factor * atoms.get_masses())
        phonon = force_constants(atoms, np.diag([2, 2, 2]), HarmonicSettings()).phonon
        found.append(phonon.run_qpoints([X]).frequencies[0])
    assert found[1] == pytest.approx(found[0] / 2, rel=1e-9)


def born_file(path, dielectric=5.0, charge=1.5, atoms=2):
    lines = [f"{charge if k == 0 else -charge} 0 0 0 {charge if k == 0 else -charge} 0 0 0 " for k in range(atoms)]
    rows = [line + str(charge if k == 0 else -charge) for k, line in enumerate(lines)]
    path.write_text("\n".join(["14.399645", f"{dielectric} 0 0 0 {dielectric} 0 0 0 {dielectric}", *rows]) + "\n")
    return str(path)


def test_born_charges_split_longitudinal_from_transverse_modes(tmp_path):
    """ω_LO² - ω_TO² = e² Z² / (ε₀ ε V μ) of a cubic crystal with two atoms (Born and Huang, 1954)."""
    atoms = bulk("CuAu", "cesiumchloride", a=2.99)
    atoms.calc = EMT()
    settings = PhononSettings(supercell=(3, 3, 3), born_file=born_file(tmp_path / "BORN"), **QUICK)
    result = run_phonons(atoms, settings)
    frequencies = frequencies_thz(result.bands)[0]
    assert result.bands["label"][0] == "GAMMA"
    plain = at(result, (0, 0, 0))  # no direction, no splitting
    signed = np.sort(np.sign(frequencies) * frequencies**2)
    transverse = np.sign(plain[3]) * plain[3] ** 2
    reduced = 1 / (1 / result.atoms.get_masses()).sum()
    split = 4 * np.pi * 14.399645 * 1.5**2 / (5.0 * result.atoms.get_volume() * reduced) * THZ_PER_ROOT**2
    assert signed[-1] - transverse == pytest.approx(split, rel=1e-3)
    assert np.sort(np.abs(signed - transverse))[:2] == pytest.approx([0, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ({"atoms": 1}, "does not fit the primitive cell"),
        ({"atoms": 3}, "does not fit the primitive cell"),
        ({"dielectric": 0.2}, "expected of an insulator"),
        ({"dielectric": 1e6}, "A metal has no such correction"),
    ],
)
def test_born_charges_that_do_not_fit(tmp_path, content, message):
    path = tmp_path / "BORN"
    if content is not None:
        born_file(path, **content)
    atoms = bulk("CuAu", "cesiumchloride", a=2.99)
    atoms.calc = EMT()
    with pytest.raises(ConfigError, match=message):
        run_phonons(atoms, PhononSettings(supercell=(1, 1, 1), relax=False, born_file=str(path), **QUICK))


def test_charges_of_nothing_and_unbalanced_ones_are_told(tmp_path, caplog):
    from alignn_ff.workflows.born_charges import read_born_charges

    phonon = to_phonopy(bulk("CuAu", "cesiumchloride", a=2.99), np.eye(3, dtype=int), 0.01)
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        read_born_charges(born_file(tmp_path / "BORN", charge=0.0), phonon)
    assert "they change nothing" in caplog.text
    text = (tmp_path / "BORN").read_text().splitlines()
    (tmp_path / "BORN").write_text("\n".join([*text[:2], "1 0 0 0 1 0 0 0 1", "2 0 0 0 2 0 0 0 2"]))
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        read_born_charges(str(tmp_path / "BORN"), phonon)
    assert "add up to 1.5 e per atom" in caplog.text


def test_convergence_scan_says_how_far_the_bands_move(caplog):
    settings = PhononSettings(supercell=(2, 2, 2), convergence=True, **QUICK)
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_phonons(crystal("Cu"), settings)
    assert result.convergence["supercell_atoms"].tolist() == [27, 8]
    assert result.convergence["displacement_a"].tolist() == [0.01, 0.02]
    supercell, displacement = result.convergence["largest_change_thz"]
    assert supercell > 0.1 > 0.02 > displacement > 0
    assert result.largest_change_thz == supercell and "not converged" in caplog.text


def test_forces_of_an_unrelaxed_crystal_are_subtracted(caplog):
    atoms = crystal("Cu", cubic=True, a=3.59) * (1, 1, 2)
    atoms.positions[0] += 0.02
    atoms.calc = EMT()
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_phonons(atoms, PhononSettings(relax=False, supercell=(1, 1, 1), symprec=1e-4, **QUICK))
    assert result.residual_force_ev_per_a > 0.05 and "not at its energy minimum" in caplog.text
    assert np.abs(at(result, (0, 0, 0))[:3]).max() < 0.01


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"supercell": (0, 1, 1)}, "at least 1"),
        ({"supercell": (2, 2, 2), "range_a": 6.0}, "supercell is given"),
        ({"supercell": (2, 2, 2), "max_atoms": 6}, "supercell is given"),
        ({"displacement_a": 0.5}, "at most 0.2 Å"),
        ({"mesh": (0, 1, 1)}, "at least 1"),
        ({"band_points": 1}, "at least 2"),
        ({"imaginary_tolerance_thz": -1.0}, "at least 0 THz"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ConfigError, match=message):
        PhononSettings(**fields)


def test_molecules_have_no_bands():
    atoms = molecule("CO")
    atoms.calc = EMT()
    with pytest.raises(ConfigError, match="not a crystal"):
        run_phonons(atoms)


def test_files_hold_the_result_and_phonopy_reads_them(tmp_path):
    atoms = crystal("Cu")
    before = atoms.copy()
    result = run_phonons(atoms, PhononSettings(supercell=(2, 2, 2), **QUICK), folder=tmp_path)
    assert atoms == before
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("phonons.json", "phonons.png", "phonopy_params.yaml", "crystal.extxyz", "displaced.extxyz"),
        *("bands.csv", "dos.csv", "thermal.csv"),
    }
    stored = json.loads((tmp_path / "phonons.json").read_text())
    assert stored["stability"] == result.stability and stored["supercell_matrix"] == [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    assert "bands" not in stored
    again = phonopy.load(tmp_path / "phonopy_params.yaml", log_level=0)
    assert again.run_qpoints([X]).frequencies[0] == pytest.approx(at(result, X), abs=1e-4)
    cells = read(tmp_path / "displaced.extxyz", index=":")
    assert [len(cell) for cell in cells] == [8, 8]
    assert np.abs(cells[1].get_forces()).max() > 0.01 > np.abs(cells[0].get_forces()).max()
    header = (tmp_path / "bands.csv").read_text().splitlines()[0]
    assert header == "segment,label,distance_per_a,q_1,q_2,q_3,frequency_1_thz,frequency_2_thz,frequency_3_thz"


def test_interrupt_keeps_the_cells_computed(tmp_path):
    class Impatient(EMT):
        count = 0

        def calculate(self, *args, **kwargs):
            Impatient.count += 1
            if Impatient.count == 3:
                raise KeyboardInterrupt
            super().calculate(*args, **kwargs)

    settings = PhononSettings(relax=False, supercell=(2, 2, 2), **QUICK)
    with pytest.raises(KeyboardInterrupt):
        run_phonons(crystal("Cu", a=3.59, calculator=Impatient), settings, folder=tmp_path)
    assert len(read(tmp_path / "displaced.extxyz", index=":")) == 1
    assert not (tmp_path / "phonons.json").exists()


def test_displaced_cells_keep_what_a_calculator_may_read():
    crystal = bulk("Cu")
    crystal.info["extra_features"] = [300.0]
    phonon = to_phonopy(crystal, 2 * np.eye(3, dtype=int), 1e-5)
    assert from_phonopy(phonon.supercell, crystal).info == crystal.info
