"""`alignn-ff check` from the command line: structures or none, exit codes, files."""

from __future__ import annotations

import json

from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.cli.main import FAILED, app

QUICK = ("--no-dimers", "--no-volumes", "--no-dynamics", "--no-progress-bar")


def call(*args):
    return CliRunner().invoke(app, ["check", *(str(arg) for arg in args)])


def test_structures_of_several_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("two.extxyz", [bulk("Cu", a=3.6), bulk("Al", a=4.0)])
    write("ni.cif", bulk("Ni", a=3.5))
    done = call("ase:emt", "two.extxyz@:", "ni.cif", *QUICK)
    assert done.exit_code == 0, done.output
    assert "0 fail" in done.output and (tmp_path / "two-check" / "report.html").exists()
    summary = json.loads((tmp_path / "two-check" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["inputs"]["structures"] == ["two.extxyz@:", "ni.cif"]
    assert summary["inputs"]["model"] == summary["model"]["model"] == "ase:emt"
    assert (tmp_path / "two-check" / "structures.extxyz").read_text().count("Lattice=") == 3


def test_failure_is_1_and_needs_no_structure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # ASE's Lennard-Jones is cut at 3 Å in its own units: the force jumps there by 0.011
    done = call("--model", "ase:lj", "--elements", "Ar", *QUICK[1:], "--json")
    assert done.exit_code == FAILED == 1
    lines = {line["criterion"]: line for line in json.loads(done.stdout)["lines"]}
    assert lines["dimer_force_jump"]["verdict"] == "fail"
    assert lines["dimer_force_jump"]["worst"] == "Ar-Ar at 3.0000 Å" and lines["dimer_force_jump"]["failed"] == [
        "Ar-Ar"
    ]
    assert json.loads((tmp_path / "lj-check" / "summary.json").read_text())["status"] == "failed"


def test_nothing_to_check_is_bad_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("--model", "ase:emt")
    assert done.exit_code == 2 and "--elements Cu,Ni" in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
