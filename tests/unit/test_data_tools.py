"""Linter, overview, leakage and conversion against data made wrong on purpose."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.cli.data import app
from alignn_ff.data.convert import write_samples
from alignn_ff.data.findings import lint
from alignn_ff.data.leakage import leaks
from alignn_ff.data.overview import composition, overview
from alignn_ff.data.sources import Sample, read_samples
from alignn_ff.data.split import Split
from alignn_ff.data.work import slopes
from alignn_ff.errors import DataError, OutputExistsError
from alignn_ff.io import voigt_to_matrix
from alignn_ff.units import GPA_PER_EV_A3

HARTREE_PER_BOHR = 51.42206747


def walk(count: int = 24) -> list[Atoms]:
    """Copper and nickel, each a little strained and moved against the one before, with EMT labels."""
    rng = np.random.default_rng(4)
    atoms = bulk("Cu", a=3.6, cubic=True)
    atoms.symbols[0] = "Ni"
    frames = []
    for _ in range(count):
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.012, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        frame = atoms.copy()
        frame.calc = EMT()
        labels = {"energy": frame.get_potential_energy(), "forces": frame.get_forces(), "stress": frame.get_stress()}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> list[Sample]:
    path = tmp_path_factory.mktemp("data") / "walk.extxyz"
    write(path, walk(), format="extxyz")
    return read_samples(path)


def changed(samples: list[Sample], **labels) -> list[Sample]:
    """The samples with functions of their labels in the place of these."""
    return [
        s._replace(targets=s.targets._replace(**{name: f(getattr(s.targets, name)) for name, f in labels.items()}))
        for s in samples
    ]


def kinds(samples: list[Sample], level: str = "fault") -> set[str]:
    return {finding.kind for finding in lint(samples) if finding.level == level}


def test_work_of_sound_labels_is_what_energies_say(sound):
    found = slopes(sound)
    assert found.forces == pytest.approx(1.0, abs=0.1) and found.stress == pytest.approx(1.0, abs=0.1)
    assert found.shear_order is None and found.pairs == 23
    assert kinds(sound) == set()


@pytest.mark.parametrize(
    ("labels", "kind", "said"),
    [
        ({"forces": lambda f: -f}, "forces_work", "They have the opposite sign"),
        ({"forces": lambda f: f / HARTREE_PER_BOHR}, "forces_work", "Hartree/Bohr"),
        ({"stress": lambda s: -s}, "stress_work", "They have the opposite sign"),
        ({"stress": lambda s: s * GPA_PER_EV_A3}, "stress_work", "stress_unit: gpa"),
        ({"stress": lambda s: -s * 10 * GPA_PER_EV_A3}, "stress_work", "kbar_vasp"),
    ],
)
def test_wrong_signs_and_units_are_named(sound, labels, kind, said):
    found = {finding.kind: finding.message for finding in lint(changed(sound, **labels))}
    assert said in found[kind]


def test_scrambled_shears_are_seen_and_their_order_is_told(sound):
    """Stored as xy yz xz where yz xz xy is read: what stands as yz is xy, and so on."""

    def scramble(stress):
        xx, yy, zz, yz, xz, xy = (float(stress[0][k]) for k in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)))
        return torch.from_numpy(voigt_to_matrix(np.array([xx, yy, zz, xy, yz, xz]))).unsqueeze(0)

    wrong = changed(sound, stress=scramble)
    assert slopes(wrong).shear_order == ("xz", "xy", "yz")
    assert "shear_order" in kinds(wrong)


def test_too_few_pairs_say_nothing(sound):
    assert slopes(sound[:3])[:3] == (None, None, None)


def doubled(sample: Sample, energy: float) -> Sample:
    """Twice the atoms and cell along x, with this energy."""
    graph = sample.graph
    cell = graph.cell.clone()
    cell[0, 0] *= 2
    return sample._replace(
        graph=graph._replace(
            numbers=graph.numbers.repeat(2),
            positions=torch.cat([graph.positions, graph.positions + graph.cell[0, 0]]),
            cell=cell,
            graph_index=torch.zeros(2 * len(graph.numbers), dtype=torch.int64),
        ),
        targets=sample.targets._replace(
            energy=torch.tensor([energy], dtype=torch.float64),
            forces=sample.targets.forces.repeat(2, 1),
            atom_energy=sample.targets.atom_energy.repeat(2),
        ),
        key=f"{sample.key}-doubled",
    )


def test_energies_per_atom_are_told_from_totals(sound):
    shifted = [s._replace(targets=s.targets._replace(energy=s.targets.energy - 14.0)) for s in sound[:3]]
    energy = float(shifted[0].targets.energy)
    assert "energies_per_atom" not in kinds([*shifted, doubled(shifted[0], 2 * energy)])
    assert "energies_per_atom" in kinds([*shifted, doubled(shifted[0], energy)])


def test_duplicates_and_their_quarrels(sound):
    again = sound[3]._replace(key="again")
    found = {finding.kind: finding for finding in lint([*sound, again])}
    assert set(found["duplicates"].keys) == {sound[3].key, "again"} and "conflicts" not in found
    other = changed([again], energy=lambda e: e + 0.5)
    found = {finding.kind: finding for finding in lint([*sound, *other])}
    assert "0.125 eV/atom" in found["conflicts"].message and found["conflicts"].level == "fault"


def test_wild_drifting_overlapping_and_lonely_ones_are_found(sound):
    wild = changed([sound[5]], forces=lambda f: f + 120.0)[0]._replace(key="wild")
    far = changed([sound[6]], energy=lambda e: e + 80.0)[0]._replace(key="far")
    positions = sound[7].graph.positions.clone()
    positions[1] = positions[0] + 0.2
    close = sound[7]._replace(graph=sound[7].graph._replace(positions=positions), key="close")
    found = {f.kind: f.keys for f in lint([*sound[:5], *sound[8:], wild, far, close])}
    assert found["wild_forces"] == found["net_forces"] == ("wild",)
    assert found["energy_outliers"] == ("far",) and found["close_atoms"] == ("close",)


def lonely(tmp_path) -> list[Sample]:
    atom = Atoms("Cu")
    atom.calc = SinglePointCalculator(atom, energy=-0.25, forces=np.zeros((1, 3)))
    write(tmp_path / "atom.extxyz", atom, format="extxyz")
    return read_samples(tmp_path / "atom.extxyz")


def test_isolated_atoms_are_offered_as_references(tmp_path):
    (finding,) = (f for f in lint(lonely(tmp_path)) if f.kind == "isolated_atoms")
    assert "reference_energies: {Cu: -0.25}" in finding.message


def test_overview_counts(sound):
    found = overview(sound)
    assert (found["structures"], found["atoms"], found["elements"]) == (24, 96, {"Cu": 72, "Ni": 24})
    assert found["compositions"] == {"NiCu3": 24} == {composition(doubled(s, 0.0)): 24 for s in sound}
    assert found["periodic"] == {"ppp": 24} and found["without"] == {"energy": 0, "forces": 0, "stress": 0}
    energies = [float(s.targets.energy) / 4 for s in sound]
    assert found["energy_ev_per_atom"] == pytest.approx([min(energies), np.mean(energies), max(energies)])


def test_leaks_are_counted(sound):
    samples = [*sound[:4], sound[0]._replace(key="copy")]
    keys = [s.key for s in samples]
    split = Split((keys[0], keys[1]), (keys[4],), (keys[2],))
    found = {(leak.part, leak.shared): leak.structures for leak in leaks(samples, split)}
    assert found["val", "the very structure"] == 1 and found["test", "the very structure"] == 0
    assert found["test", "the composition"] == 1


@pytest.mark.parametrize("name", ["out.extxyz", "out.traj", "id_prop.json"])
def test_converted_data_are_the_data(sound, tmp_path, name):
    write_samples(sound[:3], tmp_path / name)
    for before, after in zip(sound, read_samples(tmp_path / name), strict=False):
        assert torch.allclose(after.graph.positions, before.graph.positions, atol=1e-7)
        for label in ("energy", "forces", "stress"):
            assert torch.allclose(getattr(after.targets, label), getattr(before.targets, label), atol=1e-7), label
        assert after.group == before.group
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_samples(sound[:3], tmp_path / name)


@pytest.mark.parametrize("name", ["POSCAR", "out.nonsense", "out.cif"])
def test_formats_without_labels_are_refused(sound, tmp_path, name):
    with pytest.raises(DataError, match=r"Use \.extxyz"):
        write_samples(sound[:3], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_molecules_do_not_fit_into_id_prop(tmp_path):
    samples = lonely(tmp_path)
    with pytest.raises(DataError, match=r"does not fit into id_prop.json: .* periodic"):
        write_samples(samples, tmp_path / "id_prop.json")


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def test_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = walk(12)
    write("data.extxyz", frames, format="extxyz")
    assert json.loads(call("inspect", "data.extxyz", "--json"))["structures"] == 12
    assert "Cu 36, Ni 12" in call("inspect", "data.extxyz")
    assert "Nothing to remark" in call("lint", "data.extxyz")
    for atoms in frames:
        atoms.calc.results["forces"] = -atoms.calc.results["forces"]
    write("wrong.extxyz", frames, format="extxyz")
    assert "forces_work" in call("lint", "wrong.extxyz", code=1)
    said = call("split", "data.extxyz", "--test-ratio", "0.2", "--train-ratio", "0.6", "--val-ratio", "0.2")
    assert "0 of 2" in said and "2 of 2" in said
    ids = json.loads((tmp_path / "ids_train_val_test.json").read_text())
    assert [len(ids[f"id_{part}"]) for part in ("train", "val", "test")] == [8, 2, 2]
    call("convert", "data.extxyz", "--out", "id_prop.json")
    assert len(json.loads((tmp_path / "id_prop.json").read_text())) == 12
