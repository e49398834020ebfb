"""Trajectories in HDF5, laid out by H5MD 1.1: a frame is in the file once it is written, whatever ends the process.

de Buyl, Colberg, Höfling, Comput. Phys. Commun. 185, 1546 (2014); https://nongnu.org/h5md.

The file is closed between frames, so that any reader may open it meanwhile. While a frame is added, the library writes
in the order of single-writer/multiple-reader access, by which all before it stays readable at every moment.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import define_io_format, ioformats
from numpy.typing import NDArray

from alignn_ff._version import __version__
from alignn_ff.files import atomic_path

if TYPE_CHECKING:
    import h5py

SUFFIX = ".h5md"

TIME = "time_fs"
"""Entry of a frame that says when it was."""

GROUP = "particles/all"
_STEP, _TIME = f"{GROUP}/position/step", f"{GROUP}/position/time"

_UNITS = {
    f"{GROUP}/box/edges": "Angstrom",
    f"{GROUP}/position": "Angstrom",
    f"{GROUP}/velocity": "Angstrom fs-1",
    f"{GROUP}/force": "kJ mol-1 Angstrom-1",  # what readers of such files know; no eV is among it
    "observables/energy": "eV",
    "observables/stress": "eV Angstrom-3",
}
"""What each frame has -> its unit."""

_TO_FILE = {f"{GROUP}/velocity": units.fs, f"{GROUP}/force": units.mol / units.kJ}
"""Factors from ASE's units, where they differ."""

_CHUNK_BYTES, _CHUNK_FRAMES = 1 << 14, 1024
"""A chunk holds this much at most, or one frame."""

_ROOM_BYTES = 1 << 19
"""More than the chunks that a frame begins and the index of all take."""


def append(path: Path, frame: Atoms, step: int, time_fs: float) -> None:
    """Add a frame with energy and forces as stored results; the first one makes the file.

    Args:
        frame: the same atoms each time; its stress is stored where its results hold one.
        step, time_fs: number of the time step and time.
    Raises:
        OSError: the file cannot be written; on a full disk it stays as it was.
    """
    values = _values(frame)
    if not path.exists():
        with atomic_path(path) as draft:
            _lay_out(draft, frame, values)
    _make_room(path, sum(np.asarray(value).nbytes for value in values.values()))
    with _growing(path) as file:
        count = len(file[_STEP])
        for name, value in values.items():
            _add(file[f"{name}/value"], count, value)
        _add(file[_TIME], count, time_fs)
        file.flush()  # by now all of it is in the file: what the steps count is complete
        _add(file[_STEP], count, step)


def frames_and_atoms(path: Path) -> tuple[int, int]:
    """How many frames a file holds, and of how many atoms.

    Raises:
        OSError, LookupError: no such file, or none of this layout.
    """
    with _reading(path) as file:
        return len(file[_STEP]), file[f"{GROUP}/species"].shape[0]


def cut(path: Path, keep: int) -> None:
    """Replace a file by one of its first `keep` frames, at least one; a file that was torn is whole afterwards.

    Raises:
        OSError, LookupError: as `frames_and_atoms`.
    """
    with _reading(path) as old, atomic_path(path) as draft:
        first = _frame(old, 0)
        _lay_out(draft, first, _values(first))
        _make_room(draft, path.stat().st_size)
        with _growing(draft) as new:
            for name in (*(f"{name}/value" for name in _stored(old)), _TIME, _STEP):
                new[name].resize(keep, axis=0)
                for begin in range(0, keep, _CHUNK_FRAMES):
                    end = min(begin + _CHUNK_FRAMES, keep)
                    new[name][begin:end] = old[name][begin:end]


def read_h5md(filename: str, index: int | slice = -1) -> Iterator[Atoms]:
    """Frames as `append` took them: momenta, energy, forces, stress where there is one, and `time_fs` in `info`.

    ASE calls it: `ase.io.read("trajectory.h5md", ":")`, once this module is imported.

    Raises:
        OSError, LookupError, ValueError: no such file, another layout, or other units.
    """
    with _reading(Path(filename)) as file:
        count = len(file[_STEP])
        for place in range(count)[index] if isinstance(index, slice) else [range(count)[index]]:
            yield _frame(file, place)


def _values(frame: Atoms) -> dict[str, NDArray | float]:
    """What a frame has, by element of the file, in the file's units."""
    results = frame.calc.results
    values: dict[str, Any] = {
        f"{GROUP}/box/edges": frame.cell[:],
        f"{GROUP}/position": frame.positions,
        f"{GROUP}/velocity": frame.get_velocities(),
        f"{GROUP}/force": results["forces"],
        "observables/energy": results["energy"],
        "observables/stress": results.get("stress", np.full(6, np.nan)),
    }
    return {name: value * _TO_FILE.get(name, 1.0) for name, value in values.items()}


