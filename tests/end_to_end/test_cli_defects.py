"""The commands on defects, surfaces, barriers and formation energies: what they print, write and return."""

from __future__ import annotations

import json

import pytest
from ase.build import add_adsorbate, bulk, fcc100, molecule
from ase.constraints import FixAtoms
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.cli.main import app

EMT_MODEL = ("--model", "ase:emt", "--no-progress-bar")


def call(*args):
    return CliRunner().invoke(app, [str(arg) for arg in (*args, *EMT_MODEL)])


def words(text):
    """Text without the line breaks that terminals put in."""
    return " ".join(text.split())


def result_of(folder):
    return json.loads((folder / "summary.json").read_text())["result"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("cu.extxyz", bulk("Cu", a=3.6))
    return tmp_path


def test_vacancy(here):
    done = call("vacancy", "cu.extxyz", "--supercell", "2", "2", "2", "--fmax", "0.05")
    assert done.exit_code == 0, done.output
    (found,) = result_of(here / "cu-vacancy")["vacancies"]
    assert f"formation energy {found['formation_energy_ev']:.4f} eV" in words(done.stdout)


def test_defect(here):
    how = ("--kind", "substitution", "--elements", "Ag", "--supercell", "2", "2", "2", "--fmax", "0.05")
    done = call("defect", "cu.extxyz", *how)
    assert done.exit_code == 0, done.output
    (found,) = result_of(here / "cu-defect")["defects"]
    label = f"Ag on Cu site 0: formation energy {found['formation_energy_ev']:.4f} eV"
    assert label in words(done.stdout) and "Ag on Cu site 0" in (here / "cu-defect" / "report.html").read_text()


def test_the_same_command_goes_on(here):
    how = ("vacancy", "cu.extxyz", "--supercell", "2,2,2", "--fmax", "0.05", "--out", "run", "--resume")
    assert call(*how).exit_code == 0
    found, kept = result_of(here / "run"), (here / "run" / "relaxations.jsonl").read_bytes()
    assert len(kept.splitlines()) == 3
    again = call(*how)
    assert again.exit_code == 0, again.output
    assert result_of(here / "run") == found and (here / "run" / "relaxations.jsonl").read_bytes() == kept


def test_surface(here):
    done = call("surface", "cu.extxyz", "--miller", "111 100", "--thickness-a", "8", "--no-check")
    assert done.exit_code == 0, done.output
    found = result_of(here / "cu-surface")["surfaces"]
    assert [one["miller"] for one in found] == [[1, 1, 1], [1, 0, 0]]
    assert "surface energy (111)" in words(done.stdout) and (here / "cu-surface" / "surface.png").exists()


def test_interface(here):
    write("ni.extxyz", bulk("Ni"))
    planes = ("--substrate-miller", "111", "--film-miller", "111")
    how = ("--registry", "1", "--thickness-a", "4", "--vacuum-a", "8", "--no-relax-interface")
    done = call("interface", "ni.extxyz", "cu.extxyz", *planes, *how)
    assert done.exit_code == 0, done.output
    found = result_of(here / "ni-interface")
    assert -3.0 < found["mismatch_percent"] < -2.7 and found["work_of_adhesion_j_per_m2"] > 0
    assert f"interface energy {found['interface_energy_j_per_m2']:.4f} J/m²" in words(done.stdout)


def test_neb(here):
    ends = []
    for shift in (0.0, 0.5):
        atoms = fcc100("Cu", (2, 2, 2), a=3.61, vacuum=6.0)
        add_adsorbate(atoms, "Cu", 1.7, "hollow")
        atoms.set_constraint(FixAtoms(range(8)))
        atoms.positions[-1] += shift * atoms.cell[0]
        ends.append(atoms)
    write("ends.extxyz", ends)
    done = call("neb", "ends.extxyz@:", "--images", "1", "--fmax", "0.1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["barrier_forward_ev"] == pytest.approx(found["barrier_backward_ev"], abs=0.01)
    assert (here / "ends-neb" / "path.csv").exists() and "barrier forward" in words(done.stderr)


def test_formation(here):
    mixed = bulk("Cu", a=3.75, cubic=True)
    mixed.symbols[0] = "Au"
    write("mixed.extxyz", mixed)
    done = call("formation", "mixed.extxyz", "cu.extxyz", "--fmax", "0.05")
    assert done.exit_code == 0, done.output
    assert [one["formula"] for one in result_of(here / "mixed-formation")["phases"]] == ["AuCu3", "Cu"]
    assert "AuCu3 Pm-3m (221)" in words(done.stdout) and "reference Au" in words(done.stdout)


def test_adsorption(here):
    write("slab.extxyz", fcc100("Cu", (1, 1, 3), a=3.61, vacuum=8.0))
    done = call("adsorption", "slab.extxyz", "--adsorbate", "O", "--site", "hollow", "--relax-steps", "0")
    assert done.exit_code == 0, done.output
    assert "adsorption hollow-4" in words(done.stdout)


def test_what_does_not_converge_is_3(here):
    done = call("vacancy", "cu.extxyz", "--supercell", "2,2,2", "--relax-steps", "1")
    assert done.exit_code == 3 and "did not converge" in words(done.stderr)


@pytest.mark.parametrize("command", ["vacancy", "surface", "neb", "adsorption"])
def test_a_molecule_is_refused_in_one_paragraph(command, here):
    write("co.xyz", molecule("CO"))
    done = call(command, "co.xyz")
    assert done.exit_code == 2 and "Traceback" not in done.stderr and "error:" in done.stderr
    assert not (here / f"co-{command}").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("vacancy", "--site", "9"), "atoms 0 to 0"),
        (("surface", "--miller", "12"), "three digits"),
        (("neb", "--no-climb", "--climb-below", "0.1"), "climb is off"),
        (("adsorption", "--adsorbate", "Xyz"), "is no element"),
        (("interface",), "1 structures were given; two were expected"),
    ],
)
def test_bad_settings_are_2(here, args, message):
    done = call(args[0], "cu.extxyz", *args[1:])
    assert done.exit_code == 2 and message in words(done.stderr)
