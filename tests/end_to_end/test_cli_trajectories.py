"""The commands on trajectories: from md to numbers, by frames that say when they were."""

from __future__ import annotations

import json

import pytest
from ase.build import bulk
from ase.io import read, write
from typer.testing import CliRunner

from alignn_ff.cli.main import app

EMT_MODEL = ("--model", "ase:emt")


def call(*args):
    return CliRunner().invoke(app, [str(arg) for arg in (*args, "--no-progress-bar")])


def words(text):
    """Text without the line breaks that terminals put in."""
    return " ".join(text.split())


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("cu.extxyz", bulk("Cu", cubic=True, a=3.65))
    for name, kelvin in (("cold", 300), ("hot", 900)):
        fields = ("--temp", kelvin, "--steps", 121, "--traj-every", 2, "--timestep", 4, "--velocities", "draw")
        assert call("md", "cu.extxyz", *fields, "--out", name, *EMT_MODEL).exit_code == 0
    return tmp_path


def test_analysis_and_arrhenius_of_runs(runs):
    assert [frame.info["time_fs"] for frame in read("cold/trajectory.extxyz", ":2")] == [0.0, 8.0]
    done = call("analysis", "cold/trajectory.extxyz", "--skip-frames", "11", "--rdf-reach-a", "4")
    assert done.exit_code == 0, done.output
    summary = json.loads((runs / "cold-analysis" / "summary.json").read_text())
    assert summary["model"] is None and summary["inputs"]["trajectory"] == "cold/trajectory.extxyz"
    result = summary["result"]
    assert result["interval_fs"] == 8.0 and result["frames"] == 50 and result["left_out"] == {}  # not the odd end
    assert "diffusion of Cu" in done.stdout and "g/cm³" in done.stdout
    assert (runs / "cold-analysis" / "vdos.csv").exists()
    thinned = call("analysis", "cold/trajectory.extxyz@::2", "--rdf-reach-a", "4", "--out", "thin", "--json")
    assert json.loads(thinned.stdout)["interval_fs"] == 16.0
    both = call("arrhenius", "hot/trajectory.extxyz", "cold/trajectory.extxyz", "--out", "line")
    assert both.exit_code == 0, both.output
    points = (runs / "line" / "points.csv").read_text().splitlines()
    assert points[0] == "temperature_k,diffusion_Cu_cm2_s,error_Cu_cm2_s" and len(points) == 3
    assert "no fit of Cu" in both.stdout or "activation energy of Cu" in both.stdout


def test_a_run_in_hdf5_is_analysed_as_one_in_text(runs):
    fields = ("--temp", 900, "--steps", 121, "--traj-every", 2, "--timestep", 4, "--velocities", "draw")
    done = call("md", "cu.extxyz", *fields, "--out", "packed", "--traj-format", "hdf5", *EMT_MODEL)
    assert done.exit_code == 0 and not (runs / "packed" / "trajectory.extxyz").exists()
    assert "frame 61 of 61" in (runs / "packed" / "report.html").read_text()
    numbers = []
    for name in ("packed/trajectory.h5md", "hot/trajectory.extxyz"):
        said = call("analysis", name, "--rdf-reach-a", "4", "--json")
        assert said.exit_code == 0, said.output
        numbers.append(json.loads(said.stdout))
    for key in ("frames", "interval_fs", "temperature_k", "density_g_cm3"):
        assert numbers[0][key] == pytest.approx(numbers[1][key], rel=1e-6)
    assert (runs / "packed-analysis").is_dir()
    line = call("arrhenius", "packed/trajectory.h5md", "cold/trajectory.extxyz", "--out", "line")
    assert line.exit_code == 0, line.output
    refused = call("md", "cu.extxyz", "--traj-every", 0, "--traj-format", "hdf5", *EMT_MODEL)
    assert refused.exit_code == 2 and "writes no trajectory" in words(refused.stderr)


def test_trajectories_that_are_none(runs):
    missing = call("analysis", "none.extxyz")
    assert missing.exit_code == 2 and "none.extxyz does not exist" in words(missing.stderr)
    alone = call("arrhenius", "hot/trajectory.extxyz")
    assert alone.exit_code == 2 and "two temperatures or more" in words(alone.stderr)
    assert not (runs / "hot-arrhenius").exists()


def test_melt_quench(runs):
    steps = ("--hold-steps", 20, "--heat-steps", 5, "--melt-steps", 20, "--quench-steps", 5, "--traj-every", 2)
    done = call("melt-quench", "cu.extxyz", *steps, "--melt-temperature-k", 900, "--rdf-reach-a", 4, *EMT_MODEL)
    assert done.exit_code == 3, done.output  # four atoms for a moment do not melt
    summary = json.loads((runs / "cu-melt-quench" / "summary.json").read_text())
    assert (
        summary["status"] == "not converged" and summary["result"]["states"]["crystal"]["shell"]["coordination"] == 12.0
    )
    packed = call(
        *("melt-quench", "cu.extxyz", *steps, "--melt-temperature-k", 900, "--rdf-reach-a", 4, "--traj-format", "hdf5"),
        *("--out", "packed", *EMT_MODEL),
    )
    assert packed.exit_code == 3, packed.output
    same = json.loads((runs / "packed" / "summary.json").read_text())["result"]["states"]
    assert same["melt"]["density_g_cm3"] == pytest.approx(summary["result"]["states"]["melt"]["density_g_cm3"])
    again = call(
        "melt-quench", "cu.extxyz", *steps, "--melt-temperature-k", 900, "--rdf-reach-a", 4, "--resume", *EMT_MODEL
    )
    assert again.exit_code == 3 and "12.00 neighbours within" in words(again.stdout)
