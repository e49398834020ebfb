"""Labelled structures from files: what is read, in which unit, and what is refused."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from alignn_ff.data.sources import Keys, read_all, read_samples
from alignn_ff.errors import DataError
from alignn_ff.schema import parse
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.prepare import prepare
from alignn_ff.units import GPA_PER_EV_A3
from tests.structures import SMALL

VOIGT = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
MATRIX = np.array([[0.01, 0.06, 0.05], [0.06, 0.02, 0.04], [0.05, 0.04, 0.03]])


def labelled(name: str = "alloy", **results) -> Atoms:
    atoms = SMALL[name]()
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def full(name: str = "alloy") -> Atoms:
    atoms = SMALL[name]()
    forces = np.arange(3.0 * len(atoms)).reshape(-1, 3) / 7
    return labelled(name, energy=-12.5, forces=forces, stress=VOIGT)


def extxyz(folder: Path, frames: list[Atoms], name: str = "frames.extxyz") -> Path:
    write(folder / name, frames, format="extxyz")
    return folder / name


def test_labels_of_extxyz(tmp_path):
    frames = [full(), full("rock_salt")]
    frames[1].info["config_type"] = "salt"
    one, two = read_samples(extxyz(tmp_path, frames))
    assert one.targets.energy.tolist() == [-12.5]
    assert np.allclose(one.targets.forces, frames[0].get_forces(), atol=1e-8)
    assert np.allclose(one.targets.stress[0], MATRIX)
    assert (one.key, two.key) == ("frames.extxyz@0", "frames.extxyz@1")
    assert (one.group, two.group) == ("all", "salt")
    assert np.allclose(two.graph.positions, frames[1].positions, atol=1e-7)
    assert two.graph.numbers.tolist() == frames[1].numbers.tolist()


def test_missing_labels_are_nan_never_zero(tmp_path):
    frames = [full(), labelled(energy=-3.0), labelled(forces=np.ones((8, 3))), SMALL["alloy"]()]
    samples = read_samples(extxyz(tmp_path, frames))
    finite = [[bool(torch.isfinite(t).all()) for t in s.targets[:3]] for s in samples]
    absent = [[bool(torch.isnan(t).all()) for t in s.targets[:3]] for s in samples]
    assert finite == [[True] * 3, [True, False, False], [False, True, False], [False] * 3]
    assert absent == [[not f for f in row] for row in finite]
    assert samples[3].targets.forces.shape == (8, 3) and samples[3].targets.stress.shape == (1, 3, 3)


def test_labels_under_other_names(tmp_path):
    atoms = SMALL["alloy"]()
    atoms.info["REF_energy"], atoms.info["virial_stress"] = -7.0, MATRIX
    atoms.arrays["REF_forces"] = np.full((8, 3), 0.5)
    path = extxyz(tmp_path, [atoms])
    (sample,) = read_samples(path, Keys("REF_energy", "REF_forces", "virial_stress"))
    assert sample.targets.energy.tolist() == [-7.0]
    assert bool((sample.targets.forces == 0.5).all())
    assert np.allclose(sample.targets.stress[0], MATRIX)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        (None, 1.0),
        ("ev_a3", 1.0),
        ("gpa", 1 / GPA_PER_EV_A3),
        ("kbar", 0.1 / GPA_PER_EV_A3),
        ("kbar_vasp", -0.1 / GPA_PER_EV_A3),
    ],
)
def test_stress_units(tmp_path, unit, factor):
    (sample,) = read_samples(extxyz(tmp_path, [full()]), Keys(stress_unit=unit))
    assert np.allclose(sample.targets.stress[0], factor * MATRIX)


def test_structure_without_a_volume_has_no_stress(tmp_path):
    atoms = labelled("slab_without_third_vector", energy=-1.0, stress=VOIGT)
    (sample,) = read_samples(extxyz(tmp_path, [atoms]))
    assert bool(torch.isnan(sample.targets.stress).all()) and sample.targets.energy.tolist() == [-1.0]


def test_misnamed_energy_is_an_error_that_says_what_there_is(tmp_path):
    atoms = SMALL["alloy"]()
    atoms.info["free_energy_ev"] = -7.0
    with pytest.raises(DataError, match=r"called 'energy'.*free_energy_ev.*energy_key"):
        read_samples(extxyz(tmp_path, [atoms]))


def test_no_labels_at_all_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no labels at all"):
        read_samples(extxyz(tmp_path, [SMALL["alloy"]()]))


@pytest.mark.parametrize("columns", [1, 2])
def test_forces_of_the_wrong_shape_are_refused(tmp_path, columns):
    atoms = labelled(energy=-1.0)
    atoms.arrays["my_forces"] = np.ones((8, columns))
    with pytest.raises(DataError, match=r"frames.extxyz@0: forces have shape .* expected \(8, 3\)"):
        read_samples(extxyz(tmp_path, [atoms]), Keys(forces="my_forces"))


def test_energies_of_atoms_are_read_where_a_name_is_given(tmp_path):
    shares = np.arange(8.0)
    path = extxyz(tmp_path, [labelled(energy=28.0, energies=shares)])
    assert torch.isnan(read_samples(path)[0].targets.atom_energy).all()
    named = read_samples(path, Keys(atom_energy="energies"))[0]
    assert named.targets.atom_energy.numpy() == pytest.approx(shares)
    with pytest.raises(DataError, match=r"energies of atoms have shape \(8, 3\); expected \(8,\)"):
        read_samples(path, Keys(atom_energy="positions"))


def test_stress_of_the_wrong_size_is_refused(tmp_path):
    atoms = labelled(energy=-1.0)
    atoms.info["my_stress"] = np.ones(4)
    with pytest.raises(DataError, match="the stress has 4 numbers"):
        read_samples(extxyz(tmp_path, [atoms]), Keys(stress="my_stress"))


def test_energy_that_is_not_one_number_is_refused(tmp_path):
    atoms = labelled(forces=np.ones((8, 3)))
    atoms.info["energies"] = np.ones(8)
    with pytest.raises(DataError, match="the energy has 8 numbers"):
        read_samples(extxyz(tmp_path, [atoms]), Keys(energy="energies"))


def test_label_that_is_no_number_is_refused(tmp_path):
    atoms = labelled(forces=np.ones((8, 3)))
    atoms.info["note"] = "converged"
    with pytest.raises(DataError, match="converged"):
        read_samples(extxyz(tmp_path, [atoms]), Keys(energy="note"))


def test_structure_nobody_can_evaluate_is_named(tmp_path):
    path = extxyz(tmp_path, [full(), full()])
    first, second = path.read_text().split("8\n", 1)[1].split("\n8\n")
    second = second.replace(second.splitlines()[1].split()[1], "NaN", 1)
    path.write_text(f"8\n{first}\n8\n{second}")
    with pytest.raises(DataError, match=r"structure frames.extxyz@1: positions of atoms 0 are not finite"):
        read_samples(path)


def test_file_with_an_at_sign_in_its_name(tmp_path):
    (sample,) = read_samples(extxyz(tmp_path, [full()], "run@300K.extxyz"))
    assert sample.key == "run@300K.extxyz@0"


@pytest.mark.parametrize("name", ["data.extxyz", "id_prop.json"])
def test_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match="empty"):
        read_samples(tmp_path / name)


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path / "nowhere.xyz")
    with pytest.raises(DataError, match="no such file"):
        read_samples(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "a.extxyz",
        "a.xyz",
        "POSCAR",
        "a.cif",
        "a.json",
        "a.traj",
        "a.vasp",
        "OUTCAR",
        "vasprun.xml",
        "a.db",
        "a.unknown",
    ],
)
@pytest.mark.parametrize("content", [b"not a structure\nat all\n", b"\x00\xff\xfe binary \x80" * 30, b" \n\n"])
def test_unreadable_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_samples(tmp_path / name)


def test_truncated_file_is_refused(tmp_path):
    path = extxyz(tmp_path, [full(), full()])
    path.write_text("\n".join(path.read_text().splitlines()[:-3]))
    with pytest.raises(DataError, match="cannot be read"):
        read_samples(path)


def record(**changes) -> dict:
    atoms = SMALL["rock_salt"]()
    structure = {
        "lattice_mat": atoms.cell.tolist(),
        "coords": atoms.get_scaled_positions(wrap=False).tolist(),
        "elements": atoms.get_chemical_symbols(),
        "cartesian": False,
    }
    labels = {"total_energy": -3.5, "forces": np.ones((8, 3)).tolist(), "stresses": MATRIX.tolist()}
    return {"jid": "JVASP-1", "atoms": structure, **labels, **changes}


def id_prop(folder: Path, content: object) -> Path:
    (folder / "id_prop.json").write_text(json.dumps(content))
    return folder


def test_id_prop_holds_energy_per_atom_and_stress_in_gpa(tmp_path):
    records = [record(), record(jid="JVASP-2", config_type="md")]
    one, two = read_samples(id_prop(tmp_path, records))
    assert one.targets.energy.tolist() == [-3.5 * 8]
    assert np.allclose(one.targets.stress[0], MATRIX / GPA_PER_EV_A3)
    assert np.allclose(one.graph.positions, SMALL["rock_salt"]().positions)
    assert bool(one.graph.pbc.all())
    assert (one.key, two.key, two.group) == ("JVASP-1", "JVASP-2", "md")


def test_id_prop_stress_unit_may_be_said(tmp_path):
    (sample,) = read_samples(id_prop(tmp_path, [record()]), Keys(stress_unit="kbar"))
    assert np.allclose(sample.targets.stress[0], 0.1 * MATRIX / GPA_PER_EV_A3)


def test_id_prop_with_missing_labels(tmp_path):
    bare = {k: v for k, v in record(jid="b", stresses="na").items() if k not in ("total_energy", "forces")}
    _, sample = read_samples(id_prop(tmp_path, [record(), bare]))
    assert all(bool(torch.isnan(t).all()) for t in sample.targets)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "no structures"),
        ({"jid": 1}, "holds a dict"),
        (["JVASP-1"], "record 0"),
        ([{"jid": "x", "total_energy": 1.0}], "record x has no `atoms`"),
        ([record(atoms={"coords": []})], "record JVASP-1: a jarvis structure has no"),
        ([record(atoms="POSCAR")], "record JVASP-1"),
        ([record(forces=[[0.0, 0.0, 0.0]])], r"forces have shape \(1, 3\)"),
        ([record(forces=[[0.0], [0.0, 1.0]])], "forces"),
        ([record(total_energy=None)], "no record has an energy"),
    ],
)
def test_id_prop_of_the_wrong_form_is_refused(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read_samples(id_prop(tmp_path, content))


def test_id_prop_that_is_no_json_is_refused(tmp_path):
    (tmp_path / "id_prop.json").write_text("[{")
    with pytest.raises(DataError, match="not JSON"):
        read_samples(tmp_path)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [(None, 1.0), ("gpa", 1.0), ("kbar", 0.1), ("kbar_vasp", -0.1), ("ev_a3", GPA_PER_EV_A3)],
)
def test_stress_is_declared_by_unit_and_sign(tmp_path, unit, factor):
    """One word says both; VASP's kbar are positive under pressure."""
    (sample,) = read_samples(id_prop(tmp_path, [record()]), Keys(stress_unit=unit))
    assert np.allclose(sample.targets.stress[0] * GPA_PER_EV_A3, factor * MATRIX)


