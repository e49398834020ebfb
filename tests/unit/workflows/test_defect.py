"""Atoms that come: voids of known lattices, direct computations, and reservoirs that cancel."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atom
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT
from ase.io import read
from ase.optimize import BFGS

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.defect import DefectSettings, run_defect
from alignn_ff.workflows.interstitials import voids
from alignn_ff.workflows.vacancy import VacancySettings, run_vacancy


def crystal(atoms):
    atoms.calc = EMT()
    return atoms


def cu3au():
    atoms = bulk("Cu", a=3.75, cubic=True)
    atoms.symbols[0] = "Au"
    return crystal(atoms)


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (bulk("Cu", a=4.0), [(2.0, 1), (np.sqrt(3.0), 2)]),  # octahedral at a/2, tetrahedral at √3 a/4
        (bulk("Cu", a=4.0, cubic=True), [(2.0, 4), (np.sqrt(3.0), 8)]),
        (bulk("Fe", "bcc", a=4.0), [(np.sqrt(5.0), 6)]),  # tetrahedral at √5 a/4
        (bulk("Si", a=4.0), [(np.sqrt(3.0), 2), (4.0 * np.sqrt(11.0) / 8.0, 4)]),  # tetrahedral, hexagonal
    ],
)
def test_voids_of_known_lattices(atoms, expected):
    found = voids(atoms, 0.5, 0.01)
    assert [one.multiplicity for one in found][: len(expected)] == [count for _, count in expected]
    for one, (distance, _) in zip(found, expected, strict=False):
        assert one.distance_a == pytest.approx(distance, abs=1e-4)
        atoms_and_one = atoms.copy()
        atoms_and_one.append(Atom("X", np.array(one.place) @ atoms.cell[:]))
        cell = atoms_and_one * (3, 3, 3)
        assert cell.get_distances(len(atoms), range(len(cell)), mic=True).min() == 0
        others = [k for k in range(len(cell)) if cell.numbers[k] > 0]
        assert cell.get_distances(len(atoms), others, mic=True).min() == pytest.approx(one.distance_a, abs=1e-4)


def test_a_turned_cell_has_the_same_voids():
    atoms = bulk("Si", a=5.4)
    skewed = atoms.copy()
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ atoms.cell[:])
    skewed.rotate(33, (1, 2, 3), rotate_cell=True)
    skewed.wrap()
    one, other = voids(atoms, 0.5, 0.01), voids(skewed, 0.5, 0.01)
    assert [void.multiplicity for void in one] == [void.multiplicity for void in other]
    assert [void.distance_a for void in one] == pytest.approx([void.distance_a for void in other], abs=1e-4)


def test_an_interstitial_equals_a_direct_computation():
    result = run_defect(crystal(bulk("Cu", a=3.6)), DefectSettings(supercell=(3, 3, 3), fmax=5e-3))
    octahedral, tetrahedral = result.defects
    assert octahedral.label == "Cu at 0.5 0.5 0.5" and tetrahedral.multiplicity == 2
    assert octahedral.formation_energy_ev < tetrahedral.unrelaxed_formation_energy_ev
    cell = make_supercell(result.atoms, 3 * np.eye(3))
    cell.calc = EMT()
    perfect = cell.get_potential_energy()
    cell.append(Atom("Cu", result.atoms.cell[:].sum(axis=0) / 2))
    unrelaxed = cell.get_potential_energy() - 28 / 27 * perfect
    cell.rattle(0.01, seed=1)
    BFGS(cell, logfile=None).run(fmax=5e-3)
    assert octahedral.unrelaxed_formation_energy_ev == pytest.approx(unrelaxed, abs=1e-6)
    assert octahedral.formation_energy_ev == pytest.approx(cell.get_potential_energy() - 28 / 27 * perfect, abs=2e-3)
    assert [len(atoms) for atoms in result.relaxed] == [28, 28]


def test_a_substitution_equals_a_direct_computation():
    how = DefectSettings(kind="substitution", elements="Au", supercell=(3, 3, 3), relax_defects=False)
    result = run_defect(crystal(bulk("Cu", a=3.6)), how)
    (found,) = result.defects
    cell = make_supercell(result.atoms, 3 * np.eye(3))
    cell.symbols[0] = "Au"
    cell.calc = EMT()
    copper, gold = result.atoms.get_potential_energy(), bulk("Au", a=4.06)
    gold.calc = EMT()
    expected = cell.get_potential_energy() - 27 * copper + copper - gold.get_potential_energy()
    assert found.formation_energy_ev == pytest.approx(expected, abs=2e-3)  # gold relaxes to 4.056 Å
    assert (found.label, found.removed, found.added) == ("Au on Cu site 0", "Cu", "Au")
    assert "Au " in found.reservoirs and "Cu " in found.reservoirs and "the crystal itself" in found.reservoirs
    assert result.relaxed[0].get_masses()[0] == pytest.approx(196.97, abs=0.01)


def test_both_antisites_of_a_compound_and_a_sum_without_reservoirs():
    """What goes from one site comes to the other: the energy of the pair does not depend on the reservoirs."""
    plain = DefectSettings(kind="antisite", supercell=(2, 2, 2), relax_defects=False)
    given = DefectSettings(**{**vars(plain), "chemical_potentials": "Cu=-1.5, Au=2.0"})
    found = [run_defect(cu3au(), how).defects for how in (plain, given)]
    assert [one.label for one in found[0]] == ["Cu on Au site 0", "Au on Cu site 1"]
    sums = [sum(one.formation_energy_ev for one in defects) for defects in found]
    assert sums[0] == pytest.approx(sums[1], abs=1e-6) and sums[0] > 0  # ordered Cu3Au is stable
    assert found[1][0].formation_energy_ev - found[0][0].formation_energy_ev != pytest.approx(0, abs=0.1)
    assert "Cu -1.5000 eV (given)" in found[1][0].reservoirs


def test_a_vacancy_with_given_potentials_differs_by_them():
    how = {"supercell": (2, 2, 2), "relax_vacancies": False}
    plain, given = (
        run_vacancy(crystal(bulk("Cu", a=3.6)), VacancySettings(**how, **more)).vacancies[0]
        for more in ({}, {"chemical_potentials": "Cu=0.25"})
    )
    shift = 0.25 - plain.reservoir_energy_ev
    assert given.formation_energy_ev == pytest.approx(plain.formation_energy_ev + shift, abs=1e-9)
    assert given.reservoir == "given"


def test_the_series_grows_and_files_hold_it(tmp_path, caplog):
    how = DefectSettings(kind="substitution", elements="Ag", shortest_a=5.0, sizes=2, relax_defects=False)
    with caplog.at_level(logging.WARNING, "alignn_ff"):
        result = run_defect(crystal(bulk("Cu", a=3.6)), how, folder=tmp_path / "run")
    assert result.series["supercell_atoms"].tolist() == [8, 27]
    (found,) = result.defects
    energies = result.series["formation_energy_ev"]
    assert found.size_effect_ev == pytest.approx(energies[1] - energies[0]) and found.supercell_atoms == 27
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names >= {"defect.json", "defect.png", "crystal.extxyz", "defects.extxyz", "series.csv"}
    assert json.loads((tmp_path / "run" / "defect.json").read_text())["defects"][0]["added"] == "Ag"
    assert "Ag" in read(tmp_path / "run" / "defects.extxyz").symbols
    lines = (tmp_path / "run" / "series.csv").read_text().splitlines()
    assert lines[0].startswith("defect,supercell_atoms") and lines[1].startswith("Ag on Cu site 0,8")
    assert ("Ag on Cu site 0: converged", "yes") in result.rows()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "substitution"}, "needs to know which elements come"),
        ({"kind": "substitution", "elements": "Xx"}, "'Xx' is no element"),
        ({"kind": "antisite", "elements": "Cu"}, "exchanges elements of the crystal"),
        ({"kind": "antisite", "smallest_distance": 0.7}, "the atom takes a site"),
        ({"site": 0}, "an interstitial has none"),
        ({"relax_defects": False, "seed": 3}, "defects are not relaxed"),
        ({"chemical_potentials": "Cu"}, r"expected such as Ni=-5\.78"),
        ({"chemical_potentials": "Q=1"}, "'Q' is no element"),
        ({"kind": "interstitals"}, "did you mean `interstitial`"),
    ],
)
def test_bad_settings(fields, message):
    with pytest.raises(ConfigError, match=message):
        DefectSettings(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "antisite"}, "there is nothing to exchange in Cu"),
        ({"smallest_distance": 0.9}, "there is no room between the atoms of Cu"),
        ({"kind": "substitution", "elements": "Rn"}, "no reference structure of Rn"),
    ],
)
def test_what_the_crystal_does_not_allow(fields, message):
    with pytest.raises(ConfigError, match=message):
        run_defect(crystal(bulk("Cu", a=3.6)), DefectSettings(supercell=(2, 2, 2), **fields))
