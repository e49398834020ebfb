"""Verdicts on a potential: how far each value is from its limit, and the curves behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, PANEL_WIDTH_IN, panels
from alignn_ff.reports.html import figure, heading, paragraph, picture, table

RED = "#b3261e"
COLOURS = {"pass": BLUE, "warn": ORANGE, "fail": RED}

SMALLEST, LARGEST = 1e-8, 1e6
"""Ends of the axis, in limits; what lies beyond is drawn at its end."""

LINE_IN = 0.19
PER_ROW = 3

WALL_EV = 10.0
"""Energies above this are left to the table: a repulsive wall would flatten the rest of a curve."""


class Curve(NamedTuple):
    """How the curves of one check are drawn: columns, labels, and what stands below them."""

    x: str
    y: str
    x_label: str
    y_label: str
    caption: str


CURVES = {
    "dimers": Curve("distance_a", "energy_ev", "Distance (Å)", "Energy (eV)", "Two atoms alone, pulled apart."),
    "volumes": Curve(
        "volume_per_atom_a3",
        "energy_ev_per_atom",
        "Volume (Å³/atom)",
        "Energy above lowest (eV/atom)",
        "Crystals scaled uniformly, atoms not relaxed.",
    ),
    "walks": Curve(
        "displacement_a",
        "force_along_ev_per_a",
        "Displacement (Å)",
        "Force along the way (eV/Å)",
        "One atom moved in a straight line among the others.",
    ),
    "dynamics": Curve(
        "time_fs",
        "energy_change_mev_per_atom",
        "Time (fs)",
        "Energy change (meV/atom)",
        "Total energy at constant energy (NVE).",
    ),
}


def verdict_figure(lines: Sequence[tuple[str, str, float | None, float]]) -> Figure:
    """Every value in units of its limit, on a logarithmic axis.

    Args:
        lines: (label, verdict, value, limit); a failed value of None was not finite, a skipped line is left out.
    """
    drawn = [line for line in lines if line[1] != "skipped"]
    fig, (ax,) = panels(1)
    fig.set_size_inches(1.7 * PANEL_WIDTH_IN, 1.0 + LINE_IN * len(drawn))
    for row, (_, verdict, value, limit) in enumerate(drawn):
        ax.plot([_in_limits(value, limit)], [row], "o", color=COLOURS[verdict], ms=5)
    ax.axvline(1.0, color=GREY, lw=0.9, ls="--")
    ax.set_xscale("log")
    ax.set_xlim(SMALLEST / 3.0, 3.0 * LARGEST)
    ax.set_yticks(range(len(drawn)), [line[0] for line in drawn], fontsize=8)
    ax.set_ylim(len(drawn) - 0.5, -0.5)
    ax.set_xlabel("Value in units of its limit")
    return fig


def curves_figure(name: str, curves: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """A panel per subject of the check called `name` in `CURVES`."""
    how = CURVES[name]
    rows = -(-len(curves) // PER_ROW)
    fig, axes = panels(rows, min(PER_ROW, len(curves)))
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    for ax, (subject, curve) in zip(axes, curves.items(), strict=False):
        _draw(ax, np.asarray(curve[how.x]), np.asarray(curve[how.y]), how)
        ax.set_title(subject, fontsize=9, loc="left")
    return fig


def check_parts(
    total: str, rows: Sequence[Sequence[str]], verdicts: bytes, curves: Mapping[str, Mapping[str, Mapping]]
) -> list[str]:
    """Everything that a check found, as parts of an HTML page, the verdicts first.

    Args:
        total: the sum of the verdicts.
        rows: verdict, what was checked, value and limit, worst place, subjects that failed.
        verdicts: the `verdict_figure` as PNG.
        curves: check -> subject -> columns.
    """
    judged = table(("verdict", "what", "value", "worst", "failed"), rows, marked=0)
    parts = [
        heading("Is this potential physically sound?") + paragraph(total) + judged,
        heading("Values and limits") + picture(verdicts, "Left of the line: within the limit."),
    ]
    for name in CURVES:
        if name in curves:
            drawn = figure(curves_figure(name, curves[name]), CURVES[name].caption)
            parts.append(heading(name.capitalize()) + drawn)
    return parts


def _draw(ax: Axes, x: NDArray, y: NDArray, how: Curve) -> None:
    known = np.isfinite(y)
    if "above lowest" in how.y_label and known.any():
        y = y - y[known].min()
    ax.plot(x, y, color=BLUE, lw=1.2)
    if known.any() and y[known].max() > WALL_EV:
        low = max(float(y[known].min()), -3.0 * WALL_EV)
        ax.set_ylim(low - 0.05 * (WALL_EV - low), WALL_EV)
    ax.set_xlabel(how.x_label)
    ax.set_ylabel(how.y_label)


def _in_limits(value: float | None, limit: float) -> float:
    if value is None or (limit == 0.0 and value > 0.0):
        return LARGEST
    return float(np.clip(value / limit if limit else 0.0, SMALLEST, LARGEST))
