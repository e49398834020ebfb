"""The structure that a command works on."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

from alignn_ff.errors import StructureError
from alignn_ff.io import read_frames


def read_structure(text: str) -> Atoms:
    """One structure from `text`: a file that ASE reads, with an index where it holds several ("a.xyz@0").

    Without an index the last one counts.

    Raises:
        StructureError: file missing, empty or unreadable, or several structures; the message names it.
    """
    path, index = split_index(text)
    try:
        found = read_frames(path, index)
    except StructureError as error:
        raise StructureError(f"structure file {error}") from error
    if not isinstance(found, Atoms):
        raise StructureError(f"{text} selects {len(found)} structures; one was expected, such as {path}@0.")
    if len(found) == 0:
        raise StructureError(f"structure file {text} holds no atoms.")
    return found


def split_index(text: str) -> tuple[Path, str]:
    """File and index of "file@index"; a file whose own name holds an @ wins."""
    name, at, index = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), "-1"
    return Path(name), index
