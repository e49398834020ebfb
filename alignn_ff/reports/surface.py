"""Surface energies, and the Wulff shape they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from numpy.typing import NDArray

from alignn_ff.reports.figure import GREY, PANEL_HEIGHT_IN, PANEL_WIDTH_IN, tidy


class Body(NamedTuple):
    """A convex polyhedron: corners [V, 3], for each facet the numbers of its corners, and the name of its plane."""

    corners: NDArray
    facets: Sequence[Sequence[int]]
    planes: Sequence[str]


def surface_figure(
    energies_j_per_m2: Mapping[str, float], unrelaxed_j_per_m2: Sequence[float] | None, body: Body | None
) -> Figure:
    """A bar per termination, with a mark at its unrelaxed energy, and the body in the colours of the bars' planes."""
    columns = 1 if body is None else 2
    fig = Figure(figsize=(PANEL_WIDTH_IN * columns, PANEL_HEIGHT_IN), layout="constrained")
    planes = list(dict.fromkeys(label.split()[0] for label in energies_j_per_m2))
    colours = {plane: f"C{k % 10}" for k, plane in enumerate(planes)}
    ax = fig.add_subplot(1, columns, 1)
    tidy(ax)
    places = np.arange(len(energies_j_per_m2))
    ax.bar(places, list(energies_j_per_m2.values()), color=[colours[label.split()[0]] for label in energies_j_per_m2])
    if unrelaxed_j_per_m2 is not None:
        ax.plot(places, unrelaxed_j_per_m2, "_", color=GREY, ms=14, mew=1.5, label="unrelaxed")
        ax.legend(fontsize=8, frameon=False)
    ax.set_xticks(places, list(energies_j_per_m2), rotation=45 if len(places) > 6 else 0)
    ax.set_ylabel("Surface energy (J/m²)")
    if body is not None:
        _draw(fig.add_subplot(1, columns, 2, projection="3d"), body, colours)
    return fig


def _draw(ax: Any, body: Body, colours: Mapping[str, str]) -> None:
    shown = [(facet, plane) for facet, plane in zip(body.facets, body.planes, strict=True) if len(facet)]
    polygons = [body.corners[list(facet)] for facet, _ in shown]
    faces = [colours[plane] for _, plane in shown]
    reach = float(np.abs(body.corners).max())
    # Before the facets: by itself matplotlib scales to unset memory, where facets have unequal numbers of corners.
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    ax.add_collection3d(Poly3DCollection(polygons, facecolors=faces, edgecolors="white", linewidths=0.8, shade=True))
    ax.set_box_aspect((1, 1, 1))
    ax.set_axis_off()
    planes = list(dict.fromkeys(plane for _, plane in shown))
    ax.legend(handles=[Patch(color=colours[plane], label=plane) for plane in planes], fontsize=8, frameon=False)
