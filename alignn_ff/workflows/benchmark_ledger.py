"""The rows that a benchmark has computed, kept in a file by which it goes on after it was broken off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from alignn_ff.workflows.ledger import Add, Kind, open_ledger

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

    def __init__(self, rows: list[Row], add: Add) -> None:
        self._rows = {(row.structure, row.property): row for row in rows}
        self._add = add

    def kept(self, structure: str, name: str) -> Row | None:
        """The row of that property, unless there is none or it failed: what failed is tried again."""
        row = self._rows.get((structure, name))
        return None if row is None or row.status == "failed" else row

    def add(self, row: Row) -> None:
        """Take down a row."""
        self._rows[row.structure, row.property] = row
        self._add(asdict(row))


@contextmanager
def open_rows(folder: Path | None, origin: Mapping[str, Any], *, resume: bool) -> Iterator[Ledger]:
    """The ledger of a benchmark that begins, or goes on with the rows in `folder`.

    Args:
        origin: what the rows depend on beside structure and property, as JSON knows it.
    Raises:
        CheckpointError, ConfigError, OutputWriteError: as in `ledger.open_ledger`.
    """
    kind = Kind(ROWS, lambda line: Row(**line | {"notes": tuple(line["notes"])}))
    with open_ledger(folder, kind, {"format": FORMAT, **origin}, resume=resume) as (rows, add):
        yield Ledger(rows, add)
