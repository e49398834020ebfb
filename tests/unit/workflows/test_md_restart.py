"""A run broken off at any time goes on as if nothing had happened, to the last bit."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal

import h5py
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from ase.io import read

from alignn_ff import h5md
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.md import MDSettings, run_md
from alignn_ff.workflows.restart import structure_digest

EVERY = {"steps": 22, "stats_every": 3, "traj_every": 2, "restart_every": 4, "timestep_fs": 4.0}
"""States at 4, 8, ..., 20 and 22; samples and frames between them, which a killed run leaves behind."""

MORE = [
    ("nvt", {"temperature_end_k": 900.0}),
    ("nvt-langevin", {"stages": "10@300,12@300-900"}),
    ("npt", {"temperature_end_k": 900.0, "pressure_gpa": 5.0}),
    ("npt-axes", {"cell_axes": (True, False, True), "temperature_end_k": 900.0}),
    ("npt-flexible", {"temperature_end_k": 900.0}),
]


class Mortal(EMT):
    """EMT that counts its evaluations and meets its `end` at number `life`."""

    def __init__(self, life=None, end=None):
        super().__init__()
        self.life, self.end, self.count = life, end, 0

    def calculate(self, *args, **kwargs):
        self.count += 1
        if self.count == self.life:
            self.end()
        super().calculate(*args, **kwargs)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)  # what `kill -9` does


def press_ctrl_c():
    raise KeyboardInterrupt


def copper(life=None, end=press_ctrl_c):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=2)
    atoms.calc = Mortal(life, end)
    return atoms


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Drawing would take most of the time; other tests look at figures."""
    monkeypatch.setattr("alignn_ff.reports.figure.save_figure", lambda figure, path: path)


def settings(ensemble="nvt-langevin", **fields):
    given = EVERY | fields
    if "stages" in given:
        del given["steps"]
    return MDSettings(ensemble=ensemble, **given)


def killed(folder, how, life):
    """Go on with the run in `folder` in a process of its own until it is killed."""
    context = multiprocessing.get_context("fork")
    child = context.Process(target=run_md, args=(copper(life, kill), how), kwargs={"folder": folder, "resume": True})
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL


def tails(folder):
    """Leave what a process leaves that is killed while it writes."""
    for name in ("thermo.csv", "trajectory.extxyz"):
        with (folder / name).open("a") as file:
            file.write("half a li")
    (folder / ".restart.npz.abc.npz").write_bytes(b"half a state")


def assert_same(one, other, *folders):
    """Results and files are equal to the last bit."""
    for name in ("positions", "cell", "momenta", "forces"):
        first, second = (np.asarray(getattr(result.atoms, f"get_{name}")()) for result in (one, other))
        assert np.array_equal(first, second), name
    assert one.to_dict() | {"ns_per_day": 0} == other.to_dict() | {"ns_per_day": 0}
    for name in ("thermo.csv", "trajectory.extxyz", "final.extxyz"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second, name


@pytest.mark.parametrize(("ensemble", "fields"), [*((name, {}) for name in ENSEMBLES), *MORE])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, ensemble, fields):
    how, broken = settings(ensemble, **fields), tmp_path / "broken"
    killed(broken, how, 8)
    tails(broken)
    killed(broken, how, 14)
    result = run_md(copper(), how, folder=broken, resume=True)
    unbroken = run_md(copper(), how, folder=tmp_path / "unbroken")
    assert_same(result, unbroken, broken, tmp_path / "unbroken")
    frames = read(broken / "trajectory.extxyz", index=":")
    assert len(frames) == 12 and unbroken.thermo["step"].tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 22]
    assert sorted(path.name for path in broken.iterdir()) == [
        *("final.extxyz", "md.json", "restart.npz", "thermo.csv", "trajectory.extxyz"),
    ]


def same_frames(one, other):
    """Whether two files in HDF5 hold the same numbers in the same places."""
    with h5py.File(one, "r") as first, h5py.File(other, "r") as second:
        names = []
        first.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(names) == 10  # links are visited once
        return all(np.array_equal(first[name][()], second[name][()], equal_nan=True) for name in names)


