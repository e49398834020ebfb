"""What a molecular-dynamics run writes as it goes: samples, frames, and the state to go on from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.files import prepare_folder
from alignn_ff.workflows.frame_files import FrameFile, open_frames
from alignn_ff.workflows.frames import append_line, growing_file, size_now
from alignn_ff.workflows.restart import STATE, Origin, State, write_state

THERMO = "thermo.csv"

Row = Mapping[str, float]
"""One thermodynamic sample."""


class Journal:
    """The files of one run; without a folder it writes nothing."""

    def __init__(
        self, folder: Path | None, origin: Origin, thermo: IO[str] | None, trajectory: FrameFile | None
    ) -> None:
        self.folder = folder
        self._origin, self._thermo, self._trajectory = origin, thermo, trajectory

    def add_row(self, row: Row) -> None:
        """Append a sample, the names of its columns before the first."""
        if size_now(self._thermo) == 0:
            append_line(self._thermo, list(row))
        append_line(self._thermo, list(row.values()))

    def add_frame(self, frame: Atoms, step: int, time_fs: float) -> None:
        """Append a frame to the trajectory."""
        if self._trajectory is not None:
            self._trajectory.append(frame, step, time_fs)

    def keep(self, step: int, arrays: Mapping[str, NDArray], random: Mapping[str, Any], seconds: float) -> None:
        """Replace the state on disk by that of `step`, with the present sizes of the files."""
        if self.folder is not None:
            frames = {} if self._trajectory is None else {self._trajectory.name: self._trajectory.length}
            sizes = {THERMO: size_now(self._thermo), **frames}
            write_state(self.folder, self._origin, State(step, arrays, random, sizes, seconds))


@contextmanager
def open_journal(
    folder: Path | None, origin: Origin, *, after: State | None, frames: str | None, states: bool
) -> Iterator[Journal]:
    """The journal of a run that begins, or goes on after a state; what was written after that state is cut off.

    Args:
        frames: format of the trajectory; None writes none.
        states: leave a first state before anything else, so that a run killed early is known.
    Raises:
        CheckpointError: files are shorter than when the state was kept.
        OutputWriteError: a file cannot be written.
    """
    sizes = {THERMO: 0} if after is None else after.sizes
    if folder is not None and after is None:
        (prepare_folder(folder, reuse=True) / STATE).unlink(missing_ok=True)
        if states:
            write_state(folder, origin, State(-1, {}, {}, sizes, 0.0))
    with (
        growing_file(folder, THERMO, keep=sizes[THERMO]) as thermo,
        open_frames(folder, frames, sizes) as trajectory,
    ):
        yield Journal(folder, origin, thermo, trajectory)


def rows_before(folder: Path, state: State) -> list[dict[str, float]]:
    """The samples that stood in the journal when `state` was kept."""
    with (folder / THERMO).open("rb") as file:
        lines = file.read(state.sizes[THERMO]).decode().splitlines()
    names = lines[0].split(",") if lines else []
    return [dict(zip(names, map(_number, line.split(",")), strict=True)) for line in lines[1:]]


def _number(text: str) -> float:
    return int(text) if text.isdecimal() else float(text)
