"""`alignn-ff relax` with several structures and a model that evaluates them at once."""

from __future__ import annotations

import csv
import json

import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff import AlignnFFCalculator, run_relax
from alignn_ff.cli.main import app
from alignn_ff.workflows.relax import RelaxSettings

HOW = (
    *("--model", "mlearn-six", "--device", "cpu", "--dtype", "float64", "--out", "all"),
    *("--optimizer", "BFGS", "--fmax", "0.03", "--steps", "8"),
)


def call(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def starts():
    """One that takes all steps there are, one that takes none, and one between."""
    found = [bulk("Si", a=5.6) * (1, 1, 2), bulk("Cu", a=3.632), bulk("Ge", a=5.7)]
    found[0].rattle(0.15, seed=1)
    return found


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, atoms in zip(("si", "cu", "ge"), starts(), strict=True):
        write(f"{name}.extxyz", atoms)
    write("k.extxyz", bulk("K"))
    return ["si.extxyz", "none.cif", "cu.extxyz", "k.extxyz", "ge.extxyz"]


@pytest.fixture
def calls(monkeypatch):
    """How many structures the model was given at each call; at the call `calls.at`, Ctrl-C comes."""

    class Calls(list):
        at = None

    found, evaluate = Calls(), AlignnFFCalculator.evaluate

    def counted(self, structures, **how):
        found.append(len(structures))
        if len(found) == found.at:
            raise KeyboardInterrupt
        return evaluate(self, structures, **how)

    monkeypatch.setattr(AlignnFFCalculator, "evaluate", counted)
    return found


def rows():
    with open("all/results.csv") as file:
        return list(csv.DictReader(file))


def summary(name):
    with open(f"all/{name}/summary.json") as file:
        return json.load(file)


def test_results_are_those_of_each_alone_and_stand_in_order(files, calls):
    done = call("relax", *files, *HOW, "--json")
    assert done.exit_code == 2, done.output
    assert [row["outcome"] for row in rows()] == ["not converged", "refused", "done", "refused", "done"]
    assert "does not exist" in rows()[1]["error"] and "K (atoms 0)" in rows()[3]["error"]
    assert "5 structures: 1 not converged, 2 refused, 2 done" in done.stderr
    printed = [json.loads(line)["energy_ev"] for line in done.stdout.splitlines()]
    assert printed == [float(rows()[k]["energy_ev"]) for k in (0, 2, 4)]
    calculator = AlignnFFCalculator("mlearn-six", device="cpu", dtype="float64")
    for name, energy in zip(("si", "cu", "ge"), printed, strict=True):
        atoms = read(f"{name}.extxyz")
        atoms.calc = calculator
        alone = run_relax(atoms, RelaxSettings(optimizer="BFGS", fmax=0.03, steps=8))
        found = summary(name)
        assert found["result"]["steps"] == alone.steps and energy == pytest.approx(alone.energy_ev, abs=1e-9)
        assert found["status"] == alone.outcome and found["model"]["sha256"] == calculator.provenance["sha256"]
        assert found["inputs"]["progress"] is True and found["inputs"]["structure"] == f"{name}.extxyz"
        assert read(f"all/{name}/relaxed.extxyz").positions == pytest.approx(alone.atoms.positions, abs=1e-7)
        assert len(read(f"all/{name}/trajectory.extxyz", ":")) == alone.steps + 1
    # the unknown element is found when all are evaluated, then alone; the others went on together
    assert calls[0] == 4 and calls[1:5] == [1, 1, 1, 1] and calls[5] == 2


def test_ctrl_c_keeps_what_is_finished_and_what_is_under_way(files, calls):
    calls.at = 4
    done = call("relax", "si.extxyz", "cu.extxyz", "ge.extxyz", *HOW)
    assert done.exit_code == 130, done.output
    assert [row["outcome"] for row in rows()] == ["interrupted", "done", "interrupted"]
    for name in ("si", "ge"):
        assert summary(name)["status"] == "interrupted" and summary(name)["result"]["steps"] == 2
        assert len(read(f"all/{name}/trajectory.extxyz", ":")) == 3
    assert summary("cu")["status"] == "done"


def test_ctrl_c_before_anything_was_computed(files, calls):
    calls.at = 1
    done = call("relax", "si.extxyz", "ge.extxyz", *HOW)
    assert done.exit_code == 130 and "2 structures: 2 interrupted" in done.stderr
    assert summary("si")["status"] == "interrupted" and summary("si")["result"] is None


def test_what_all_share_warns_of_is_in_every_summary(files):
    far = bulk("Cu", a=3.6, cubic=True)
    far.set_cell([9.0, 9.0, 9.0], scale_atoms=True)
    write("far.extxyz", far)
    done = call("relax", "far.extxyz", "si.extxyz", *HOW, "--cell", "none", "--steps", "0")
    assert done.stderr.count("outside what model") == 1
    assert ["outside what model" in " ".join(summary(name)["warnings"]) for name in ("far", "si")] == [True, True]


def test_folders_that_are_not_empty_are_refused_before_anything_is_replaced(files):
    assert call("relax", "cu.extxyz", "ge.extxyz", *HOW).exit_code == 0
    before = summary("cu")
    again = call("relax", "cu.extxyz", "ge.extxyz", *HOW)
    assert again.exit_code == 2 and [row["outcome"] for row in rows()] == ["refused", "refused"]
    assert summary("cu") == before