@pytest.mark.parametrize("ensemble", ["nvt-langevin", "npt-flexible"])
def test_a_killed_run_in_hdf5_goes_on_without_a_frame_twice_or_missing(tmp_path, ensemble):
    how, broken, unbroken = settings(ensemble, traj_format="hdf5"), tmp_path / "broken", tmp_path / "unbroken"
    killed(broken, how, 8)
    assert [frame.info["time_fs"] for frame in read(broken / "trajectory.h5md", ":")] == [0.0, 8.0, 16.0]
    (broken / ".trajectory.h5md.abc.h5md").write_bytes(b"half a copy")
    killed(broken, how, 14)
    run_md(copper(), how, folder=broken, resume=True)
    run_md(copper(), how, folder=unbroken)
    assert same_frames(broken / "trajectory.h5md", unbroken / "trajectory.h5md")
    frames = read(broken / "trajectory.h5md", ":")
    assert [frame.info["time_fs"] for frame in frames] == [8.0 * k for k in range(12)]
    assert sorted(path.name for path in broken.iterdir()) == [
        *("final.extxyz", "md.json", "restart.npz", "thermo.csv", "trajectory.h5md"),
    ]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_run_killed_while_it_writes_a_frame_in_hdf5_goes_on(tmp_path, place):
    how, broken, unbroken = settings(traj_format="hdf5"), tmp_path / "broken", tmp_path / "unbroken"

    def work():
        resize, calls = h5py.Dataset.resize, iter(range(99))

        def resized(*args, **kwargs):
            if next(calls) == 8 * 4 + place:  # in the fifth frame
                kill()
            resize(*args, **kwargs)

        h5py.Dataset.resize = resized
        run_md(copper(), how, folder=broken)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(timeout=120)
    assert child.exitcode == -signal.SIGKILL
    assert [frame.info["time_fs"] for frame in read(broken / "trajectory.h5md", ":")] == [0.0, 8.0, 16.0, 24.0]
    run_md(copper(), how, folder=broken, resume=True)
    run_md(copper(), how, folder=unbroken)
    assert same_frames(broken / "trajectory.h5md", unbroken / "trajectory.h5md")


@pytest.mark.parametrize(
    ("damage", "message"), [("cut", "lost or damaged"), ("short", "has 1 frames, but 5"), ("gone", "lost")]
)
def test_lost_frames_in_hdf5_are_said_so(tmp_path, damage, message):
    run_md(copper(12), settings(traj_format="hdf5"), folder=tmp_path)
    path = tmp_path / "trajectory.h5md"
    if damage == "cut":
        os.truncate(path, 100)
    elif damage == "short":
        h5md.cut(path, 1)
    else:
        path.unlink()
    with pytest.raises(CheckpointError, match=message):
        run_md(copper(), settings(traj_format="hdf5"), folder=tmp_path, resume=True)


@pytest.mark.parametrize("life", [1, 2, 5, 6, 7])
def test_it_does_not_matter_when(tmp_path, life):
    how = settings(traj_every=0, steps=10)
    killed(tmp_path / "broken", how, life)
    result = run_md(copper(), how, folder=tmp_path / "broken", resume=True)
    unbroken = run_md(copper(), how, folder=tmp_path / "unbroken")
    assert np.array_equal(result.atoms.positions, unbroken.atoms.positions)
    assert (tmp_path / "broken" / "thermo.csv").read_bytes() == (tmp_path / "unbroken" / "thermo.csv").read_bytes()


def test_held_atoms_and_a_supercell_go_on_too(tmp_path):
    def held(life=None):
        atoms = copper(life)
        atoms.set_constraint(FixAtoms([1]))
        return atoms

    how = settings("nvt-bussi", supercell=(2, 1, 1))
    assert run_md(held(9), how, folder=tmp_path / "broken").outcome == "interrupted"
    result = run_md(held(), how, folder=tmp_path / "broken", resume=True)
    unbroken = run_md(held(), how, folder=tmp_path / "unbroken")
    assert_same(result, unbroken, tmp_path / "broken", tmp_path / "unbroken")


