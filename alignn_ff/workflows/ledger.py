"""What a long job has computed, line by line in a file by which it goes on after it was broken off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.workflows.frames import append_line, growing_file

Add = Callable[[Any], None]
"""Takes down what JSON knows as a line of its own, at once."""


class Kind(NamedTuple):
    """A sort of ledger: the name of its file, and how what JSON knows of a line is read back."""

    file: str
    read: Callable[[Any], Any]


@contextmanager
def open_ledger(
    folder: Path | None, kind: Kind, origin: Mapping[str, Any], *, resume: bool
) -> Iterator[tuple[list[Any], Add]]:
    """The entries in `folder` to go on with, and what adds further ones; the file begins with the first of them.

    Args:
        origin: what the entries depend on beside what they say themselves, as JSON knows it.
        resume: go on with the entries in `folder`, if there are; else they are replaced.
    Raises:
        CheckpointError: a damaged file, or other files alone.
        ConfigError: entries of another origin; the message says what differs.
        OutputWriteError: the file cannot be written.
    """
    entries, size = _before(folder, kind, origin) if resume and folder is not None else ([], 0)
    files: list[IO[str] | None] = []
    with ExitStack() as stack:

        def add(entry: Any) -> None:
            if not files:
                files.append(stack.enter_context(growing_file(folder, kind.file, keep=size)))
                if not size:
                    append_line(files[0], (json.dumps(origin),))
            append_line(files[0], (json.dumps(entry),))

        yield entries, add


def _before(folder: Path, kind: Kind, origin: Mapping[str, Any]) -> tuple[list[Any], int]:
    """Entries of an earlier run and how many bytes they are; a line that was broken off is not among them."""
    path = folder / kind.file
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise CheckpointError(
                f"{folder} holds files, but no {kind.file} to go on from. Leave out --resume, or choose another folder."
            )
        return [], 0
    content = path.read_bytes()
    content = content[: content.rfind(b"\n") + 1]
    try:
        first, *lines = [json.loads(line) for line in content.splitlines()] or [None]
        entries = [kind.read(line) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}). Start the run anew with --overwrite.") from error
    if first is not None:
        _require_same(first, json.loads(json.dumps(origin)), folder)
    return entries, len(content)


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    names = sorted({*then, *now})
    changed = [
        f"{name} = {then.get(name)!r}, now {now.get(name)!r}" for name in names if then.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigError(
            f"what {folder} holds was computed otherwise: {'; '.join(changed)}. Go on as it was begun, or choose "
            "another folder."
        )
