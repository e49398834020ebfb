"""Energy over volume with the fitted equation of state."""

from __future__ import annotations

from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, ORANGE, panels


def eos_figure(
    volumes_a3: NDArray,
    energies_ev: NDArray,
    curve_volumes_a3: NDArray,
    curve_energies_ev: NDArray,
    *,
    minimum: tuple[float, float],
    title: str,
) -> Figure:
    """Computed points [P], the fitted curve [C] and its minimum (V0 in Å³, E0 in eV)."""
    fig, (ax,) = panels(1)
    origin = minimum[1]
    ax.plot(curve_volumes_a3, curve_energies_ev - origin, color=BLUE, lw=1.4, label="fit")
    ax.plot(volumes_a3, energies_ev - origin, "o", color=ORANGE, ms=5, label="computed")
    ax.axvline(minimum[0], color=GREY, lw=0.9, ls="--", label=f"$V_0$ = {minimum[0]:.2f} Å³")
    ax.set_xlabel("Volume (Å³)")
    ax.set_ylabel("Energy above minimum (eV)")
    ax.set_title(title, fontsize=9, loc="left")
    ax.legend(fontsize=8, frameon=False)
    return fig
