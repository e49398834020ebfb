"""Vacancies cost what a direct computation says, whatever cell describes the crystal."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read, write
from ase.optimize import BFGS

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.formation_elements import element_references, element_structures
from alignn_ff.workflows.relax import RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.vacancy import VacancySettings, run_vacancy

SMALL = VacancySettings(supercell=(3, 3, 3))


def crystal(atoms, calc=None):
    atoms.calc = EMT() if calc is None else calc
    return atoms


def copper():
    return crystal(bulk("Cu", a=3.6))


def cu3au():
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.symbols[0] = "Au"
    return crystal(atoms)


def test_copper_equals_a_direct_computation():
    result = run_vacancy(copper(), SMALL)
    (found,) = result.vacancies
    cell = make_supercell(result.atoms, 3 * np.eye(3))
    cell.calc = EMT()
    perfect = cell.get_potential_energy()
    del cell[0]
    unrelaxed = cell.get_potential_energy() - 26 / 27 * perfect
    BFGS(cell, logfile=None).run(fmax=1e-3)
    assert found.supercell_atoms == 27 and found.multiplicity == 1
    assert found.unrelaxed_formation_energy_ev == pytest.approx(unrelaxed, abs=1e-6)
    assert found.formation_energy_ev == pytest.approx(cell.get_potential_energy() - 26 / 27 * perfect, abs=1e-4)
    assert found.relaxation_energy_ev < -0.001


def test_the_series_converges_and_its_extrapolation_is_nearer_the_limit():
    series = run_vacancy(copper(), VacancySettings(shortest_a=7.0, sizes=3, fmax=3e-3))
    (found,) = series.vacancies
    assert series.series["supercell_atoms"].tolist() == [27, 64, 125]
    energies = series.series["formation_energy_ev"]
    assert found.size_effect_ev == pytest.approx(energies[2] - energies[1])
    assert abs(energies[2] - energies[1]) < abs(energies[1] - energies[0])
    large = run_vacancy(copper(), VacancySettings(supercell=(7, 7, 7), fmax=3e-3, rattle_a=0.0)).vacancies[0]
    error = abs(found.extrapolated_formation_energy_ev - large.formation_energy_ev)
    assert error < abs(energies[2] - large.formation_energy_ev) + 2e-3 and error < 5e-3


def test_pair_potential_bonds_are_counted():
    """An atom's pairs are worth twice its share of the energy: without relaxation the vacancy costs that share."""
    lj = LennardJones(sigma=2.5, epsilon=0.1, rc=6.0, smooth=True)
    result = run_vacancy(crystal(bulk("Ar", "fcc", a=4.0), lj), VacancySettings(supercell=(4, 4, 4), relax=False))
    per_atom = result.vacancies[0].reservoir_energy_ev
    assert result.vacancies[0].unrelaxed_formation_energy_ev == pytest.approx(-per_atom, abs=1e-6)


def test_cells_of_one_crystal_agree():
    primitive = run_vacancy(copper(), VacancySettings(shortest_a=7.0, sizes=1, relax_vacancies=False))
    cubic = run_vacancy(
        crystal(bulk("Cu", a=3.6, cubic=True)), VacancySettings(supercell=(3, 3, 3), relax_vacancies=False)
    )
    one, other = primitive.vacancies[0], cubic.vacancies[0]
    assert (one.supercell_atoms, other.supercell_atoms, other.multiplicity) == (27, 108, 4)
    assert one.formation_energy_ev == pytest.approx(other.formation_energy_ev, abs=2e-2)
    assert one.relaxation_energy_ev == 0.0


def test_a_compound_has_a_vacancy_per_kind_of_atom_and_elements_as_reservoirs():
    result = run_vacancy(cu3au(), VacancySettings(supercell=(2, 2, 2), fmax=0.02))
    assert [(one.element, one.multiplicity) for one in result.vacancies] == [("Au", 1), ("Cu", 3)]
    gold = crystal(bulk("Au"))
    direct = element_references(["Au"], Relaxer(EMT()), RelaxSettings(fmax=1e-4))["Au"]
    assert result.vacancies[0].reservoir_energy_ev == pytest.approx(direct.energy_ev_per_atom, abs=1e-5)
    assert direct.energy_ev_per_atom < gold.get_potential_energy() and direct.structure == "Fm-3m (225)"
    assert result.vacancies[0].reservoir == "Fm-3m (225)"
    assert run_vacancy(cu3au(), VacancySettings(supercell=(2, 2, 2), fmax=0.02, site=2)).vacancies[0].element == "Cu"


