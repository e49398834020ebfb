"""A whole distillation: resumed, shared among processes, refused."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from alignn_ff.checkpoint import file_sha256
from alignn_ff.distill import run as module
from alignn_ff.distill.run import Recipe, run_distill
from alignn_ff.distill.settings import DistillSettings
from alignn_ff.distill.teacher import describe, make_teacher
from alignn_ff.errors import (
    ConfigError,
    DataError,
    ModelNotFoundError,
    OutputExistsError,
    StructureError,
    TeacherError,
)
from alignn_ff.pretrained import default_model

QUICK = DistillSettings(max_atoms=8, md_share=0, perturbed=1)
RECIPE = Recipe("emt", {"Cu": 1.0, "Au": 1.0}, families=5, settings=QUICK)

TEACHERS = """
import os, signal
from pathlib import Path
from ase.calculators.emt import EMT

HERE = Path(__file__).parent

def plain():
    return EMT()

def witness():
    (HERE / f"threads-{os.getpid()}").write_text(os.environ.get("OMP_NUM_THREADS", "unset"))
    return EMT()

def nothing():
    return 3

def picky():
    raise RuntimeError("wrong version")

class At(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        count = HERE / "count"
        count.write_text(count.read_text() + "." if count.exists() else ".")
        if len(count.read_text()) == 12:
            self.act()

class Interrupted(At):
    def act(self):
        os.kill(os.getpid(), signal.SIGINT)

class Killed(At):
    def act(self):
        raise KeyboardInterrupt

class Dying(EMT):
    # once: at its third structure, in the process that comes first
    seen = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.seen += 1
        if self.seen == 3 and not (HERE / "dead").exists():
            (HERE / "dead").touch()
            os._exit(7)

class Useless(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        raise RuntimeError("out of order")

class InMeV(EMT):
    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results = {name: 1e6 * value for name, value in self.results.items()}
"""


@pytest.fixture
def teachers(tmp_path) -> Path:
    path = tmp_path / "teachers.py"
    path.write_text(TEACHERS)
    return path


def frames_of(folder: Path) -> bytes:
    return (folder / "frames.extxyz").read_bytes()


def test_two_processes_make_what_one_makes_on_a_thread_each(tmp_path, teachers, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    one = run_distill(RECIPE, tmp_path / "one")
    recipe = Recipe(f"{teachers}:witness", RECIPE.elements, 5, settings=QUICK)
    two = run_distill(recipe, tmp_path / "two", workers=2)
    assert frames_of(tmp_path / "one") == frames_of(tmp_path / "two")
    assert one.facts == two.facts and one.finished and two.finished
    threads = {path.name: path.read_text() for path in tmp_path.glob("threads-*")}
    assert sorted(threads.values()) == ["1", "1", "unset"] and threads[f"threads-{os.getpid()}"] == "unset"
    assert "OMP_NUM_THREADS" not in os.environ


def test_provenance_says_what_was_made(tmp_path):
    folder = tmp_path / "out"
    result = run_distill(RECIPE, folder)
    said = json.loads((folder / "provenance.json").read_text())
    frames = read(folder / "frames.extxyz", ":")
    assert said["recipe"]["teacher"]["class"] == "ase.calculators.emt.EMT"
    assert {"alignn_ff", "ase", "numpy"} <= set(said["recipe"]["teacher"]["versions"])
    assert said["recipe"]["settings"]["seed"] == 0 and said["recipe"]["elements"] == {"Cu": 1.0, "Au": 1.0}
    assert said["status"] == "finished" and said["families"] == 5 and said["failures"] == 0
    assert said["frames"] == len(frames) == sum(said["frames_by_tag"].values())
    assert said["frames_sha256"] == file_sha256(result.frames)
    assert said["frames_by_element"]["Cu"] == sum("Cu" in frame.symbols for frame in frames)
    assert said["evaluations"] == said["frames"] + said["duplicates"] + said["beyond_limits"]
    assert [int(frame.info["seed"].split("-")[1]) for frame in frames] == sorted(
        int(frame.info["seed"].split("-")[1]) for frame in frames
    )


@pytest.mark.parametrize("how", ["Interrupted", "Killed"])
def test_an_interrupted_run_goes_on_to_the_same_frames(tmp_path, teachers, how):
    """Ctrl-C once ends after the family under way; twice (KeyboardInterrupt) at once. Either way nothing is lost."""
    recipe = Recipe(f"{teachers}:{how}", RECIPE.elements, 5, settings=QUICK)
    folder = tmp_path / "out"
    if how == "Killed":
        with pytest.raises(KeyboardInterrupt):
            run_distill(recipe, folder)
        assert len(list((folder / "shards").iterdir())) == 1
    else:
        first = run_distill(recipe, folder)
        assert not first.finished and 0 < first.facts["families"] < 5
        assert json.loads((folder / "provenance.json").read_text())["status"] == "interrupted"
        assert len(read(first.frames, ":")) == first.facts["frames"]
    result = run_distill(recipe, folder)
    run_distill(RECIPE, tmp_path / "whole")
    assert result.finished and frames_of(folder) == frames_of(tmp_path / "whole")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_made_twice_and_more_can_be_asked_for(tmp_path, teachers):
    recipe = Recipe(f"{teachers}:plain", RECIPE.elements, 2, settings=QUICK)
    folder = tmp_path / "out"
    few = run_distill(recipe, folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    again = run_distill(recipe, folder)
    assert again.facts == few.facts
    assert before == {path.name: path.stat().st_mtime_ns for path in (folder / "shards").iterdir()}
    more = run_distill(Recipe(recipe.teacher, recipe.elements, 5, settings=QUICK), folder)
    run_distill(RECIPE, tmp_path / "whole")
    assert more.facts["families"] == 5 and frames_of(folder) == frames_of(tmp_path / "whole")


def test_shards_are_saved_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_EVERY_S", 0.0)
    run_distill(RECIPE, tmp_path / "out")
    assert len(list((tmp_path / "out" / "shards").iterdir())) == 5
    run_distill(RECIPE, tmp_path / "other")
    assert frames_of(tmp_path / "out") == frames_of(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": DistillSettings(max_atoms=8, md_share=0, perturbed=1, seed=4)}, "settings"),
        ({"elements": {"Cu": 1.0}}, "elements"),
        ({"teacher": "ase:lj"}, "teacher"),
    ],
)
def test_another_recipe_is_refused_and_leaves_all_as_it_was(tmp_path, change, message):
    folder = tmp_path / "out"
    run_distill(RECIPE, folder)
    before = frames_of(folder)
    values = {"teacher": "emt", "elements": RECIPE.elements, "families": 5, "settings": QUICK} | change
    with pytest.raises(ConfigError, match=message):
        run_distill(Recipe(**values), folder)
    assert frames_of(folder) == before


def test_a_teacher_whose_file_changed_is_another_teacher(tmp_path, teachers):
    recipe = Recipe(f"{teachers}:plain", RECIPE.elements, 1, settings=QUICK)
    run_distill(recipe, tmp_path / "out")
    teachers.write_text(TEACHERS + "\n# new\n")
    with pytest.raises(ConfigError, match="file_sha256"):
        run_distill(recipe, tmp_path / "out")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(OutputExistsError, match="no distillation was begun there"):
        run_distill(RECIPE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_damaged_shard_is_named(tmp_path):
    folder = tmp_path / "out"
    run_distill(RECIPE, folder)
    (shard,) = (folder / "shards").iterdir()
    shard.write_text(shard.read_text()[:-20])
    with pytest.raises(DataError, match="damaged"):
        run_distill(RECIPE, folder)


def test_given_structures_join_and_duplicates_go(tmp_path):
    copper = bulk("Cu", a=3.5)
    turned = bulk("Cu", a=3.5, cubic=True)
    turned.rotate(20.0, "z", rotate_cell=True)
    write(tmp_path / "mine.extxyz", [copper, turned])
    recipe = Recipe("emt", RECIPE.elements, 3, (tmp_path / "mine.extxyz",), QUICK)
    result = run_distill(recipe, tmp_path / "out")
    frames = read(result.frames, ":")
    assert frames[0].info["source"] == "mine.extxyz@0" and frames[0].cell[:] == pytest.approx(copper.cell[:], abs=1e-6)
    assert result.facts["duplicates"] == 1  # the same crystal, turned and four times as large
    assert sum(frame.info["source"] == "mine.extxyz@1" for frame in frames) > 0
    said = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert said["recipe"]["given"] == {"mine.extxyz": file_sha256(tmp_path / "mine.extxyz")}


def test_a_teacher_that_fails_on_most_is_given_up(tmp_path, teachers):
    with pytest.raises(TeacherError, match=r"failed on \d+ of \d+ structures.*out of order"):
        run_distill(Recipe(f"{teachers}:Useless", RECIPE.elements, 200, settings=QUICK), tmp_path / "out")
    (shard,) = (tmp_path / "out" / "shards").iterdir()
    assert len(json.loads(shard.read_text())) == 20  # enough to judge, and no more


def test_failures_are_reported_with_the_first(tmp_path):
    result = run_distill(
        Recipe("emt", {"Cu": 8.0, "Ag": 8.0, "Au": 8.0, "Zn": 1.0}, 12, settings=QUICK), tmp_path / "out"
    )
    assert 0 < result.facts["failures"] < result.facts["evaluations"] / 2
    assert "No EMT-potential for Zn" in result.facts["first_failures"][0]
    assert not any("Zn" in frame.symbols for frame in read(result.frames, ":"))
    assert result.facts["elements_without_frames"] == ["Zn"]


def test_no_frame_within_the_limits_is_an_error(tmp_path, teachers):
    with pytest.raises(TeacherError, match="eV and Å"):
        run_distill(Recipe(f"{teachers}:InMeV", {"Cu": 1.0, "O": 1.0}, 2, settings=QUICK), tmp_path / "out")


def test_a_process_that_dies_is_told_and_what_was_made_is_kept(tmp_path, teachers):
    recipe = Recipe(f"{teachers}:Dying", RECIPE.elements, 5, settings=QUICK)
    with pytest.raises(TeacherError, match="exit code 7"):
        run_distill(recipe, tmp_path / "out", workers=2)
    assert run_distill(recipe, tmp_path / "out").finished


@pytest.mark.parametrize(
    ("teacher", "error", "message"),
    [
        ("ase:emd", ModelNotFoundError, "did you mean `emt`"),
        ("no-such-model", ModelNotFoundError, "neither a file nor"),
        ("nowhere.py:make", ConfigError, "No such file"),
        ("{file}:absent", ConfigError, "has no attribute 'absent'"),
        ("no_such_module:make", ConfigError, "No module named"),
        ("{file}:nothing", ConfigError, "returned a int"),
        ("{file}:picky", ConfigError, "wrong version"),
    ],
)
def test_teachers_that_cannot_be_made(tmp_path, teachers, teacher, error, message):
    with pytest.raises(error, match=message):
        run_distill(Recipe(teacher.format(file=teachers), RECIPE.elements, 1), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_teachers_by_every_kind_of_name(teachers):
    assert isinstance(make_teacher("ase:emt"), EMT) and isinstance(make_teacher("emt"), EMT)
    assert isinstance(make_teacher(f"{teachers}:plain"), EMT)
    assert isinstance(make_teacher("ase.calculators.emt:EMT"), EMT)
    embedded = make_teacher(default_model())
    said = describe(default_model(), embedded)
    assert said["model"]["model"] == default_model() and len(said["model"]["sha256"]) == 64
    copper = bulk("Cu")
    copper.calc = embedded
    assert np.isfinite(copper.get_potential_energy())


def test_given_structures_are_checked(tmp_path):
    atoms = bulk("Cu")
    atoms.symbols[0] = "Og"
    write(tmp_path / "heavy.extxyz", atoms)
    with pytest.raises(StructureError, match="Og"):
        run_distill(Recipe("emt", RECIPE.elements, 1, (tmp_path / "heavy.extxyz",)), tmp_path / "out")


@pytest.mark.parametrize(("families", "workers"), [(0, 1), (3, 0)])
def test_nothing_to_do_is_said(tmp_path, families, workers):
    with pytest.raises(ConfigError, match="at least one of each"):
        run_distill(Recipe("emt", RECIPE.elements, families), tmp_path / "out", workers=workers)
