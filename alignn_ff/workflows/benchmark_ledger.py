"""The rows that a benchmark has computed, kept in a file by which it goes on after it was broken off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.workflows.frames import append_line, growing_file

ROWS = "rows.jsonl"
FORMAT = 1

Status = Literal["done", "not converged", "failed"]


@dataclass(frozen=True)
class Row:
    """One property of one material.

    Attributes:
        structure: digest of the material's structure.
        reason: why it failed.
        values: by quantity, in the units of `QUANTITIES`; None is what a crystal lacks. Empty where it failed.
        notes: what the workflow warned of.
    """

    material: str
    property: str
    structure: str
    status: Status
    reason: str
    values: Mapping[str, float | None]
    notes: tuple[str, ...]
    seconds: float


class Ledger:
    """Rows by structure and property; each new one is written as soon as it is known. Without a file it only knows."""

    def __init__(self, rows: list[Row], file: IO[str] | None) -> None:
        self._rows = {(row.structure, row.property): row for row in rows}
        self._file = file

    def kept(self, structure: str, name: str) -> Row | None:
        """The row of that property, unless there is none or it failed: what failed is tried again."""
        row = self._rows.get((structure, name))
        return None if row is None or row.status == "failed" else row

    def add(self, row: Row) -> None:
        """Take down a row."""
        self._rows[row.structure, row.property] = row
        append_line(self._file, (json.dumps(asdict(row)),))


@contextmanager
def open_ledger(folder: Path | None, origin: Mapping[str, Any], *, resume: bool) -> Iterator[Ledger]:
    """The ledger of a benchmark that begins, or goes on with the rows in `folder`.

    Args:
        origin: what the rows depend on beside structure and property, as JSON knows it.
    Raises:
        CheckpointError: a damaged file of rows.
        ConfigError: rows of another origin; the message says what differs.
        OutputWriteError: the file cannot be written.
    """
    origin = {"format": FORMAT, **origin}
    rows, size = _rows_before(folder, origin) if resume and folder is not None else ([], 0)
    with growing_file(folder, ROWS, keep=size) as file:
        if not size:
            append_line(file, (json.dumps(origin),))
        yield Ledger(rows, file)


def _rows_before(folder: Path, origin: Mapping[str, Any]) -> tuple[list[Row], int]:
    """Rows of an earlier run and how many bytes they are; a line that was broken off is not among them."""
    path = folder / ROWS
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise CheckpointError(
                f"{folder} holds files, but no {ROWS} to go on from. Leave out --resume, or choose another folder."
            )
        return [], 0
    content = path.read_bytes()
    content = content[: content.rfind(b"\n") + 1]
    try:
        lines = [json.loads(line) for line in content.splitlines()]
        rows = [Row(**line | {"notes": tuple(line["notes"])}) for line in lines[1:]]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}). Start the run anew with --overwrite.") from error
    if lines:
        _require_same(lines[0], json.loads(json.dumps(origin)), folder)
    return rows, len(content)


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    names = sorted({*then, *now})
    changed = [
        f"{name} = {then.get(name)!r}, now {now.get(name)!r}" for name in names if then.get(name) != now.get(name)
    ]
    if changed:
        raise ConfigError(
            f"the rows in {folder} were computed otherwise: {'; '.join(changed)}. Go on as they were begun, or choose "
            "another folder."
        )
