"""Structure and motion of trajectories: radial distribution, displacement, velocity correlation, Arrhenius lines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, log_scale, panels

COLOURS = (BLUE, ORANGE, GREEN, "#8e5aa8", "#b8a02c", "#5aa7b8")

PANELS = {
    "rdf": ("distance_a", "g_", "Distance (Å)", "g(r)"),
    "msd": ("time_ps", "msd_", "Time (ps)", "Mean square displacement (Å²)"),
    "vacf": ("time_ps", "vacf_", "Time (ps)", "Velocity autocorrelation"),
    "vdos": ("frequency_thz", "", "Frequency (THz)", "Density of states (1/THz)"),
}
"""Curve -> column of x, how the names of its columns of y begin, labels."""

HELD = 0.999
"""Share of the states after which the axis of frequency ends."""


def analysis_figure(curves: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """A panel per curve that exists, a line per element or pair of elements.

    Args:
        curves: names as in `PANELS` -> columns.
    """
    drawn = [name for name in PANELS if name in curves]
    fig, axes = panels(max(1, -(-len(drawn) // 2)), 1 if len(drawn) < 2 else 2)
    for ax in axes[len(drawn) :]:
        ax.set_visible(False)
    for ax, name in zip(axes, drawn, strict=False):
        _draw(ax, curves[name], name)
    return fig


def arrhenius_figure(points: Mapping[str, NDArray], lines: Mapping[str, NDArray]) -> Figure:
    """Diffusion coefficients with errors over the inverse temperature, and fitted lines.

    Args:
        points: columns temperature_k, diffusion_A_cm2_s, error_A_cm2_s.
        lines: columns temperature_k and, of each element with a fit, coefficients in cm²/s.
    """
    fig, (ax,) = panels(1)
    inverse = 1000.0 / points["temperature_k"]
    names = [name.split("_")[1] for name in points if name.startswith("diffusion_")]
    for name, colour in zip(names, _colours(len(names)), strict=True):
        values, errors = points[f"diffusion_{name}_cm2_s"], points[f"error_{name}_cm2_s"]
        known = values > 0
        ax.errorbar(inverse[known], values[known], errors[known], fmt="o", ms=4, color=colour, label=name, capsize=2)
        if name in lines:
            ax.plot(1000.0 / lines["temperature_k"], lines[name], color=colour, lw=1.2)
    log_scale(ax)
    ax.set_xlabel("1000 / T (1/K)")
    ax.set_ylabel("Diffusion coefficient (cm²/s)")
    ax.legend(fontsize=8, frameon=False)
    return fig


def _draw(ax: Axes, columns: Mapping[str, NDArray], name: str) -> None:
    x, start, x_label, y_label = PANELS[name]
    lines = [column for column in columns if column.startswith(start) and column != x]
    for column, colour in zip(lines, _colours(len(lines)), strict=True):
        label = column.removeprefix(start).removesuffix("_a2").removesuffix("_per_thz")
        ax.plot(columns[x], columns[column], color=colour, lw=1.2, label=label)
    if name == "vdos":
        states = np.cumsum(columns["total_per_thz"])
        ax.set_xlim(0.0, float(columns[x][np.searchsorted(states, HELD * states.max())]))
    if name == "rdf":
        ax.axhline(1.0, color=GREY, lw=0.8, ls="--")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.legend(fontsize=8, frameon=False)


def _colours(count: int) -> list[str]:
    return [COLOURS[k % len(COLOURS)] for k in range(count)]
