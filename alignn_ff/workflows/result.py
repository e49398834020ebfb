"""What a workflow gives back: numbers with units in their names, structures, tables and a plot."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.files import prepare_folder, write_text
from alignn_ff.workflows.frames import csv_line, write_frames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcome = Literal["done", "failed", "not converged", "interrupted"]
Table = Mapping[str, NDArray]
"""Columns of one length; a quantity that does not exist has no column."""


def quantity(label: str, unit: str = "", form: str = ".6g", *, default: Any = MISSING) -> Any:
    """A result field that tables for people show as `label`, in `unit`, formatted with `form`."""
    return field(default=default, metadata={"label": label, "unit": unit, "form": form})


@dataclass(frozen=True)
class WorkflowResult(ABC):
    """Base of all results. Concrete results are final, add their fields and state their `name`.

    `atoms` is the structure at the end; `only_tables` names fields too long for `to_dict`.
    """

    atoms: Atoms
    name: ClassVar[str]
    only_tables: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def outcome(self) -> Outcome:
        """Whether the job reached its end."""

    @property
    def subject(self) -> str:
        """What it is a result of, for people."""
        return self.atoms.get_chemical_formula()

    @abstractmethod
    def plot(self) -> Figure:
        """The result as a figure; the first line here is its caption in a report."""

    @abstractmethod
    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """File stem -> structures written to `<stem>.extxyz`."""

    @abstractmethod
    def tables(self) -> Mapping[str, Table]:
        """File stem -> columns written to `<stem>.csv`."""

    @property
    def trajectory(self) -> str | None:
        """Name of the file of frames that the workflow wrote as it went on; None where it wrote none."""
        return None

    def titles(self) -> Mapping[str, Sequence[str]]:
        """File stem of `structures` -> a name for each of several structures; without one its formula is."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Everything but long tables as plain lists, numbers and texts, ready for JSON."""
        return {
            item.name: plain(getattr(self, item.name)) for item in fields(self) if item.name not in self.only_tables
        }

    def rows(self) -> list[tuple[str, str]]:
        """(label, value with unit) of each quantity that exists, for people."""
        return quantity_rows(self)

    def findings(self, folder: Path) -> list[str]:
        """What was found, as parts of a page; after the first come the structures.

        Args:
            folder: where the result was saved.
        """
        from alignn_ff.reports.html import heading, picture, table

        caption = (inspect.getdoc(self.plot) or "").partition("\n")[0]
        numbers = heading("Results") + table(("", ""), self.rows())
        return [numbers, heading("Plot") + picture((folder / f"{self.name}.png").read_bytes(), caption)]

    def save(self, folder: str | Path) -> list[Path]:
        """Write JSON, structures, tables and plot into `folder`; each file appears whole or not at all.

        Returns:
            The paths written; files of the same names are replaced.
        Raises:
            OutputWriteError: the folder or a file cannot be written.
        """
        from alignn_ff.reports.figure import save_figure

        folder = prepare_folder(folder, reuse=True)
        written = [folder / f"{self.name}.json"]
        write_text(written[0], json.dumps(self.to_dict(), indent=1) + "\n")
        for stem, frames in self.structures().items():
            written.append(folder / f"{stem}.extxyz")
            write_frames(written[-1], frames)
        for stem, columns in self.tables().items():
            written.append(folder / f"{stem}.csv")
            write_text(written[-1], _csv(columns))
        return [*written, save_figure(self.plot(), folder / f"{self.name}.png")]


def quantity_rows(holder: Any) -> list[tuple[str, str]]:
    """(label, value with unit) of each `quantity` of a dataclass that exists, for people."""
    rows = []
    for item in fields(holder):
        value = getattr(holder, item.name)
        if "label" in item.metadata and value is not None:
            rows.append((item.metadata["label"], _text(value, item.metadata)))
    return rows


def plain(value: Any) -> Any:
    """`value` as JSON knows it: arrays become lists, structures become dictionaries of their arrays."""
    if isinstance(value, Atoms):
        return {
            "formula": value.get_chemical_formula(),
            "symbols": value.get_chemical_symbols(),
            "positions_a": value.positions.tolist(),
            "cell_a": value.cell[:].tolist(),
            "pbc": value.pbc.tolist(),
        }
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    return value


def _text(value: Any, metadata: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = format(value, metadata["form"]) if isinstance(value, float) else str(value)
    return f"{text} {metadata['unit']}".rstrip()


def _csv(columns: Table) -> str:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return "".join(csv_line(line) for line in [list(columns), *rows])