def test_a_zipped_id_prop_comes_first_as_upstream_takes_it(tmp_path):
    id_prop(tmp_path, [record(jid="plain")])
    with zipfile.ZipFile(tmp_path / "id_prop.json.zip", "w") as archive:
        archive.writestr("id_prop.json", json.dumps([record(jid="zipped")]))
    assert [s.key for s in read_samples(tmp_path)] == ["zipped"]
    (tmp_path / "id_prop.json.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"no zip file with id_prop.json"):
        read_samples(tmp_path)


def id_prop_csv(folder: Path, *lines: str) -> Path:
    write(folder / "POSCAR-salt.vasp", SMALL["rock_salt"]())
    write(folder / "alloy.cif", SMALL["alloy"]())
    (folder / "id_prop.csv").write_text("\n".join(lines))
    return folder


def test_id_prop_csv_holds_energy_per_atom_and_nothing_else(tmp_path):
    salt, alloy = read_samples(id_prop_csv(tmp_path, "POSCAR-salt.vasp, -3.5", "", "alloy.cif,na"))
    assert salt.key == "POSCAR-salt.vasp" and salt.targets.energy.tolist() == [-3.5 * 8]
    assert sorted(salt.graph.numbers.tolist()) == sorted(SMALL["rock_salt"]().numbers)
    assert bool(torch.isnan(alloy.targets.energy).all())
    assert all(bool(torch.isnan(labels).all()) for s in (salt, alloy) for labels in s.targets[1:])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("POSCAR-salt.vasp", "line 1 is 'POSCAR-salt.vasp'; expected a file name and a value"),
        ("POSCAR-salt.vasp,1.0,2.0", "has 2 labels; a force field has one"),
        ("POSCAR-salt.vasp,low", "energy cannot be read"),
        ("POSCAR-salt.vasp,na", "no line has an energy"),
        ("POSCAR-none.vasp,1.0", "does not exist"),
        ("id_prop.csv,1.0", "cannot be read"),
        ("", "no structures"),
    ],
)
def test_id_prop_csv_of_the_wrong_form_is_refused(tmp_path, line, said):
    with pytest.raises(DataError, match=said):
        read_samples(id_prop_csv(tmp_path, line, ""))


