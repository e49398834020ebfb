"""The frames of a run on disk: a file per format, each of which can be cut back to a frame that a state remembers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar

from ase import Atoms

from alignn_ff import h5md
from alignn_ff.errors import CheckpointError
from alignn_ff.files import discard_drafts, prepare_folder
from alignn_ff.workflows.frames import append_frame, growing_file, said_as_output_error, size_now, with_results


class FrameFile(ABC):
    """A file that grows by the frame; a process killed at any moment leaves all frames before whole."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def opened(cls, folder: Path, keep: int) -> Iterator[FrameFile]:
        """The file in `folder`, of which `keep` is left (of `length`); anew where that is 0.

        Raises:
            CheckpointError: the earlier file is shorter than that, or damaged.
            OutputWriteError: it cannot be written.
        """

    @property
    @abstractmethod
    def length(self) -> int:
        """So far."""

    @abstractmethod
    def append(self, frame: Atoms, step: int, time_fs: float) -> None:
        """Add a frame, with its results."""


class TextFrames(FrameFile):
    """Frames as extxyz, whose entry `time_fs` says when they were; the length is in bytes."""

    name = "trajectory.extxyz"

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def opened(cls, folder: Path, keep: int) -> Iterator[FrameFile]:
        with growing_file(folder, cls.name, keep=keep) as file:
            assert file is not None
            yield cls(file)

    @property
    def length(self) -> int:
        return size_now(self._file)

    def append(self, frame: Atoms, step: int, time_fs: float) -> None:
        dated = with_results(frame, frame.calc.results)
        dated.info[h5md.TIME] = time_fs
        append_frame(self._file, dated)


class HDF5Frames(FrameFile):
    """Frames as H5MD; the length is their number."""

    name = f"trajectory{h5md.SUFFIX}"

    def __init__(self, path: Path, length: int) -> None:
        self._path, self._length = path, length

    @classmethod
    def opened(cls, folder: Path, keep: int) -> Iterator[FrameFile]:
        path = prepare_folder(folder, reuse=True) / cls.name
        discard_drafts(path)
        if keep:
            _cut_back(path, keep)
        else:
            path.unlink(missing_ok=True)
        yield cls(path, keep)

    @property
    def length(self) -> int:
        return self._length

    def append(self, frame: Atoms, step: int, time_fs: float) -> None:
        with said_as_output_error(self._path):
            h5md.append(self._path, frame, step, time_fs)
        self._length += 1


FORMATS: dict[str, type[FrameFile]] = {"extxyz": TextFrames, "hdf5": HDF5Frames}


@contextmanager
def open_frames(folder: Path | None, form: str | None, sizes: Mapping[str, int]) -> Iterator[FrameFile | None]:
    """The file of frames of that format, None where there is no folder or no format; else as `FrameFile.opened`.

    Args:
        sizes: by the names of files, what is to be kept of them.
    """
    if folder is None or form is None:
        yield None
    else:
        kind = FORMATS[form]
        yield from kind.opened(folder, sizes.get(kind.name, 0))


def _cut_back(path: Path, keep: int) -> None:
    try:
        found, _ = h5md.frames_and_atoms(path)
    except (OSError, LookupError) as error:
        raise CheckpointError(f"{path} is lost or damaged ({error}). Put it back, or start the run anew.") from error
    if found < keep:
        raise CheckpointError(
            f"{path} has {found} frames, but {keep} when the state of the run was kept: it was changed since. Put it "
            "back, or start the run anew."
        )
    with said_as_output_error(path):
        h5md.cut(path, keep)
