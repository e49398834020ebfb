"""Stress over strain, from which an elastic tensor was fitted."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import panels

COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")
COLOURS = ("#2f6fa8", "#d9772b", "#3c8d5a", "#8e5aa8", "#b8a02c", "#5aa7b8")


def elastic_figure(strains: Mapping[str, NDArray]) -> Figure:
    """A panel per Voigt direction of strain: each component of stress, ions clamped (hollow) and relaxed (filled).

    Args:
        strains: columns `ions` ("clamped", "relaxed"), `direction`, `strain`, `stress_xx_gpa` to `stress_xy_gpa`.
    """
    fig, axes = panels(2, 3)
    for ax, direction in zip(axes, COMPONENTS, strict=True):
        for name, colour in zip(COMPONENTS, COLOURS, strict=True):
            for ions, line, fill in (("clamped", ":", "none"), ("relaxed", "-", colour)):
                rows = (strains["direction"] == direction) & (strains["ions"] == ions)
                x, y = 100.0 * strains["strain"][rows], strains[f"stress_{name}_gpa"][rows]
                label = name if ions == strains["ions"][-1] else None
                ax.plot(x, y, marker="o", ms=3.5, mfc=fill, ls=line, lw=1.0, color=colour, label=label)
        ax.set_xlabel(f"Strain {direction} (%)")
        ax.set_ylabel("Stress (GPa)")
    axes[0].legend(fontsize=8, frameon=False, ncols=2)
    return fig
