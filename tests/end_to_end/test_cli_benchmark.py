"""`alignn-ff benchmark` from the command line: a table in, exit codes, files, going on."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from alignn_ff.cli.main import app

HEADER = "name,formula,prototype,a,lattice_a_angstrom,c11_gpa\n"


def call(*args):
    return CliRunner().invoke(app, ["benchmark", "ase:emt", *args, "--no-progress-bar"])


def words(text):
    """Text without the line breaks that terminals put in."""
    return " ".join(text.split())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metals.csv").write_text(HEADER + "Cu,Cu,fcc,3.6,3.59,\nAl,Al,fcc,4.0,3.99,\n")
    return tmp_path


def test_a_table(here):
    done = call("metals.csv", "--property", "relax", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["rows_done"], found["failures"]) == (2, {})
    (one,) = found["errors"]
    assert one["quantity"] == "lattice_a" and 0 < one["mae"] < 0.01 and set(one["worst"]) == {"Cu", "Al"}
    assert "benchmark of 2 materials: done" in words(done.stderr)
    names = {path.name for path in (here / "metals-benchmark").iterdir()}
    assert names >= {"report.html", "benchmark.json", "parity-relax.png", "comparisons.csv", "errors.csv"}
    summary = json.loads((here / "metals-benchmark" / "summary.json").read_text())
    assert summary["status"] == "done" and summary["inputs"]["data"] == "metals.csv"
    assert summary["inputs"]["model"] == "ase:emt"


def test_going_on_with_a_longer_table(here):
    assert call("metals.csv").exit_code == 0
    assert call("metals.csv").exit_code == 2  # the folder is not empty
    with (here / "metals.csv").open("a") as table:
        table.write("Ni,Ni,fcc,3.5,3.49,\n")
    assert call("metals.csv", "--resume").exit_code == 0
    rows = (here / "metals-benchmark" / "rows.jsonl").read_text().splitlines()[1:]
    assert [json.loads(row)["material"] for row in rows] == ["Cu", "Al", "Ni"]


def test_a_failure_is_3_and_named(here):
    (here / "iron.csv").write_text(HEADER + "Fe,Fe,bcc,2.9,2.83,\n")
    done = call("iron.csv")
    assert done.exit_code == 3 and "failed: Fe, relax" in words(done.stdout)


@pytest.mark.parametrize(
    ("table", "args", "message"),
    [
        (HEADER, (), "holds no materials"),
        (HEADER + "Cu,Cu,fcc,3.6,,\n", (), "no reference value"),
        (HEADER + "Cu,Cu,fcc,3.6,3.59,\n", ("--property", "elastic"), "no reference of elastic"),
        (HEADER + "Cu,Cu,fcc,3.6,3.59,\n", ("--property", "stiffness"), "unknown property"),
    ],
)
def test_bad_input_is_2_and_leaves_nothing(here, table, args, message):
    (here / "bad.csv").write_text(table)
    done = call("bad.csv", *args)
    assert done.exit_code == 2 and message in words(done.stderr)
    assert not (here / "bad-benchmark").exists()


def test_help_tells_the_format():
    text = words(CliRunner().invoke(app, ["benchmark", "--help"]).output)
    assert "lattice_a_angstrom" in text and "--property" in text and "--resume" in text