def test_energies_alone_are_learned_and_forces_missed(tmp_path):
    """Upstream trains on id_prop.csv where forces have no weight; here their weight is refused, as with other data."""
    data = id_prop_csv(tmp_path, *(f"POSCAR-{i}.vasp,{-3.5 - i}" for i in range(4)))
    for i in range(4):
        write(data / f"POSCAR-{i}.vasp", SMALL["rock_salt"]())
    fields = {"data": str(data), "zbl": False, "train_ratio": 0.75, "val_ratio": 0.25, "test_ratio": 0.0}
    with pytest.raises(DataError, match="the loss weighs forces, but no training structure has any"):
        prepare(parse(TrainConfig, fields, "test"))
    prepared = prepare(parse(TrainConfig, {**fields, "loss": {"force_weight": 0.0}}, "test"))
    assert len(prepared.train) == 3 and bool(torch.isfinite(prepared.train.batch([0, 1, 2]).targets.energy).all())


def test_several_files_keep_their_order_and_may_not_share_names(tmp_path):
    one, two = extxyz(tmp_path, [full()], "a.extxyz"), extxyz(tmp_path, [full()] * 2, "b.extxyz")
    assert [s.key for s in read_all([two, one], Keys())] == ["b.extxyz@0", "b.extxyz@1", "a.extxyz@0"]
    with pytest.raises(DataError, match=r"two structures are called a.extxyz@0"):
        read_all([one, one], Keys())


