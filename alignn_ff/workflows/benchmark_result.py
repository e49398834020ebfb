"""What a benchmark gives back: every row computed, comparisons with references, errors, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms

from alignn_ff.workflows.benchmark_errors import Comparison, Statistic, failures
from alignn_ff.workflows.benchmark_ledger import Row
from alignn_ff.workflows.benchmark_quantities import QUANTITIES
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alignn_ff.reports.benchmark import Panel
    from alignn_ff.workflows.benchmark import BenchmarkSettings

COMPARED = ("material", "property", "quantity", "unit", "reference", "predicted", "error", "error_percent")
ERRORS = ("property", "quantity", "unit", "count", "missing", "mae", "rmse", "mean_error", "mae_percent")
"""Columns of the tables."""


@dataclass(frozen=True)
class BenchmarkResult(WorkflowResult):
    """Properties of materials beside references. `atoms` is the first structure, `starts` are all of the table.

    `measured` holds every row with all that was computed, `comparisons` what has a reference, both in the units of
    `QUANTITIES`. What did not converge is in the rows, and counts in no error.
    """

    settings: BenchmarkSettings
    starts: Sequence[Atoms]
    measured: Sequence[Row]
    comparisons: Sequence[Comparison]
    errors: Sequence[Statistic]
    materials: int = quantity("materials")
    rows_in_all: int = quantity("rows (a property of a material)")
    rows_done: int = quantity("done")
    rows_not_converged: int = quantity("not converged")
    rows_failed: int = quantity("failed")

    name: ClassVar[str] = "benchmark"
    only_tables: ClassVar[tuple[str, ...]] = ("starts",)

    @property
    def outcome(self) -> Outcome:
        """Whether every reference has a value beside it."""
        if len(self.measured) < self.rows_in_all:
            return "interrupted"
        return "not converged" if self.failures else "done"

    @property
    def subject(self) -> str:
        """How many materials."""
        return f"of {self.materials} materials"

    @property
    def failures(self) -> dict[str, str]:
        """What has no value that counts, as "material, property", and why."""
        return failures(self.comparisons)

    @property
    def properties(self) -> list[str]:
        """Those with errors."""
        return list(dict.fromkeys(one.property for one in self.errors))

    def to_dict(self) -> dict[str, Any]:
        """As of every result, and the failures."""
        return super().to_dict() | {"failures": self.failures}

    def rows(self) -> list[tuple[str, str]]:
        """How many, the mean absolute error and worst cases of each quantity, and each failure."""
        lost = [(f"failed: {name}", reason) for name, reason in self.failures.items()]
        return [*super().rows(), *((f"MAE of {one.quantity}", str(one)) for one in self.errors), *lost]

    def structures(self) -> Mapping[str, Sequence[Atoms]]:
        """The structures of the table."""
        return {"materials": self.starts}

    def tables(self) -> Mapping[str, Table]:
        """Every comparison, and the errors of each quantity."""
        return {"comparisons": _columns(self.comparisons, COMPARED), "errors": _columns(self.errors, ERRORS)}

    def plot(self) -> Figure:
        """Computed over reference values, a panel per quantity."""
        from alignn_ff.reports.benchmark import parity_panels

        return parity_panels([self._panel(one) for one in self.errors])

    def findings(self, folder: Path) -> list[str]:
        """Errors and failures, then parity plot and comparisons of each property."""
        from alignn_ff.reports.benchmark import benchmark_parts

        tables = {name: [_texts(one) for one in self.comparisons if one.property == name] for name in self.properties}
        figures = {name: (folder / f"parity-{name}.png").read_bytes() for name in tables}
        notes = [(row.material, row.property, note) for row in self.measured for note in row.notes]
        return benchmark_parts(self.rows(), notes, figures, tables)

    def save(self, folder: str | Path) -> list[Path]:
        """As every result; and a parity plot per property."""
        from alignn_ff.reports.benchmark import parity_panels
        from alignn_ff.reports.figure import save_figure

        written = super().save(folder)
        for name in self.properties:
            drawn = parity_panels([self._panel(one) for one in self.errors if one.property == name])
            written.append(save_figure(drawn, Path(folder) / f"parity-{name}.png"))
        return written

    def _panel(self, statistic: Statistic) -> Panel:
        from alignn_ff.reports.benchmark import Panel

        mine = [one for one in self.comparisons if one.quantity == statistic.quantity and one.predicted is not None]
        return Panel(
            label=QUANTITIES[statistic.quantity].label,
            unit=statistic.unit,
            names=[one.material for one in mine],
            reference=np.array([one.reference for one in mine]),
            predicted=np.array([one.predicted for one in mine], float),
        )


def _columns(parts: Sequence[Comparison] | Sequence[Statistic], names: Sequence[str]) -> Table:
    """Columns of numbers and words; a number that does not exist is NaN."""
    values = {name: [getattr(part, name) for part in parts] for name in names}
    return {name: np.array([np.nan if value is None else value for value in column]) for name, column in values.items()}


def _texts(one: Comparison) -> list[str]:
    """A line of the page."""
    numbers = ("reference", "predicted", "error", "error_percent")
    values = [getattr(one, name) for name in numbers]
    form = [".6g", ".6g", "+.3g", "+.2f"]
    texts = ["" if value is None else format(value, how) for value, how in zip(values, form, strict=True)]
    return [one.material, one.quantity, one.unit, *texts, one.reason or one.source]
