"""Formation energies and the convex hull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, panels

CORNERS = np.array([(0.0, 0.0), (1.0, 0.0), (0.5, np.sqrt(0.75))])


def hull_figure(elements: Sequence[str], compositions: NDArray, phases: Mapping[str, NDArray]) -> Figure:
    """Two elements: energies over composition; three: the triangle of compositions; else a bar per phase.

    Args:
        compositions: [P, S], parts of the elements in the phases.
        phases: columns formula, formation_energy_ev_per_atom, above_hull_ev_per_atom, stable.
    """
    fig, (ax,) = panels(1)
    draw = {2: _binary, 3: _ternary}.get(len(elements), _bars)
    draw(ax, elements, compositions, phases)
    return fig


def _binary(ax: Axes, elements: Sequence[str], compositions: NDArray, phases: Mapping[str, NDArray]) -> None:
    part, energy, stable = compositions[:, 1], phases["formation_energy_ev_per_atom"], phases["stable"]
    line = np.array(sorted({(0.0, 0.0), (1.0, 0.0), *zip(part[stable], energy[stable], strict=True)}))
    ax.plot(*line.T, color=BLUE, lw=1.4, label="convex hull")
    ax.plot(part[~stable], energy[~stable], "o", color=GREY, ms=5, label="above the hull")
    ax.plot(part[stable], energy[stable], "o", color=ORANGE, ms=6, label="on the hull")
    for x, y, name in zip(part, energy, phases["formula"], strict=True):
        ax.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
    ax.set_xlabel(f"Part of {elements[1]} in {elements[0]}-{elements[1]}")
    ax.set_ylabel("Formation energy (eV/atom)")
    ax.legend(fontsize=8, frameon=False)


def _ternary(ax: Axes, elements: Sequence[str], compositions: NDArray, phases: Mapping[str, NDArray]) -> None:
    places = compositions @ CORNERS
    ax.plot(*CORNERS[[0, 1, 2, 0]].T, color=GREY, lw=1.0)
    shown = ax.scatter(places[:, 0], places[:, 1], c=phases["above_hull_ev_per_atom"], cmap="viridis", s=35, zorder=3)
    ax.figure.colorbar(shown, ax=ax, label="Above the hull (eV/atom)")
    for place, name in zip(places, phases["formula"], strict=True):
        ax.annotate(name, place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    for corner, element in zip(CORNERS, elements, strict=True):
        ax.annotate(element, corner, xytext=(-4, -12), textcoords="offset points", fontsize=9)
    ax.set_aspect("equal")
    ax.set_axis_off()


def _bars(ax: Axes, elements: Sequence[str], compositions: NDArray, phases: Mapping[str, NDArray]) -> None:
    places = np.arange(len(compositions))
    ax.bar(places, phases["above_hull_ev_per_atom"], color=BLUE)
    ax.set_xticks(places, phases["formula"].tolist(), rotation=45)
    ax.set_ylabel("Above the hull (eV/atom)")
    ax.set_title("-".join(elements), fontsize=9, loc="left")
