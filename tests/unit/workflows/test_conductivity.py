"""Heat carried by phonons: force constants of a pair potential, kinetic theory, and phono3py by itself."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from alignn_ff.errors import ConfigError
from alignn_ff.reports.conductivity import conductivity_figure
from alignn_ff.workflows.conductivity import ConductivitySettings, run_conductivity
from alignn_ff.workflows.phonon_transport import (
    LBTE,
    RTA,
    Scattering,
    conduct,
    cumulative,
    half_way,
    modes_at,
    over_temperature,
)

phono3py = pytest.importorskip("phono3py", reason="phono3py is not installed: pip install alignn-ff[conductivity]")

SIGMA, EPSILON = 3.4, 0.0104
SETTINGS = ConductivitySettings(
    supercell=(3, 3, 3),
    pair_supercell=(3, 3, 3),
    mesh=(5, 5, 5),
    fmax=1e-6,
    temperature_k=60.0,
    min_temperature_k=50.0,
    max_temperature_k=800.0,
)


def argon():
    atoms = bulk("Ar", a=5.26)
    atoms.calc = LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=4.5)  # nearest neighbours only
    return atoms


@pytest.fixture(scope="module")
def solid(tmp_path_factory):
    """Argon and the folder of its result."""
    folder = tmp_path_factory.mktemp("argon") / "run"
    return run_conductivity(argon(), SETTINGS, folder=folder), folder


def again(folder, **changes):
    """The same crystal from the forces that are known, otherwise computed."""
    return run_conductivity(argon(), replace(SETTINGS, **changes), folder=folder, resume=True)


def test_third_order_is_that_of_the_pair_potential(solid):
    """Φ(0, j, j) = -∂³V/∂r³ along the bond to the neighbour j."""
    result, _ = solid
    phonons = result.phonons
    supercell = phonons.supercell
    vectors = supercell.positions - supercell.positions[0]
    vectors -= np.round(vectors @ np.linalg.inv(supercell.cell)) @ supercell.cell
    distances = np.linalg.norm(vectors, axis=1)
    (near, *_) = np.flatnonzero((distances > 1) & (distances < 4.5))
    r, u = distances[near], vectors[near] / distances[near]
    s6 = (SIGMA / r) ** 6
    first, second, third = (
        4 * EPSILON * (-12 * s6**2 + 6 * s6) / r,
        4 * EPSILON * (156 * s6**2 - 42 * s6) / r**2,
        4 * EPSILON * (-2184 * s6**2 + 336 * s6) / r**3,
    )
    across = np.eye(3) - np.outer(u, u)
    mixed = np.einsum("i,jk->ijk", u, across)
    bent = mixed + mixed.transpose(1, 0, 2) + mixed.transpose(1, 2, 0)
    expected = third * np.einsum("i,j,k->ijk", u, u, u) + (second / r - first / r**2) * bent
    assert phonons.fc3[0, near, near] == pytest.approx(-expected, abs=0.01 * abs(third))


def test_a_cubic_crystal_conducts_alike_in_all_directions_and_less_the_hotter(solid):
    result, _ = solid
    table = result.found["conductivity"]
    mean = table["conductivity_w_per_m_k"]
    for name in ("xx", "yy", "zz"):
        assert table[f"{name}_w_per_m_k"] == pytest.approx(mean, rel=1e-6)
    for name in ("yz", "xz", "xy"):
        assert table[f"{name}_w_per_m_k"] == pytest.approx(0.0, abs=1e-6)
    hot = table["temperature_k"] >= 400  # four Debye temperatures: three-phonon scattering goes as T
    assert (mean * table["temperature_k"])[hot] == pytest.approx(mean[-1] * 800, rel=0.01)
    assert mean[0] * 50 < 0.96 * mean[-1] * 800  # where the heat capacity falls off, κ T does too
    assert result.transport.conductivity_w_per_m_k == mean[table["temperature_k"] == 60][0]


def test_phono3py_by_itself_has_the_same_conductivity(solid):
    result, folder = solid
    loaded = phono3py.load(folder / "phono3py_params.yaml", symprec=0.01, produce_fc=False)
    assert len(loaded.supercell) == result.pair_supercell_atoms == 27
    loaded.produce_fc3(fc_calculator="symfc")
    loaded.produce_fc2()
    loaded.symmetrize_fc2()
    loaded.mesh_numbers = (5, 5, 5)
    loaded.init_phph_interaction(average_degenerate_weights=True)
    loaded.run_thermal_conductivity(temperatures=[60.0])
    found = loaded.thermal_conductivity.kappa[0, 0, :3]
    assert found == pytest.approx(result.transport.conductivity_w_per_m_k, rel=1e-6)


def test_the_modes_add_up_as_kinetic_theory_says(solid):
    """κ = Σ C v² τ / (3 V N): heat capacities from the frequencies, all else from the table."""
    result, _ = solid
    modes = result.found["modes"]
    x = units._hplanck * 1e12 * np.maximum(modes["frequency_thz"], 1e-6) / (units._k * 60.0)
    heat = units._k * x**2 * np.exp(x) / np.expm1(x) ** 2
    volume = result.phonons.primitive.volume * 1e-30 * 125
    path = modes["mean_free_path_nm"] * 1e-9
    shares = modes["weight"] * heat * modes["speed_m_per_s"] * path / (3 * volume)
    moving = np.isfinite(path)
    assert moving.sum() == len(path) - 3  # all but the translations
    assert shares[moving] == pytest.approx(modes["conductivity_w_per_m_k"][moving], rel=1e-4)
    assert shares[moving].sum() == pytest.approx(result.transport.conductivity_w_per_m_k, rel=1e-4)
    assert modes["mean_free_path_nm"][moving] == pytest.approx(
        (modes["speed_m_per_s"] * modes["lifetime_ps"])[moving] * 1e-3
    )


def test_cumulative_conductivity_ends_at_the_whole(solid):
    result, _ = solid
    for name in ("mean_free_path_nm", "frequency_thz"):
        table = result.found["cumulative_" + name.rpartition("_")[0]]
        assert (np.diff(table[name]) >= 0).all() and (np.diff(table["conductivity_w_per_m_k"]) > 0).all()
        assert table["conductivity_w_per_m_k"][-1] == pytest.approx(result.transport.conductivity_w_per_m_k, rel=1e-6)
    nothing = {"frequency_thz": np.array([np.nan]), "conductivity_w_per_m_k": np.zeros(1)}
    assert half_way(cumulative(nothing, "frequency_thz")) is None
    two = {"frequency_thz": np.array([2.0, 1.0]), "conductivity_w_per_m_k": np.array([1.0, 3.0])}
    assert half_way(cumulative(two, "frequency_thz")) == 1.0


def test_isotopes_stand_in_the_way(solid):
    """Every mode is scattered more often; argon, of 99.6 % one isotope, little so."""
    result, _ = solid
    mixed = modes_at(conduct(result.phonons, (5, 5, 5), Scattering(RTA, np.array([60.0]), True)), 60.0)
    share = mixed["conductivity_w_per_m_k"].sum() / result.transport.conductivity_w_per_m_k
    assert 0.98 < share < 0.99999
    moving = np.isfinite(mixed["lifetime_ps"])
    assert (mixed["lifetime_ps"] < result.found["modes"]["lifetime_ps"] * (1 + 1e-9))[moving].all()


def test_the_direct_solution_conducts_better_than_relaxation_times(solid):
    """Relaxation times count collisions that keep the momentum as resistance."""
    result, _ = solid
    table = over_temperature(conduct(result.phonons, (7, 7, 7), Scattering(LBTE, np.array([60.0, 120.0]), False)))
    plain = over_temperature(conduct(result.phonons, (7, 7, 7), Scattering(RTA, np.array([60.0, 120.0]), False)))
    assert table["rta_w_per_m_k"] == pytest.approx(plain["conductivity_w_per_m_k"], rel=1e-6)
    gain = table["conductivity_w_per_m_k"] / table["rta_w_per_m_k"]
    assert ((gain > 1.01) & (gain < 2)).all()


def test_a_cutoff_spares_pairs_that_do_not_feel_each_other(solid):
    """Only nearest neighbours, 3.8 Å apart, feel each other here: a cutoff beyond them changes nothing."""
    result, folder = solid
    near = again(folder, pair_cutoff_a=4.5)
    assert result.pairs_left_out == 0 and near.pairs_left_out > 25
    assert near.displaced_pair_cells + near.pairs_left_out == result.displaced_pair_cells
    assert near.transport.conductivity_w_per_m_k == pytest.approx(result.transport.conductivity_w_per_m_k, rel=0.02)


def test_forces_are_not_computed_twice_and_a_mesh_too_coarse_is_told(solid, monkeypatch, caplog):
    result, folder = solid
    monkeypatch.setattr(LennardJones, "calculate", lambda *args, **kwargs: pytest.fail("computed again"))
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        scanned = again(folder, convergence=True)
    scan = scanned.found["convergence"]
    assert [scan[f"mesh_{axis}"].tolist() for axis in (1, 2, 3)] == [[2, 4, 5]] * 3
    before, last = scan["conductivity_w_per_m_k"][-2:]
    assert scanned.transport.change_percent == pytest.approx(100 * (last / before - 1))
    assert last == scanned.transport.conductivity_w_per_m_k == result.transport.conductivity_w_per_m_k
    assert "the mesh 5 x 5 x 5 is too coarse" in caplog.text and "is not converged: the last mesh" in caplog.text


def test_an_unstable_crystal_has_no_conductivity(tmp_path, caplog):
    atoms = bulk("Cu", "bcc", a=2.86)
    atoms.calc = EMT()
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_conductivity(
            atoms, ConductivitySettings(supercell=(2, 2, 2), mesh=(5, 5, 5)), folder=tmp_path / "run"
        )
    assert result.outcome == "failed" and result.transport is None and list(result.tables()) == ["dos"]
    assert "imaginary modes: lowest frequency -1.1" in caplog.text and "there is no conductivity" in caplog.text
    stored = json.loads((tmp_path / "run" / "conductivity.json").read_text())
    assert stored["transport"] is None and stored["displaced_pair_cells"] is None
    assert not any("conductivity" in label for label, _ in result.rows())
    assert not (tmp_path / "run" / "phono3py_params.yaml").exists()


@pytest.mark.parametrize("fields", [{"pair_supercell": (2, 2, 2)}, {"pair_cutoff_a": 1.0}])
def test_a_supercell_without_third_order_is_refused(fields):
    """Repeated twice, a primitive cell has each neighbour on both sides of an atom."""
    with pytest.raises(ConfigError, match="symmetry leaves no third order in a supercell of"):
        run_conductivity(argon(), replace(SETTINGS, **fields))


def test_files_hold_the_result(solid):
    result, folder = solid
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        *("conductivity.json", "conductivity.csv", "modes.csv", "dos.csv", "crystal.extxyz", "conductivity.png"),
        *("cumulative_mean_free_path.csv", "cumulative_frequency.csv", "phono3py_params.yaml", "relaxations.jsonl"),
    }
    assert ("mesh of wave vectors", "5 x 5 x 5") in result.rows()


def test_the_figure_shows_directions_that_differ_and_relaxation_times_beside_the_solution(solid):
    result, _ = solid
    assert len(conductivity_figure(result.found).axes[0].lines) == 1
    table = result.found["conductivity"]
    layered = {**table, "zz_w_per_m_k": 0.5 * table["zz_w_per_m_k"], "rta_w_per_m_k": 0.9 * table["zz_w_per_m_k"]}
    first, *_ = conductivity_figure({**result.found, "conductivity": layered}).axes
    assert [line.get_label() for line in first.lines] == ["xx", "yy", "zz", "relaxation times"]
    assert first.get_xscale() == first.get_yscale() == "log"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pair_supercell": (2, 2, 2), "pair_range_a": 4.0}, "pair_supercell is given"),
        ({"pair_displacement_a": 0.5}, "at most 0.3 Å"),
        ({"max_temperature_k": 50.0}, "at least min_temperature_k"),
        ({"method": "rt"}, "did you mean `rta`"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ConfigError, match=message):
        ConductivitySettings(**fields)


def test_meshes_that_do_not_fit(solid):
    result, _ = solid
    with pytest.raises(ConfigError, match="has not the symmetry of the crystal"):
        conduct(result.phonons, (4, 4, 5), Scattering(RTA, np.array([60.0]), False))
    with pytest.raises(ConfigError, match=r"would take .* GiB"):
        conduct(result.phonons, (15, 15, 15), Scattering(LBTE, np.arange(1.0, 2000.0), False))
