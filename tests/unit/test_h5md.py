"""Frames in HDF5: what goes in comes out, others can read it, and no kill costs a frame that was there."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from alignn_ff import h5md
from alignn_ff.errors import StructureError
from alignn_ff.io import read_frames


def frames(count: int, atoms: Atoms | None = None) -> list[Atoms]:
    """Copper on its way, every second frame with a stress; one of the atoms is an isotope."""
    work = bulk("Cu", cubic=True) if atoms is None else atoms
    work.set_masses([65.0, *work.get_masses()[1:]])
    found = []
    rng = np.random.default_rng(0)
    for k in range(count):
        frame = work.copy()
        frame.positions += rng.normal(size=frame.positions.shape, scale=0.1)
        frame.set_cell(work.cell[:] * (1 + 0.01 * k))
        frame.set_momenta(rng.normal(size=frame.positions.shape))
        results = {"energy": rng.normal(), "forces": rng.normal(size=frame.positions.shape)}
        frame.calc = SinglePointCalculator(frame, **results, **({} if k % 2 else {"stress": rng.normal(size=6)}))
        found.append(frame)
    return found


def written(path: Path, given: list[Atoms]) -> Path:
    for k, frame in enumerate(given):
        h5md.append(path, frame, 5 * k, 2.5 * k)
    return path


def assert_same(found: list[Atoms], given: list[Atoms]) -> None:
    assert len(found) == len(given)
    for k, (one, other) in enumerate(zip(found, given, strict=True)):
        assert np.array_equal(one.numbers, other.numbers) and np.array_equal(one.pbc, other.pbc)
        assert np.array_equal(one.get_masses(), other.get_masses())
        assert np.array_equal(one.positions, other.positions) and np.array_equal(one.cell[:], other.cell[:])
        assert one.get_momenta() == pytest.approx(other.get_momenta(), rel=1e-14)
        assert one.get_forces() == pytest.approx(other.get_forces(), rel=1e-14)
        assert one.get_potential_energy() == other.get_potential_energy() and one.info == {"time_fs": 2.5 * k}
        stresses = [frame.calc.results.get("stress", np.zeros(0)) for frame in (one, other)]
        assert np.array_equal(*stresses)


@pytest.mark.parametrize(
    "atoms",
    [None, molecule("H2O"), bulk("Cu") * 9, Atoms("Cu2", [[0, 0, 0], [2, 0, 0]], cell=[4, 0, 0], pbc=[1, 0, 0])],
)
def test_frames_come_out_as_they_went_in(tmp_path, atoms):
    given = frames(4, atoms)
    path = written(tmp_path / "run.h5md", given)
    assert_same(read(path, ":"), given)
    assert h5md.frames_and_atoms(path) == (4, len(given[0]))
    assert read(path).info == {"time_fs": 7.5} and read(path, 1).info == read(path, -3).info == {"time_fs": 2.5}
    assert [frame.info["time_fs"] for frame in read_frames(path, "1::2")] == [2.5, 7.5]


def test_the_layout_is_that_of_h5md(tmp_path):
    """https://nongnu.org/h5md/h5md.html, version 1.1.0, with its module units."""
    given = frames(3)
    with h5py.File(written(tmp_path / "run.h5md", given), "r") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1] and file["h5md/modules/units"].attrs["version"][0] == 1
        assert file["h5md/creator"].attrs["name"] == "alignn-ff" and "name" in file["h5md/author"].attrs
        group = file["particles/all"]
        assert group["box"].attrs["dimension"] == 3 and list(group["box"].attrs["boundary"]) == ["periodic"] * 3
        assert group["species"][()].tolist() == [29] * 4 and group["mass"][0] == 65.0
        units_of = {name: group[name]["value"].attrs["unit"] for name in ("position", "velocity", "force")}
        assert units_of == {"position": "Angstrom", "velocity": "Angstrom fs-1", "force": "kJ mol-1 Angstrom-1"}
        for name in ("particles/all/position", "particles/all/force", "particles/all/box/edges", "observables/energy"):
            element = file[name]
            assert element["step"][()].tolist() == [0, 5, 10] and element["time"][()].tolist() == [0.0, 2.5, 5.0]
            assert element["time"].attrs["unit"] == "fs" and len(element["value"]) == 3
        last = given[-1]
        assert group["velocity/value"][2] == pytest.approx(last.get_velocities() * units.fs)
        assert group["force/value"][2] == pytest.approx(last.get_forces() * 96.485332, rel=1e-6)


