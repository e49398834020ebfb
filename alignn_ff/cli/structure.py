"""The structures that a command works on."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

from ase import Atoms

from alignn_ff.errors import StructureError
from alignn_ff.io import read_frames


def expanded(texts: Sequence[str]) -> list[str]:
    """Files, with or without an index, for patterns such as "runs/*.cif@-1" that the shell left as they are."""
    found: list[str] = []
    for text in texts:
        path, index = split_index(text, "")
        names = [] if path.exists() else sorted(glob(str(path)))
        found += [f"{name}@{index}" if index else name for name in names] or [text]
    return found


def read_structures(texts: Sequence[str]) -> list[Atoms]:
    """Those of files that ASE reads, with an index where one holds several ("a.xyz@0"), or many ("a.xyz@::10").

    Patterns stand for files. Without an index the last one counts.

    Raises:
        StructureError: file missing, empty or unreadable, or without such an index; the message names it.
    """
    return [atoms for text in expanded(texts) for atoms in _frames(text)]


def read_trajectory(text: str) -> list[Atoms]:
    """All frames of a file, or those of an index ("md.extxyz@1000:").

    Raises:
        StructureError: as in `read_structures`.
    """
    return _frames(text, ":")


def split_index(text: str, default: str = "-1") -> tuple[Path, str]:
    """File and index of "file@index"; a file whose own name holds an @ wins."""
    name, at, index = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), default
    return Path(name), index


def _frames(text: str, default: str = "-1") -> list[Atoms]:
    path, index = split_index(text, default)
    try:
        found = read_frames(path, index)
    except StructureError as error:
        raise StructureError(f"structure file {error}") from error
    frames = [found] if isinstance(found, Atoms) else found
    if any(len(atoms) == 0 for atoms in frames):
        raise StructureError(f"structure file {text} holds no atoms.")
    return frames
