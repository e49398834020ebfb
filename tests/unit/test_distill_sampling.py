"""Elements, decorations, packings and perturbations of the distillation."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from alignn_ff.distill.chemistry import make_palette, parse_elements
from alignn_ff.distill.packing import random_molecule, random_packing
from alignn_ff.distill.palette import closeness, decorated, mixed, resized
from alignn_ff.distill.perturb import downhill, enlarged, rattled, slab, strained, with_vacancy
from alignn_ff.distill.prototypes import PROTOTYPES, build_prototype
from alignn_ff.distill.settings import DistillSettings
from alignn_ff.distill.start import Material, begin
from alignn_ff.errors import ConfigError

ALKALI_AND_HALOGENS = make_palette(parse_elements("Li Na K F Cl Br"))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_elements_are_drawn_by_weight():
    palette = make_palette(parse_elements("Cu,O:3"))
    generator = rng()
    drawn = Counter(palette.draw(generator) for _ in range(4000))
    assert drawn["O"] / 4000 == pytest.approx(0.75, abs=0.03)  # 4 standard deviations


def test_like_is_drawn_for_like():
    generator = rng()
    drawn = Counter(ALKALI_AND_HALOGENS.draw(generator, like="Rb") for _ in range(500))
    assert drawn["K"] > 250 and drawn["F"] + drawn["Cl"] + drawn["Br"] < 25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no elements"),
        ("Cu,Qq", "'Qq' is unknown"),
        ("cu", "did you mean `Cu`"),
        ("Cu,Cu", "named twice"),
        ("Cu:x", "no number"),
        ("Cu:0", "positive"),
        ("Cu:inf", "finite"),
        ("Og", "'Og' is unknown"),
    ],
)
def test_elements_that_cannot_be_drawn(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_elements(text)


def test_decoration_keeps_sublattices_apart():
    perovskite = build_prototype("perovskite")
    for seed in range(20):
        atoms = decorated(perovskite, ALKALI_AND_HALOGENS, rng(seed), alike=True)
        assert len(set(atoms.symbols)) == 3 and set(atoms.symbols) <= set(ALKALI_AND_HALOGENS.symbols)
        assert len(set(atoms.symbols[[i for i, s in enumerate(perovskite.symbols) if s == "O"]])) == 1
    assert set(perovskite.symbols) == {"Sr", "Ti", "O"}


def test_with_fewer_elements_than_sublattices_some_are_shared():
    atoms = decorated(build_prototype("rocksalt"), make_palette({"Cu": 1.0}), rng(), alike=False)
    assert atoms.get_chemical_formula() == "Cu2"


def test_mixing_replaces_part_of_one_element():
    host = bulk("NaCl", "rocksalt", a=5.6).repeat((3, 3, 3))
    atoms = mixed(host, ALKALI_AND_HALOGENS, rng(1))
    changed = host.numbers != atoms.numbers
    (symbol,) = set(host.symbols[changed])
    share = changed.sum() / (host.symbols == symbol).sum()
    assert 0.25 < share < 0.75


@pytest.mark.parametrize("name", ["fcc", "wurtzite", "perovskite", "graphite"])
def test_resized_to_its_radii(name):
    for seed in range(5):
        atoms = decorated(build_prototype(name), ALKALI_AND_HALOGENS, rng(seed), alike=False)
        fractions = atoms.get_scaled_positions()
        other = resized(atoms, 1.05)
        assert closeness(other) == pytest.approx(1.05)
        assert other.get_scaled_positions() == pytest.approx(fractions)


def test_a_lone_atom_has_no_closeness_and_keeps_its_size():
    atom = Atoms("Cu", cell=[20.0] * 3, pbc=True)
    assert closeness(atom) is None and resized(atom, 1.0).cell == pytest.approx(atom.cell)


def test_packings_are_dense_and_do_not_overlap():
    for seed in range(20):
        box = random_packing(ALKALI_AND_HALOGENS, 24, rng(seed))
        spheres = 4.0 / 3.0 * np.pi * (covalent_radii[box.numbers] ** 3).sum()
        assert 1.3 <= box.get_volume() / spheres <= 3.0 and 6 <= len(box) <= 16
        assert closeness(box) > 0.75


def test_molecules_are_open_and_bonded():
    sizes = set()
    for seed in range(30):
        atoms = random_molecule(ALKALI_AND_HALOGENS, rng(seed), alike=True)
        sizes.add(len(atoms))
        assert not atoms.pbc.any() and len(atoms) > 1
        assert (0.7 if len(atoms) == 2 else 0.9) <= closeness(atoms) <= (2.0 if len(atoms) == 2 else 1.1)
    assert 2 in sizes and max(sizes) > 5


def test_strain_is_symmetric_and_of_the_size_asked_for():
    cube = Atoms("Cu", cell=[4.0] * 3, pbc=True)
    strains = np.array([strained(cube, 0.02, rng(seed)).cell[:] / 4.0 - np.eye(3) for seed in range(400)])
    assert np.allclose(strains, strains.transpose(0, 2, 1))
    assert strains[:, 0, 0].std() == pytest.approx(0.02, rel=0.15)


def test_rattle_has_the_size_asked_for():
    atoms = bulk("Cu", cubic=True).repeat(5)
    assert (rattled(atoms, 0.1, rng()).positions - atoms.positions).std() == pytest.approx(0.1, rel=0.05)


def test_a_step_downhill_lowers_the_energy():
    atoms = rattled(bulk("Cu", cubic=True, a=3.8), 0.1, rng())
    energies = []
    for _ in range(4):
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
        atoms = downhill(atoms, atoms.get_forces(), atoms.get_stress(), 3.0 * 0.84)  # EMT copper: 134 GPa
    assert energies == sorted(energies, reverse=True) and energies[0] - energies[-1] > 0.1


def test_enlarging_stops_at_the_limit():
    assert len(enlarged(bulk("Cu"), 6, 24)) == 8
    assert len(enlarged(bulk("Cu"), 6, 7)) == 4
    assert len(enlarged(build_prototype("spinel"), 20, 24)) == 14
    lengths = enlarged(bulk("Mg"), 16, 24).cell.lengths()
    assert lengths.max() / lengths.min() < 2.0


def test_vacancy_takes_one_atom():
    atoms = bulk("Cu", cubic=True)
    assert len(with_vacancy(atoms, rng())) == 3 and len(atoms) == 4


def test_slabs_are_layers_under_vacuum():
    crystal = bulk("Cu")
    volume = crystal.get_volume()
    for seed in range(10):
        cut = slab(crystal, 24, rng(seed))
        assert cut.pbc.all() and 2 <= len(cut) <= 4
        height = cut.get_volume() / np.linalg.norm(np.cross(*cut.cell[:2]))
        assert 2.0 < height * (1.0 - len(cut) * volume / cut.get_volume()) < 8.0  # tilted vectors: thinner than drawn
        assert neighbor_list("d", cut, 3.5).min() == pytest.approx(neighbor_list("d", crystal, 3.5).min())


def test_given_structures_come_first_and_as_they_are():
    mine = bulk("NaCl", "rocksalt", a=5.5)
    film = Atoms("Cu", cell=[2.5, 2.5, 20.0], pbc=(True, True, False))
    material = Material(DistillSettings(), ALKALI_AND_HALOGENS, (("a@0", mine), ("a@1", film)))
    first, second, third = (begin(number, material, rng(number)) for number in range(3))
    assert first.atoms == mine and (first.source, first.kind) == ("a@0", "crystal")
    assert second.atoms == film and second.kind == "open"
    assert third.source not in ("a@0", "a@1") or third.atoms != mine
    later = {begin(number, material, rng(number)).source for number in range(2, 400)}
    assert "a@0" in later and "a@1" not in later  # decorated anew with the prototypes; films are not


def test_every_kind_of_start_comes_at_its_share():
    material = Material(DistillSettings(molecule_share=0.2, disordered_share=0.3), ALKALI_AND_HALOGENS)
    kinds = Counter(begin(number, material, rng(number)).kind for number in range(300))
    assert kinds["open"] / 300 == pytest.approx(0.2, abs=0.08)
    assert kinds["disordered"] / 300 == pytest.approx(0.3, abs=0.08)


def test_crystals_fit_palette_and_size():
    material = Material(DistillSettings(molecule_share=0, disordered_share=0, max_atoms=6), make_palette({"Cu": 1.0}))
    for number in range(40):
        start = begin(number, material, rng(number))
        assert len(start.atoms) <= 6 and set(start.atoms.symbols) == {"Cu"}
        assert len(PROTOTYPES[start.source].elements) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"molecule_share": 0.6, "disordered_share": 0.5}, "more than 1"),
        ({"slab_share": 1.5}, "more than 1"),
        ({"max_atoms": 1}, "at least 2"),
        ({"max_force": 0.0}, "more than 0"),
        ({"md_steps": 3}, "no frame is kept"),
    ],
)
def test_settings_that_make_no_sense(values, message):
    with pytest.raises(ConfigError, match=message):
        DistillSettings(**values)
