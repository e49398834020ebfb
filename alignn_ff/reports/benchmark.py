"""Computed over reference values of materials: a panel per quantity, and a page of all that was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, panels
from alignn_ff.reports.html import heading, picture, table
from alignn_ff.reports.parity import error_text

PER_ROW = 3
NAMED = 3
"""How many of the points farthest from the diagonal have their name beside them."""

HEADER = ("material", "quantity", "unit", "reference", "predicted", "error", "error (%)", "source, or what failed")


class Panel(NamedTuple):
    """One quantity: names, reference and predicted values [P] in `unit` of the materials that have it."""

    label: str
    unit: str
    names: Sequence[str]
    reference: NDArray
    predicted: NDArray


def parity_panels(quantities: Sequence[Panel]) -> Figure:
    """Predicted over reference values with the diagonal, the worst named; a quantity without values says so."""
    columns = min(PER_ROW, len(quantities))
    fig, axes = panels(-(-len(quantities) // columns), columns)
    for ax in axes[len(quantities) :]:
        ax.set_visible(False)
    for ax, panel in zip(axes, quantities, strict=False):
        _draw(ax, panel)
    return fig


def benchmark_parts(
    rows: Sequence[tuple[str, str]],
    notes: Sequence[tuple[str, str, str]],
    figures: Mapping[str, bytes],
    tables: Mapping[str, Sequence[Sequence[str]]],
) -> list[str]:
    """All of a benchmark, as parts of an HTML page, the errors first.

    Args:
        rows: label and value: counts, errors, failures.
        notes: material, property, what a workflow warned of.
        figures, tables: `parity_panels` of each property as PNG, and lines with the columns of `HEADER`.
    """
    parts = [heading("Errors") + table(("", ""), rows)]
    for name, drawn in figures.items():
        plot = picture(drawn, "Predicted over reference values. Beside points: the largest errors.")
        parts.append(heading(name.capitalize()) + plot + table(HEADER, tables[name]))
    return [*parts, heading("Warnings") + table(("material", "property", "warning"), notes)] if notes else parts


def _draw(ax: Axes, panel: Panel) -> None:
    x, y = panel.reference, panel.predicted
    unit = f" ({panel.unit})" if panel.unit else ""
    ax.set_xlabel(f"Reference{unit}")
    ax.set_ylabel(f"Predicted{unit}")
    errors = f": {error_text(x, y, panel.unit)}".rstrip() if x.size else ": no values"
    ax.set_title(panel.label + errors, fontsize=9, loc="left")
    if not x.size:
        return
    worst = np.argsort(-np.abs(y - x))[:NAMED]
    ax.plot(x, y, "o", color=BLUE, ms=4, alpha=0.8, mew=0)
    ax.plot(x[worst], y[worst], "o", color=ORANGE, ms=4, mew=0)
    for place in worst:
        ax.annotate(panel.names[place], (x[place], y[place]), xytext=(4, 4), textcoords="offset points", fontsize=7)
    ax.axline((x[0], x[0]), slope=1.0, color=GREY, lw=0.8, zorder=0)
    ax.set_aspect("equal", adjustable="datalim")