def look(path: Path, opened: Event, added: Event) -> None:
    """Hold the file open, as a plain reader does, while a frame is added."""
    with h5py.File(path, "r"):
        opened.set()
        assert added.wait(60)


def test_it_grows_while_somebody_looks_at_it(tmp_path):
    given = frames(3)
    path = written(tmp_path / "run.h5md", given[:2])
    context = multiprocessing.get_context("fork")
    opened, added = context.Event(), context.Event()
    reader = context.Process(target=look, args=(path, opened, added))
    reader.start()
    assert opened.wait(60)
    h5md.append(path, given[2], 10, 5.0)
    added.set()
    reader.join(timeout=60)
    assert reader.exitcode == 0
    assert_same(read(path, ":"), given)


def killed_within(path: Path, frame: Atoms, place: int) -> None:
    """Append in a process of its own that is killed before the data set number `place` grows, or just after it did."""

    def die_then(resize):
        calls = iter(range(99))

        def resized(*args, **kwargs):
            if next(calls) == place:
                os.kill(os.getpid(), signal.SIGKILL)
            resize(*args, **kwargs)
            args[0].file.flush()

        return resized

    def work():
        h5py.Dataset.resize = die_then(h5py.Dataset.resize)
        h5md.append(path, frame, 10, 5.0)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(timeout=60)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("place", range(8))
def test_a_kill_within_a_frame_costs_no_other(tmp_path, place):
    given = frames(3)
    path = written(tmp_path / "run.h5md", given[:2])
    killed_within(path, given[2], place)
    assert_same(read(path, ":"), given[:2])
    h5md.cut(path, 2)
    with h5py.File(path, "r") as file:  # as any other program opens it
        assert len(file["particles/all/position/value"]) == len(file["particles/all/force/value"]) == 2
    h5md.append(path, given[2], 10, 5.0)
    assert_same(read(path, ":"), given)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    given = frames(3)
    path = written(tmp_path / "run.h5md", given[:2])
    before = path.read_bytes()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5000, unlimited[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            h5md.append(path, given[2], 10, 5.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert path.read_bytes() == before
    h5md.append(path, given[2], 10, 5.0)
    assert_same(read(path, ":"), given)


def test_cut_back_to_any_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(h5md, "_CHUNK_FRAMES", 2)  # so that copies take several turns
    given = frames(7)
    path = written(tmp_path / "run.h5md", given)
    for keep in (5, 4, 1):
        h5md.cut(path, keep)
        assert_same(read(path, ":"), given[:keep])


def test_a_frame_costs_little_more_than_its_numbers(tmp_path):
    atoms = bulk("Cu", cubic=True) * 5
    atoms.calc = EMT()
    given = frames(12, atoms)
    sizes = [written(tmp_path / f"{count}.h5md", given[:count]).stat().st_size for count in (2, 12)]
    numbers = 8 * (3 * 3 * 500 + 9 + 6 + 3)
    assert (sizes[1] - sizes[0]) / 10 < 1.15 * numbers


def test_files_of_others_are_not_taken_for_ours(tmp_path):
    path = written(tmp_path / "run.h5md", frames(1))
    with h5py.File(path, "r+") as file:
        file["particles/all/position/value"].attrs["unit"] = "nm"
    with pytest.raises(StructureError, match=r"position is in nm, Angstrom was expected"):
        read_frames(path)
    with h5py.File(path, "w", libver="v110") as file:
        file["particles/x"] = 1
    with pytest.raises(StructureError, match=r"run\.h5md cannot be read"):
        read_frames(path)
    path.write_text("no HDF5")
    with pytest.raises(StructureError, match=r"run\.h5md cannot be read"):
        read_frames(path)
