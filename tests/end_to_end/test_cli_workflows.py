"""The command line: what it prints, writes and returns."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read, write
from typer.testing import CliRunner

import alignn_ff
from alignn_ff.cli.inputs import distinct
from alignn_ff.cli.main import COMMANDS, app, example, load_command
from alignn_ff.cli.options import joined, settings_from
from alignn_ff.cli.structure import expanded, read_structures
from alignn_ff.errors import StructureError
from alignn_ff.workflows import WORKFLOWS
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.relax import RelaxSettings, run_relax

EMT_MODEL = ("--model", "ase:emt", "--no-progress-bar")


def call(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def words(text):
    """Text without the line breaks that terminals put in."""
    return " ".join(text.split())


@pytest.fixture
def copper(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = bulk("Cu", cubic=True, a=3.65)
    atoms.rattle(0.03, seed=1)
    path = tmp_path / "cu.extxyz"
    write(path, atoms)
    return path


def test_relax_writes_prints_and_sums_up(copper, tmp_path):
    done = call("relax", copper, "--pressure", "2", "--fmax", "0.005", *EMT_MODEL)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "cu-relax"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["command"] == "relax" and summary["status"] == "done" and summary["error"] is None
    assert summary["inputs"]["settings"]["pressure_gpa"] == 2.0
    assert summary["inputs"]["settings"]["optimizer"] == "FIRE"  # resolved defaults are there too
    assert summary["model"] == {"model": "ase:emt", "class": "ase.calculators.emt.EMT", "sha256": None}
    assert {"alignn_ff", "ase", "numpy", "torch", "phonopy", "phono3py", "python"} == set(summary["versions"])
    assert summary["wall_time_s"] > 0 and summary["warnings"] == []
    relaxed = read(folder / "relaxed.extxyz")
    relaxed.calc = EMT()
    assert relaxed.get_potential_energy() == pytest.approx(summary["result"]["energy_ev"], abs=1e-5)
    assert f"{summary['result']['energy_ev']:.6f} eV" in done.stdout and "cu-relax" in done.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<h1>relax Cu4</h1>" in page and f"{summary['result']['energy_ev']:.6f} eV" in page and "2 GPa" in page


def test_json_alone_on_standard_output(copper):
    done = call("relax", copper, "--json", *EMT_MODEL)
    result = json.loads(done.stdout)
    assert result["converged"] is True and result["atoms"]["formula"] == "Cu4"
    assert "largest force" in done.stderr


def test_not_converged_is_3_and_keeps_its_files(copper, tmp_path):
    done = call("relax", copper, "--steps", "1", *EMT_MODEL)
    assert done.exit_code == 3
    summary = json.loads((tmp_path / "cu-relax" / "summary.json").read_text())
    assert summary["status"] == "not converged" and summary["result"]["steps"] == 1


def test_md_with_supercell_and_eos_run(copper, tmp_path):
    md = call(
        "md",
        copper,
        "--supercell",
        "1",
        "2",
        "1",
        "--temp",
        "200",
        "--steps",
        "4",
        "--out",
        "run",
        *EMT_MODEL,
    )
    assert md.exit_code == 0, md.output
    assert len(read(tmp_path / "run" / "final.extxyz")) == 8
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["inputs"]["settings"]["temperature_k"] == 200.0
    eos = call("eos", copper, "--points", "5", "--no-relax", *EMT_MODEL)
    assert eos.exit_code == 0, eos.output
    assert json.loads((tmp_path / "cu-eos" / "eos.json").read_text())["settings"]["relax"] is False


@pytest.mark.parametrize("values", [("2,1,3",), ("2 1 3",), ("2x1x3",), ("2", "1", "3")])
def test_every_spelling_of_a_tuple(values):
    words = joined(["md", "--supercell", *values, "--steps", "3"], {"--supercell": 3})
    assert words[-2:] == ["--steps", "3"] and len(words) == 5
    given = dict.fromkeys(item.name for item in fields(MDSettings)) | {"supercell": [words[2]]}
    assert settings_from(MDSettings, given, None).supercell == (2, 1, 3)


def test_repeated_tuple_option(copper, tmp_path):
    three = ["--supercell", "1", "--supercell", "1", "--supercell", "2"]
    done = call("md", copper, *three, "--steps", "1", "--out", "run", *EMT_MODEL)
    assert done.exit_code == 0, done.output
    assert len(read(tmp_path / "run" / "final.extxyz")) == 8


def test_options_win_over_the_file_and_the_file_over_defaults(copper, tmp_path):
    (tmp_path / "relax.yaml").write_text("fmax: 1e-2\nsteps: 7\noptimizer: BFGS\n")
    done = call("relax", copper, "--config", "relax.yaml", "--steps", "500", *EMT_MODEL)
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "cu-relax" / "summary.json").read_text())["inputs"]["settings"]
    assert (settings["fmax"], settings["steps"], settings["optimizer"]) == (0.01, 500, "BFGS")
    (tmp_path / "md.json").write_text(json.dumps({"steps": 2, "supercell": [2, 1, 1]}))
    assert call("md", copper, "--config", "md.json", *EMT_MODEL).exit_code == 0
    assert len(read(tmp_path / "cu-md" / "final.extxyz")) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fmaxx: 1", "c.yaml with the options on top: unknown field `fmaxx` (did you mean `fmax`?)"),
        ("- 1", "c.yaml holds a list"),
        ("a: [", "neither YAML nor JSON"),
        ("fmax: -1", "`fmax` = -1.0: more than 0 eV/Å was expected"),
    ],
)
def test_bad_configuration_files(copper, tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    done = call("relax", copper, "--config", "c.yaml", *EMT_MODEL)
    assert done.exit_code == 2 and message in words(done.stderr)
    assert not (tmp_path / "cu-relax").exists()


def test_folders_are_not_overwritten_by_accident(copper, tmp_path):
    assert call("relax", copper, "--steps", "0", *EMT_MODEL).exit_code == 3
    refused = call("relax", copper, "--steps", "1", *EMT_MODEL)
    assert refused.exit_code == 2 and "cu-relax exists and is not empty" in words(refused.stderr)
    assert call("relax", copper, "--steps", "1", "--overwrite", *EMT_MODEL).exit_code == 3
    assert json.loads((tmp_path / "cu-relax" / "relax.json").read_text())["steps"] == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "ase:emd"], "ASE has no calculator `emd` (did you mean `emt`?)"),
        (["--model", "ase:emt", "--device", "cpu", "--skin", "1"], "ase:emt has no device, skin"),
        (["--model", "ase:emt", "--optimizer", "lbgfs"], "did you mean `LBFGS`"),
        (["--model", "ase:emt", "--cell-mask", "1,1"], "6 values were expected"),
        (["--model", "ase:emt", "--config", "none.yaml"], "none.yaml cannot be read"),
    ],
)
def test_bad_input_is_one_paragraph_and_2(copper, args, message):
    done = call("relax", copper, *args)
    assert done.exit_code == 2
    assert message in words(done.stderr) and "Traceback" not in done.stderr


def test_structure_files(tmp_path):
    frames = [bulk("Cu"), molecule("CO"), bulk("Cu")]
    write(tmp_path / "three.extxyz", frames)
    assert [len(atoms) for atoms in read_structures([f"{tmp_path}/three.extxyz"])] == [1]  # the last one
    assert [len(atoms) for atoms in read_structures([f"{tmp_path}/three.extxyz@1"])] == [2]
    assert [len(atoms) for atoms in read_structures([f"{tmp_path}/three.extxyz@:2"] * 2)] == [1, 2, 1, 2]
    write(tmp_path / "odd@0.xyz", frames[1])
    assert [len(atoms) for atoms in read_structures([f"{tmp_path}/odd@0.xyz"])] == [2]
    (tmp_path / "empty.xyz").touch()
    (tmp_path / "bad.xyz").write_text("three\n\nCu 0 0 0\n")
    (tmp_path / "bad.cif").write_text("nothing\n")
    (tmp_path / "what.ever").write_bytes(b"\x00\xff\x01")
    for name, message in [
        ("none.xyz", "does not exist"),
        ("empty.xyz", "is empty"),
        ("bad.xyz", "cannot be read"),
        ("bad.cif", "cannot be read"),
        ("what.ever", "cannot be read"),
        ("three.extxyz@9", "cannot be read"),
    ]:
        with pytest.raises(StructureError, match=message) as caught:
            read_structures([f"{tmp_path}/{name}"])
        assert name.partition("@")[0] in str(caught.value)


def test_several_structures_each_get_a_folder(copper, tmp_path):
    (tmp_path / "broken.cif").write_text("nothing\n")
    write(tmp_path / "more.extxyz", [bulk("Ni", cubic=True, a=3.6), bulk("Au", cubic=True)])
    done = call("relax", copper, "broken.cif", "more.extxyz@:", "--out", "all", "--fmax", "0.005", *EMT_MODEL)
    assert done.exit_code == 2, done.output
    assert "error: broken.cif: structure file broken.cif cannot be read" in words(done.stderr)
    assert "4 structures: 3 done, 1 refused" in done.stderr
    for name, alone in [("cu", read(copper)), ("more", bulk("Ni", cubic=True, a=3.6)), ("more-2", None)]:
        summary = json.loads((tmp_path / "all" / name / "summary.json").read_text())
        assert summary["status"] == "done" and isinstance(summary["inputs"]["structure"], str)
        if alone is not None:
            alone.calc = EMT()
            energy = run_relax(alone, RelaxSettings(fmax=0.005)).energy_ev
            assert summary["result"]["energy_ev"] == pytest.approx(energy, abs=1e-12)
    with (tmp_path / "all" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["outcome"] for row in rows] == ["done", "refused", "done", "done"]
    assert rows[3]["folder"] == "all/more-2" and float(rows[3]["energy_ev"]) < 0.1
    assert "cannot be read" in rows[1]["error"] and rows[1]["energy_ev"] == ""


def test_the_gravest_ending_of_several_counts(copper, tmp_path):
    write(tmp_path / "au.cif", bulk("Au", cubic=True, a=4.06))
    done = call("relax", copper, "au.cif", "--steps", "8", "--json", "--fmax", "0.05", *EMT_MODEL)
    assert done.exit_code == 3, done.output
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["converged"] for result in results] == [False, True]
    assert (tmp_path / "cu-relax" / "relax.json").exists() and (tmp_path / "au-relax" / "relax.json").exists()
    stop = call("relax", copper, "au.cif", "--model", "nonsense")
    assert stop.exit_code == 2 and stop.stderr.count("nonsense") == 1


def test_names_of_folders_are_distinct():
    assert distinct(["a", "POSCAR", "a", "POSCAR", "POSCAR", "a-2"]) == [
        *("a", "POSCAR", "a-2", "POSCAR-2", "POSCAR-3", "a-2-2"),
    ]


def test_a_killed_run_goes_on_by_the_same_command_line(copper, tmp_path):
    arguments = ["md", "cu.extxyz", "--steps", "600", "--restart-every", "50", "--resume", *EMT_MODEL]
    folder, command = tmp_path / "cu-md", [sys.executable, "-c", MAIN, *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    deadline = time.monotonic() + 120
    try:
        while count_lines(folder / "thermo.csv") < 12 and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        process.kill()
    assert process.wait(timeout=120) == -signal.SIGKILL
    assert 12 <= count_lines(folder / "thermo.csv") < 61 and not (folder / "md.json").exists()
    assert call(*arguments).exit_code == 0
    again = call(*arguments)
    assert again.exit_code == 0 and "600" in again.stdout
    assert call(*arguments[:-3], *EMT_MODEL, "--out", "unbroken").exit_code == 0
    for name in ("thermo.csv", "trajectory.extxyz", "final.extxyz"):
        assert (folder / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    other = call(*arguments, "--seed", "1")
    assert other.exit_code == 2 and "begun with other settings: seed = 0, now 1" in words(other.stderr)
    both = call(*arguments, "--overwrite")
    assert both.exit_code == 2 and "exclude each other" in both.stderr
    assert "No such option" in words(call("relax", copper, "--resume", *EMT_MODEL).stderr)


def count_lines(path):
    return path.read_text().count("\n") if path.exists() else 0


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_field_is_an_option_with_help(name):
    from importlib import import_module
    from typing import get_type_hints

    module, _, function = WORKFLOWS[name].partition(":")
    settings_type = get_type_hints(getattr(import_module(module), function))["settings"]
    options = {option: item for item in load_command(name).params for option in item.opts}
    for item in fields(settings_type):
        option = options["--" + item.name.replace("_", "-")]
        assert item.metadata["help"] in option.help and item.metadata["unit"] in option.help


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(alignn_ff.__file__).parents[1])}


def run(code, cwd, *args):
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=ENVIRONMENT, check=False)


MAIN = "from alignn_ff.cli.main import main; main()"


def test_exit_codes_of_the_executable(copper, tmp_path):
    bad = run(MAIN, tmp_path, "relax", "none.cif")
    assert bad.returncode == 2 and bad.stdout == ""
    assert bad.stderr.startswith("error: structure file none.cif does not exist") and bad.stderr.count("\n") == 1
    assert run(MAIN, tmp_path, "relax", "cu.extxyz", "--steps", "1", *EMT_MODEL).returncode == 3
    assert run(MAIN, tmp_path, "no-such-command").returncode == 2


def test_ctrl_c_keeps_the_run_and_is_130(copper, tmp_path):
    arguments = [sys.executable, "-c", MAIN, "md", "cu.extxyz", "--steps", "1000000", *EMT_MODEL]
    process = subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    thermo = tmp_path / "cu-md" / "thermo.csv"
    deadline = time.monotonic() + 120
    try:
        while not (thermo.exists() and thermo.read_text().count("\n") > 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
    finally:
        process.kill()  # a test that fails must not leave a million steps behind
    assert process.returncode == 130
    summary = json.loads((tmp_path / "cu-md" / "summary.json").read_text())
    assert summary["status"] == "interrupted" and summary["result"]["steps"] >= 20
    assert len(read(tmp_path / "cu-md" / "final.extxyz")) == 4


def test_a_runaway_leaves_its_last_good_frame_and_a_summary(copper, tmp_path):
    done = call("md", copper, "--ensemble", "nve", "--timestep", "100", "--temp", "1000", "--steps", "50", *EMT_MODEL)
    assert done.exit_code == 2 and "last_good.extxyz" in words(done.stderr)
    summary = json.loads((tmp_path / "cu-md" / "summary.json").read_text())
    assert summary["status"] == "run away" and summary["result"] is None and "step" in summary["error"]
    page = (tmp_path / "cu-md" / "report.html").read_text(encoding="utf-8")
    assert ">run away<" in page and "last_good" in page
    assert len(read(tmp_path / "cu-md" / "last_good.extxyz")) == 4


@pytest.mark.parametrize("name", [*WORKFLOWS, *COMMANDS])
def test_every_command_has_an_example_that_is_a_call_of_it(name):
    words = shlex.split(example(name))
    assert words[:2] == ["alignn-ff", name]
    command, rest = load_command(name), words[2:]
    assert " ".join(words) in command.epilog
    if hasattr(command, "commands"):
        _, command, rest = command.resolve_command(command.make_context(name, rest.copy()), rest)
    given = command.make_context(name, rest).params  # what does not fit is a usage error
    assert given


def complete(line, tmp_path):
    """What the shell is told of the last word of a line."""
    words = {"_ALIGNN_FF_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    code = "import sys; sys.argv = ['alignn-ff']; from alignn_ff.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT | words, check=False
    )
    return done.stdout.split()


def test_the_shell_completes_commands_options_and_words(tmp_path):
    assert complete("alignn-ff ph", tmp_path) == ["phonons"]
    assert complete("alignn-ff md --ensem", tmp_path) == ["--ensemble"]
    assert complete("alignn-ff md --ensemble npt-", tmp_path) == ["npt-axes", "npt-flexible", "npt-langevin"]
    assert complete("alignn-ff data sp", tmp_path) == ["split"]


def test_patterns_that_the_shell_left_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.extxyz", "a.extxyz"):
        write(name, [bulk("Cu"), bulk("Cu", a=3.7)])
    assert expanded(["*.extxyz", "?.extxyz@0", "none*"]) == [
        *("a.extxyz", "b.extxyz", "a.extxyz@0", "b.extxyz@0", "none*"),
    ]
    done = call("relax", "[ab].extxyz", "--out", "all", "--cell", "none", *EMT_MODEL)
    assert done.exit_code == 0 and {path.name for path in (tmp_path / "all").iterdir()} == {"a", "b", "results.csv"}


def test_help_is_light():
    code = "import sys; sys.argv = ['alignn-ff', '--help']\n"
    code += "from alignn_ff.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "sys.exit(sorted({'torch', 'ase', 'matplotlib', 'scipy'} & set(sys.modules)) or 0)"
    done = run(code, None)
    assert done.returncode == 0, done.stderr
    for name in WORKFLOWS:
        assert f" {name} " in done.stdout