def _frame(file: h5py.File, place: int) -> Atoms:
    found = {name: file[f"{name}/value"][place] / _TO_FILE.get(name, 1.0) for name in _stored(file)}
    group = file[GROUP]
    atoms = Atoms(
        numbers=group["species"][()],
        positions=found[f"{GROUP}/position"],
        masses=group["mass"][()],
        cell=found[f"{GROUP}/box/edges"],
        pbc=[word == "periodic" for word in group["box"].attrs["boundary"]],
        info={TIME: float(file[_TIME][place])},
    )
    atoms.set_velocities(found[f"{GROUP}/velocity"])
    results = {"energy": float(found["observables/energy"]), "forces": found[f"{GROUP}/force"]}
    if np.isfinite(found["observables/stress"]).all():
        results["stress"] = found["observables/stress"]
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _stored(file: h5py.File) -> Sequence[str]:
    """Elements with a value for each frame.

    Raises:
        LookupError, ValueError: one is missing or has another unit.
    """
    for name, unit in _UNITS.items():
        seen = file[f"{name}/value"].attrs.get("unit")
        if seen != unit:
            raise ValueError(f"{name} is in {seen or 'no unit'}, {unit} was expected: another program wrote it")
    return list(_UNITS)


def _lay_out(path: Path, frame: Atoms, values: dict[str, NDArray | float]) -> None:
    """A file without frames for those like `frame`."""
    import h5py  # here: few need it who come this way

    content = io.BytesIO()
    with h5py.File(content, "w", libver="v110") as file:
        _say_origin(file)
        box = file.create_group(f"{GROUP}/box")
        box.attrs["dimension"] = 3
        box.attrs["boundary"] = ["periodic" if periodic else "none" for periodic in frame.pbc]
        file[f"{GROUP}/species"] = frame.numbers
        file[f"{GROUP}/mass"] = frame.get_masses()
        file[f"{GROUP}/mass"].attrs["unit"] = "u"
        _growing_values(file, _STEP, np.int64(0), None)
        _growing_values(file, _TIME, 0.0, "fs")
        for name, value in values.items():
            _growing_values(file, f"{name}/value", value, _UNITS[name])
            if "step" not in file[name]:
                file[f"{name}/step"], file[f"{name}/time"] = file[_STEP], file[_TIME]  # links
    path.write_bytes(content.getvalue())


def _say_origin(file: h5py.File) -> None:
    head = file.create_group("h5md")
    head.attrs["version"] = [1, 1]
    head.create_group("author").attrs["name"] = "unknown"
    creator = head.create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = "alignn-ff", __version__
    file.create_group("h5md/modules/units").attrs["version"] = [1, 0]


def _growing_values(file: h5py.File, name: str, value: Any, unit: str | None) -> None:
    """A data set for one more value like this with every frame."""
    one = np.asarray(value)
    frames = min(max(_CHUNK_BYTES // one.nbytes, 1), _CHUNK_FRAMES)
    found = file.create_dataset(
        name, shape=(0, *one.shape), maxshape=(None, *one.shape), chunks=(frames, *one.shape), dtype=one.dtype
    )
    if unit is not None:
        found.attrs["unit"] = unit


def _make_room(path: Path, size: int) -> None:
    """Lengthen a file, so that a full disk refuses now: HDF5 would leave a file that nobody opens.

    What is not needed is cut off when HDF5 closes the file.
    """
    length = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(bytes(size + _ROOM_BYTES))
    except OSError:
        os.truncate(path, length)
        raise


def _add(values: h5py.Dataset, place: int, value: Any) -> None:
    values.resize(place + 1, axis=0)
    values[place] = value


@contextmanager
def _growing(path: Path) -> Iterator[h5py.File]:
    """The file, open for one writer beside readers; opened as any other it would for a moment be open to nobody."""
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_LATEST)
    access.set_file_locking(False, True)  # somebody who looks at the file must not end the run
    flags = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
    with h5py.File(h5py.h5f.open(bytes(path), flags, fapl=access)) as file:
        yield file


@contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """The file, also one whose writer was killed in the midst of a frame."""
    import h5py

    # Not for every file: of a damaged one such a reader would wait for minutes that its writer mends it.
    with h5py.File(path, "r", swmr=_left_open(path), locking=False) as file:
        yield file


def _left_open(path: Path) -> bool:
    """Whether the superblock, version 3, says that one writer beside readers has it: byte 11 of the file, bit 2."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[8] == 3 and bool(head[11] & 0b100)


if "h5md" not in ioformats:
    define_io_format("h5md", "H5MD trajectory", "+S", module="alignn_ff.h5md", ext=SUFFIX[1:], external=True)