def test_own_references_compete(tmp_path):
    compressed = bulk("Au", "bcc", a=3.25)
    write(tmp_path / "own.extxyz", [compressed, bulk("Cu", "bcc", a=2.9)])
    how = VacancySettings(supercell=(2, 2, 2), relax_vacancies=False, references=str(tmp_path / "own.extxyz"))
    plain = VacancySettings(supercell=(2, 2, 2), relax_vacancies=False)
    for mine, known in zip(run_vacancy(cu3au(), how).vacancies, run_vacancy(cu3au(), plain).vacancies, strict=True):
        assert mine.reservoir_energy_ev <= known.reservoir_energy_ev + 1e-9


def test_what_does_not_relax_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        result = run_vacancy(copper(), VacancySettings(supercell=(3, 3, 3), relax_steps=2))
    assert (result.converged, result.outcome) == (False, "not converged")
    assert "a relaxation did not converge" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"site": 3}, "atoms 0 to 0"),
        ({"supercell": (1, 1, 1)}, "holds none"),
        ({"shortest_a": 20.0, "max_atoms": 100}, "has 512 atoms"),
    ],
)
def test_impossible_requests_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        run_vacancy(copper(), VacancySettings(**settings))


def test_contradictions_are_refused():
    with pytest.raises(ConfigError, match="the supercell is given"):
        VacancySettings(supercell=(2, 2, 2), sizes=2)
    with pytest.raises(ConfigError, match="vacancies are not relaxed"):
        VacancySettings(relax_vacancies=False, seed=3)
    with pytest.raises(ConfigError, match="is not a crystal"):
        run_vacancy(crystal(molecule("CO")))


def test_an_unrelaxed_crystal_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        run_vacancy(
            crystal(bulk("Cu", a=3.5)), VacancySettings(supercell=(2, 2, 2), relax=False, relax_vacancies=False)
        )
    assert "not at its energy minimum" in caplog.text


def test_elements_without_a_structure_are_refused():
    assert element_structures("Rn") == []
    with pytest.raises(ConfigError, match="there is no reference structure of Rn"):
        element_references(["Rn"], Relaxer(EMT()), RelaxSettings())


@pytest.mark.parametrize(
    ("symbol", "bond_a", "neighbours"),
    [("S", 2.05, 2), ("P", 2.22, 3), ("I", 2.72, 1), ("Te", 2.84, 2), ("C", 1.42, 3), ("Se", 2.37, 2), ("Ga", 2.46, 1)],
)
def test_reference_crystals_have_the_bonds_of_textbooks(symbol, bond_a, neighbours):
    """Bond lengths: Donohue, The Structures of the Elements (1974)."""
    atoms = element_structures(symbol)[0]
    distances = np.sort((atoms * (2, 2, 2)).get_all_distances(mic=True)[0])
    assert distances[1] == pytest.approx(bond_a, abs=0.03)
    assert distances[neighbours] == pytest.approx(distances[1], abs=0.05)
    assert distances[neighbours + 1] > 1.06 * distances[1] or symbol == "Ga"


def test_files_hold_the_result(tmp_path):
    result = run_vacancy(copper(), VacancySettings(supercell=(2, 2, 2), relax_vacancies=False), folder=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "vacancy.json",
        "vacancy.png",
        "crystal.extxyz",
        "vacancies.extxyz",
        "series.csv",
        "relaxations.jsonl",
    }
    stored = json.loads((tmp_path / "vacancy.json").read_text())
    assert stored["vacancies"][0]["formation_energy_ev"] == result.vacancies[0].formation_energy_ev
    assert len(read(tmp_path / "vacancies.extxyz")) == 7
    assert isinstance(result.atoms, Atoms) and len(result.rows()) > 5
