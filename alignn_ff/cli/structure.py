"""The structure that a command works on."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.io import ParseError, read
from ase.io.formats import UnknownFileTypeError

from alignn_ff.errors import StructureError

READ_ERRORS: tuple[type[Exception], ...] = (
    *(UnknownFileTypeError, ParseError),
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, RuntimeError, StopIteration, SyntaxError, ImportError),
)
"""What ASE's readers raise on a file that is not what its name says; most share no base class."""


def read_structure(text: str) -> Atoms:
    """One structure from `text`: a file that ASE reads, with an index where it holds several ("a.xyz@0").

    Without an index the last one counts.

    Raises:
        StructureError: file missing, empty or unreadable, or several structures; the message names it.
    """
    path, index = split_index(text)
    if not path.exists():
        raise StructureError(f"structure file {path} does not exist (looked in {path.absolute().parent}).")
    if path.is_file() and path.stat().st_size == 0:
        raise StructureError(f"structure file {path} is empty.")
    try:
        found = read(path, index=index, do_not_split_by_at_sign=True)
    except READ_ERRORS as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        raise StructureError(
            f"structure file {text} cannot be read ({reason}). Any format of ase.io.read will do; "
            "the suffix or name says which."
        ) from error
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
