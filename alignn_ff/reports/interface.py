"""What holds an interface together, over the separation of its halves and the place of the film."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, panels

TILES = 2
"""Repeats of the registry map along its vectors."""


def interface_figure(
    curve: Mapping[str, NDArray],
    relaxed: tuple[float, float] | None,
    registry: Mapping[str, NDArray],
    vectors_a: NDArray,
) -> Figure:
    """Work of adhesion over separation beside a map of it over shifts of the film, where more than one was tried.

    Args:
        curve: columns separation_a, work_of_adhesion_j_per_m2 of the rigid film.
        relaxed: separation in Å and work of adhesion in J/m² after relaxation.
        registry: columns u, v (parts of the vectors, v the faster), work_of_adhesion_j_per_m2.
        vectors_a: [2, 2], rows.
    """
    count = len(np.unique(registry["u"]))
    fig, axes = panels(1, 2 if count > 1 else 1)
    _adhesion(axes[0], curve, relaxed)
    if count > 1:
        _map(axes[1], registry["work_of_adhesion_j_per_m2"].reshape(count, count), vectors_a)
    return fig


def _adhesion(ax: Axes, curve: Mapping[str, NDArray], relaxed: tuple[float, float] | None) -> None:
    ax.plot(curve["separation_a"], curve["work_of_adhesion_j_per_m2"], ".-", color=BLUE, ms=5, lw=1.2, label="rigid")
    if relaxed is not None:
        ax.plot(*relaxed, "o", color=ORANGE, ms=6, label="relaxed")
    ax.axhline(0.0, color=GREY, lw=0.9)
    ax.set_xlabel("Separation (Å)")
    ax.set_ylabel("Work of adhesion (J/m²)")
    ax.legend(fontsize=8, frameon=False)


def _map(ax: Axes, adhesion: NDArray, vectors_a: NDArray) -> None:
    """A tile of the plane; values at the last place of a row are those at the first."""
    values = np.pad(np.tile(adhesion, (TILES, TILES)), (0, 1), mode="wrap")
    parts = np.arange(len(values)) / len(adhesion)
    x, y = np.moveaxis(parts[:, None, None] * vectors_a[0] + parts[None, :, None] * vectors_a[1], 2, 0)
    colours = ax.pcolormesh(x, y, values, shading="gouraud", cmap="viridis")
    ax.figure.colorbar(colours, ax=ax, label="Work of adhesion (J/m²)")
    ax.plot(x, y, ".", color="white", ms=2)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_xlabel("Shift of the film, x (Å)")
    ax.set_ylabel("y (Å)")
