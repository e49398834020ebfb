"""The look all figures share, and the one way they reach a file."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from alignn_ff.files import atomic_path

BLUE, ORANGE, GREEN, GREY = "#2f6fa8", "#d9772b", "#3c8d5a", "#8a8a8a"
"""Blue against orange carries every comparison: red against green is lost on many eyes."""

PANEL_WIDTH_IN, PANEL_HEIGHT_IN = 4.6, 3.2

DOTS_PER_INCH = 160


def panels(rows: int, columns: int = 1, *, share_x: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of `rows` × `columns` tidy panels, row by row; no pyplot, hence no global state."""
    fig = Figure(figsize=(PANEL_WIDTH_IN * columns, PANEL_HEIGHT_IN * rows), layout="constrained")
    grid = fig.subplots(rows, columns, sharex=share_x, squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        tidy(ax)
    return fig, axes


def tidy(ax: Axes) -> None:
    """Two spines, a faint grid, small ticks."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=9)


def log_scale(ax: Axes) -> None:
    """A logarithmic y axis with plain numbers: 2×10¹ is a poor way to say 20."""
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(LogFormatter())
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    ax.tick_params(which="minor", labelsize=8)


def save_figure(fig: Figure, path: str | Path) -> Path:
    """Write `fig` to `path` (format from its suffix: png, svg, pdf), whole or not at all.

    Raises:
        OutputWriteError: the file could not be written.
    """
    path = Path(path)
    with atomic_path(path) as draft:
        fig.savefig(draft, dpi=DOTS_PER_INCH)
    return path
