"""Heat carried by phonons: conductivity over temperature, lifetimes, and which modes carry it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, panels

CONDUCTIVITY = "Conductivity (W/(m K))"

Columns = Mapping[str, NDArray]


def conductivity_figure(tables: Mapping[str, Columns]) -> Figure:
    """Four panels; of a crystal without transport the density of states alone.

    Args:
        tables: `dos` (`frequency_thz`, `total_per_thz`) or with it `conductivity` (`temperature_k`,
            `conductivity_w_per_m_k` and the components), `modes` (`frequency_thz`, `lifetime_ps`),
            `cumulative_mean_free_path` and `cumulative_frequency`.
    """
    if "conductivity" not in tables:
        fig, (ax,) = panels(1)
        _density(ax, tables["dos"])
        return fig
    fig, axes = panels(2, 2)
    _over_temperature(axes[0], tables["conductivity"])
    _lifetimes(axes[1], tables["modes"])
    _cumulative(axes[2], tables["cumulative_mean_free_path"], "mean_free_path_nm")
    axes[2].set_xscale("log")
    axes[2].set_xlabel("Mean free paths up to (nm)")
    _cumulative(axes[3], tables["cumulative_frequency"], "frequency_thz")
    axes[3].set_xlabel("Frequencies up to (THz)")
    return fig


def _over_temperature(ax: Axes, table: Columns) -> None:
    """Both axes logarithmic: where phonons scatter phonons alone, the line has the slope -1."""
    temperature, mean = table["temperature_k"], table["conductivity_w_per_m_k"]
    diagonal = {name: table[f"{name}_w_per_m_k"] for name in ("xx", "yy", "zz")}
    isotropic = np.ptp(list(diagonal.values()), axis=0).max() <= 1e-3 * mean.max()
    curves = {"": mean} if isotropic else diagonal
    for colour, (name, values) in zip((BLUE, GREEN, ORANGE), curves.items(), strict=False):
        ax.plot(temperature, values, color=colour, lw=1.4, label=name or None)
    if "rta_w_per_m_k" in table:
        ax.plot(temperature, table["rta_w_per_m_k"], color=GREY, lw=1.0, ls="--", label="relaxation times")
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("Temperature (K)")
    ax.set_ylabel(CONDUCTIVITY)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8, frameon=False)


def _lifetimes(ax: Axes, modes: Columns) -> None:
    ax.plot(modes["frequency_thz"], modes["lifetime_ps"], "o", color=ORANGE, ms=2.5, mew=0, alpha=0.6)
    ax.set_yscale("log")
    ax.set_xlabel("Frequency (THz)")
    ax.set_ylabel("Lifetime (ps)")


def _cumulative(ax: Axes, table: Columns, name: str) -> None:
    ax.step(table[name], table["conductivity_w_per_m_k"], where="post", color=BLUE, lw=1.4)
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel(CONDUCTIVITY)


def _density(ax: Axes, dos: Columns) -> None:
    ax.plot(dos["frequency_thz"], dos["total_per_thz"], color=BLUE, lw=1.2)
    ax.axvspan(min(0.0, float(dos["frequency_thz"].min())), 0.0, color=ORANGE, alpha=0.2)
    ax.set_xlabel("Frequency (THz), imaginary ones negative")
    ax.set_ylabel("States (1/THz)")
