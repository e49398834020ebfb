"""Energy along a path between two states."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, panels


def neb_figure(path: Mapping[str, NDArray], curve: Mapping[str, NDArray], barrier_ev: float | None) -> Figure:
    """Images over the distance along the path, the curve through them, and a line at the barrier in eV."""
    fig, (ax,) = panels(1)
    ax.plot(curve["distance_a"], curve["energy_ev"], color=BLUE, lw=1.4)
    ax.plot(path["distance_a"], path["relative_energy_ev"], "o", color=ORANGE, ms=5)
    if barrier_ev is not None:
        ax.axhline(barrier_ev, color=GREY, lw=0.9, ls="--", label=f"barrier {barrier_ev:.3f} eV")
        ax.legend(fontsize=8, frameon=False)
    ax.set_xlabel("Distance along the path (Å)")
    ax.set_ylabel("Energy over the first state (eV)")
    return fig
