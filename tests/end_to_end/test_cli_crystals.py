"""The commands on properties of crystals: what they print, write and return."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest
from ase.build import bulk, molecule
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.cli.main import app

needs_phono3py = pytest.mark.skipif(
    find_spec("phono3py") is None, reason="phono3py is not installed: pip install alignn-ff[conductivity]"
)
EMT_MODEL = ("--model", "ase:emt", "--no-progress-bar")
MESH = ("--supercell", "2x2x2", "--mesh", "5", "5", "5", "--band-points", "5")


def call(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def words(text):
    """Text without the line breaks that terminals put in."""
    return " ".join(text.split())


@pytest.fixture
def copper(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cu.extxyz"
    write(path, bulk("Cu", a=3.6))
    return path


def test_elastic_prints_the_tensor_and_what_follows(copper, tmp_path):
    done = call("elastic", copper, "--no-relax-ions", "--pressure", "1", *EMT_MODEL)
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "cu-elastic" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["inputs"]["settings"]["pressure_gpa"] == 1.0
    c11 = summary["result"]["cubic"]["c11_gpa"]
    assert f"C11 {c11:.2f} GPa" in words(done.stdout) and "Debye temperature" in done.stdout
    first = summary["result"]["clamped_ion"]["tensor_gpa"][0]
    assert " ".join(f"{value:.1f}" for value in first[:3]) in words(done.stdout)


def test_elastic_of_an_unstable_crystal_ends_well_with_a_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("bcc.extxyz", bulk("Cu", "bcc", a=2.86))
    done = call("elastic", "bcc.extxyz", "--no-relax-ions", *EMT_MODEL)
    assert done.exit_code == 0 and "mechanically unstable" in words(done.stderr)
    assert "Born stability unstable" in words(done.stdout)


def test_phonons_as_json(copper, tmp_path):
    done = call("phonons", copper, *MESH, "--json", *EMT_MODEL)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["stability"] == "stable" and result["supercell_atoms"] == 8
    assert (tmp_path / "cu-phonons" / "phonopy_params.yaml").exists()
    assert "lowest frequency" in words(done.stderr) and "at q = 0 0 0" in words(done.stderr)


def test_phonons_that_did_not_relax_are_3(copper):
    done = call("phonons", copper, *MESH, "--relax-steps", "1", "--fmax", "1e-9", *EMT_MODEL)
    assert done.exit_code == 3 and "did not converge" in words(done.stderr)


def test_qha_writes_its_tables(copper, tmp_path):
    short = ("--max-temperature-k", "100", "--points-above", "2", "--no-relax")
    done = call("qha", copper, *MESH, *short, *EMT_MODEL)
    assert done.exit_code == 0, done.output
    header = (tmp_path / "cu-qha" / "temperatures.csv").read_text().splitlines()[0]
    assert header.startswith("temperature_k,volume_a3,thermal_expansion_per_k,bulk_modulus_gpa")
    assert "volume at 0 K" in done.stdout and "thermal expansion at 300 K" not in done.stdout


CONDUCTIVITY = ("--supercell", "2x2x2", "--pair-supercell", "3x3x3", "--mesh", "3", "3", "3", "--no-relax")


@needs_phono3py
def test_conductivity_goes_on_and_writes_its_tables(copper, tmp_path):
    how = ("conductivity", copper, *CONDUCTIVITY, "--temp", "400", "--out", "run", "--resume", *EMT_MODEL)
    done = call(*how)
    assert done.exit_code == 0, done.output
    kept = (tmp_path / "run" / "relaxations.jsonl").read_bytes()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    found = summary["result"]["transport"]
    assert found["temperature_k"] == 400 and found["conductivity_w_per_m_k"] == pytest.approx(found["xx_w_per_m_k"])
    assert f"thermal conductivity {found['conductivity_w_per_m_k']:.4g} W/(m K)" in words(done.stdout)
    assert summary["versions"]["phono3py"] and "cumulative_mean_free_path" in (tmp_path / "run/report.html").read_text()
    assert call(*how).exit_code == 0 and (tmp_path / "run" / "relaxations.jsonl").read_bytes() == kept
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["result"]["transport"] == found


@needs_phono3py
def test_conductivity_of_an_unstable_crystal_is_1(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("bcc.extxyz", bulk("Cu", "bcc", a=2.86))
    done = call("conductivity", "bcc.extxyz", "--supercell", "2,2,2", "--mesh", "5,5,5", *EMT_MODEL)
    assert done.exit_code == 1 and "imaginary modes: lowest frequency" in words(done.stderr)
    assert "thermal conductivity" not in done.stdout and (tmp_path / "bcc-conductivity" / "report.html").exists()


def test_conductivity_without_phono3py_names_the_extra(copper, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "phono3py", None)
    done = call("conductivity", copper, *EMT_MODEL)
    assert done.exit_code == 2 and "pip install alignn-ff[conductivity]" in words(done.stderr)


@pytest.mark.parametrize("command", ["elastic", "phonons", "qha"])
def test_molecules_are_refused_in_one_paragraph(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("co.xyz", molecule("CO"))
    done = call(command, "co.xyz", *EMT_MODEL)
    assert done.exit_code == 2 and "is not a crystal" in words(done.stderr) and "Traceback" not in done.stderr
    assert not (tmp_path / f"co-{command}").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("elastic", "--strain-percent", "9"), "at most 5 %"),
        (("phonons", "--supercell", "2,2,2", "--range-a", "4"), "supercell is given"),
        (("phonons", "--born-file", "BORN", "--supercell", "2,2,2", "--no-relax"), "born_file BORN cannot be read"),
        (("phonons", "--supercell", "1,1,1", "--no-relax"), "a supercell of one atom moves as a whole"),
        (("qha", "--points-above", "1"), "make 4 volumes"),
    ],
)
def test_bad_settings_are_2(copper, args, message):
    done = call(args[0], copper, *args[1:], *EMT_MODEL)
    assert done.exit_code == 2 and message in words(done.stderr)
