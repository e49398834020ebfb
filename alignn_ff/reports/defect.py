"""Formation energy of point defects over the size of the supercell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import GREY, panels


def defect_figure(series: Mapping[str, NDArray], limits_ev: Mapping[str, float | None]) -> Figure:
    """Energies in eV over 1/N, a colour per defect; open where unrelaxed, if relaxation changed any.

    Args:
        series: columns defect, supercell_atoms, formation_energy_ev, unrelaxed_formation_energy_ev.
        limits_ev: defect -> extrapolation to infinite size, drawn at zero with a line; None draws nothing.
    """
    fig, (ax,) = panels(1)
    relaxed = bool((series["formation_energy_ev"] != series["unrelaxed_formation_energy_ev"]).any())
    for place, (label, limit) in enumerate(limits_ev.items()):
        own = series["defect"] == label
        inverse, energy = 1.0 / series["supercell_atoms"][own], series["formation_energy_ev"][own]
        ax.plot(inverse, energy, "o", color=f"C{place}", ms=5, label=label)
        if relaxed:
            bare = series["unrelaxed_formation_energy_ev"][own]
            ax.plot(inverse, bare, "o", color=f"C{place}", ms=5, mfc="none", label=f"{label}, unrelaxed")
        if limit is not None:
            slope = np.polyfit(inverse, energy, 1)[0]
            reach = np.array([0.0, inverse.max()])
            ax.plot(reach, limit + slope * reach, color=GREY, lw=0.9, ls="--")
    sizes = np.unique(series["supercell_atoms"])
    ax.set_xticks(1.0 / sizes, [f"1/{size}" for size in sizes])
    ax.set_xlim(left=0.0)
    ax.set_xlabel("1 / atoms in the supercell")
    ax.set_ylabel("Formation energy (eV)")
    ax.legend(fontsize=8, frameon=False)
    return fig