def test_ctrl_c_keeps_the_state(tmp_path):
    how, broken = settings(), tmp_path / "broken"
    first = run_md(copper(13), how, folder=broken)
    assert (first.outcome, first.steps) == ("interrupted", 9)
    result = run_md(copper(), how, folder=broken, resume=True)
    assert_same(result, run_md(copper(), how, folder=tmp_path / "unbroken"), broken, tmp_path / "unbroken")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = run_md(copper(), settings(), folder=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    atoms = copper()
    again = run_md(atoms, settings(), folder=tmp_path, resume=True)
    assert atoms.calc.count == 0
    assert again.to_dict() | {"ns_per_day": 0} == first.to_dict() | {"ns_per_day": 0}
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    same = ("final.extxyz", "restart.npz", "thermo.csv", "trajectory.extxyz")
    assert all(before[name] == after[name] for name in same)


def test_where_nothing_was_begun_a_run_begins(tmp_path):
    how = settings(steps=4)
    anew = run_md(copper(), how, folder=tmp_path / "new", resume=True)
    assert np.array_equal(anew.atoms.positions, run_md(copper(), how, folder=tmp_path / "old").atoms.positions)


def test_a_run_begun_over_an_old_one_forgets_it(tmp_path):
    run_md(copper(), settings(), folder=tmp_path)
    other = run_md(copper(3), settings(seed=1), folder=tmp_path)
    assert other.outcome == "interrupted"
    result = run_md(copper(), settings(seed=1), folder=tmp_path, resume=True)
    run_md(copper(), settings(seed=1), folder=tmp_path / "unbroken")
    assert len(result.thermo["step"]) == 9
    assert (tmp_path / "thermo.csv").read_bytes() == (tmp_path / "unbroken" / "thermo.csv").read_bytes()


def test_without_states_there_is_nothing_to_go_on_from(tmp_path):
    run_md(copper(), settings(), folder=tmp_path)
    run_md(copper(), settings(restart_every=0), folder=tmp_path)
    assert not (tmp_path / "restart.npz").exists()
    with pytest.raises(CheckpointError, match=r"holds files, but no restart\.npz"):
        run_md(copper(), settings(restart_every=0), folder=tmp_path, resume=True)
    with pytest.raises(ConfigError, match="needs the folder"):
        run_md(copper(), settings(), resume=True)


def test_another_run_is_not_gone_on_with(tmp_path):
    run_md(copper(9), settings(), folder=tmp_path)
    before = (tmp_path / "thermo.csv").read_bytes()
    moved, lennard = copper(), copper()
    lennard.calc = LennardJones(rc=3.0)
    moved.positions[0, 0] += 1e-9
    for atoms, how, message in [
        (copper(), settings(seed=3), r"other settings: seed = 0, now 3\."),
        (copper(), settings(steps=30, friction_per_fs=0.02), r"friction_per_fs = 0.01, now 0.02; |steps = 22, now 30"),
        (moved, settings(), "another structure"),
        (lennard, settings(), r"another calculator.*Mortal.*LennardJones"),
    ]:
        with pytest.raises(ConfigError, match=message):
            run_md(atoms, how, folder=tmp_path, resume=True)
    assert (tmp_path / "thermo.csv").read_bytes() == before


@pytest.mark.parametrize("told", ["magnetic moments", "charges", "extra features"])
def test_what_a_calculator_is_told_beside_positions_makes_another_start(told):
    def copper_told(values):
        atoms = bulk("Cu", cubic=True)
        if told == "magnetic moments":
            atoms.set_initial_magnetic_moments(values)
        elif told == "charges":
            atoms.set_initial_charges(values)
        else:
            atoms.info["extra_features"] = values
        return structure_digest(atoms)

    seen = [copper_told(values) for values in ([0.0] * 4, [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0])]
    assert len(set(seen)) == 3
    assert seen[0] == structure_digest(bulk("Cu", cubic=True))


def test_another_model_of_the_same_class_shows_in_its_forces(tmp_path):
    run_md(copper(9), settings(), folder=tmp_path)
    other = copper()
    other.calc.parameters["asap_cutoff"] = True
    with pytest.raises(ConfigError, match=r"forces of the calculator are .* eV/Å off"):
        run_md(other, settings(), folder=tmp_path, resume=True)


@pytest.mark.parametrize("damage", ["cut", "no zip"])
def test_damaged_states_and_files_are_said_so(tmp_path, damage):
    run_md(copper(9), settings(), folder=tmp_path)
    state = tmp_path / "restart.npz"
    state.write_bytes(state.read_bytes()[:200] if damage == "cut" else b"no state")
    with pytest.raises(CheckpointError, match=r"restart\.npz is damaged"):
        run_md(copper(), settings(), folder=tmp_path, resume=True)


def test_lost_samples_are_said_so(tmp_path):
    run_md(copper(12), settings(), folder=tmp_path)
    os.truncate(tmp_path / "trajectory.extxyz", 100)
    with pytest.raises(CheckpointError, match=r"trajectory\.extxyz has 100 bytes"):
        run_md(copper(), settings(), folder=tmp_path, resume=True)


def test_speed_counts_all_the_time_spent(tmp_path):
    run_md(copper(12), settings(), folder=tmp_path)
    record = json.loads(str(np.load(tmp_path / "restart.npz")["record"]))
    assert record["step"] == 8 and 0 < record["seconds"] < 60
    result = run_md(copper(), settings(), folder=tmp_path, resume=True)
    assert result.ns_per_day < 22 * 4e-6 * 86400 / record["seconds"]
