"""The structures that a command works on."""

from __future__ import annotations

from collections.abc import Sequence
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
    found = _frames(text)
    if len(found) != 1:
        path = split_index(text)[0]
        raise StructureError(f"{text} selects {len(found)} structures; one was expected, such as {path}@0.")
    return found[0]


def read_structures(texts: Sequence[str]) -> list[Atoms]:
    """Those of several files; an index may select several of one file ("a.xyz@:", "a.xyz@::10").

    Raises:
        StructureError: as in `read_structure`, but for several structures.
    """
    return [atoms for text in texts for atoms in _frames(text)]


def split_index(text: str) -> tuple[Path, str]:
    """File and index of "file@index"; a file whose own name holds an @ wins."""
    name, at, index = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), "-1"
    return Path(name), index


def _frames(text: str) -> list[Atoms]:
    path, index = split_index(text)
    try:
        found = read_frames(path, index)
    except StructureError as error:
        raise StructureError(f"structure file {error}") from error
    frames = [found] if isinstance(found, Atoms) else found
    if any(len(atoms) == 0 for atoms in frames):
        raise StructureError(f"structure file {text} holds no atoms.")
    return frames