def test_families_and_kinds_under_names_of_ones_choice(tmp_path):
    frames = [full(), full("rock_salt")]
    for atoms, seed, tag in zip(frames, ("a-1", "a-2"), ("slab", "rattle"), strict=True):
        atoms.info.update(seed=seed, tag=tag)
    samples = read_samples(extxyz(tmp_path, frames), Keys(group="tag", family="seed"))
    assert [(s.group, s.family) for s in samples] == [("slab", "a-1"), ("rattle", "a-2")]
    del frames[1].info["seed"]
    with pytest.raises(DataError, match=r"frames.extxyz@1 has no entry 'seed'"):
        read_samples(extxyz(tmp_path, frames), Keys(family="seed"))


def test_packed_file_reads_like_the_plain_one(tmp_path):
    plain = extxyz(tmp_path, [full(), full("rock_salt")])
    packed = tmp_path / "frames.extxyz.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for one, other in zip(read_samples(plain), read_samples(packed), strict=True):
        assert torch.equal(one.graph.positions, other.graph.positions)
        assert torch.equal(one.targets.forces, other.targets.forces)
    (tmp_path / "damaged.extxyz.gz").write_bytes(packed.read_bytes()[:40])
    with pytest.raises(DataError, match=r"damaged.extxyz.gz cannot be read"):
        read_samples(tmp_path / "damaged.extxyz.gz")
