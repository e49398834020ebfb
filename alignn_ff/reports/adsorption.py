"""Adsorption energies of the sites of a surface."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREY, panels


def adsorption_figure(sites: Mapping[str, NDArray], adsorbate: str) -> Figure:
    """A bar per site with its height written on it; grey where the adsorbate left the site.

    Args:
        sites: columns site, adsorption_energy_ev, height_a, stayed.
    """
    fig, (ax,) = panels(1)
    places = np.arange(len(sites["site"]))
    colours = [BLUE if stayed else GREY for stayed in sites["stayed"]]
    bars = ax.bar(places, sites["adsorption_energy_ev"], color=colours)
    ax.bar_label(bars, [f"{height:.2f} Å" for height in sites["height_a"]], fontsize=8)
    labels = [
        name if stayed else f"{name}\n(left it)" for name, stayed in zip(sites["site"], sites["stayed"], strict=True)
    ]
    ax.set_xticks(places, labels)
    ax.axhline(0.0, color=GREY, lw=0.9)
    ax.set_ylabel(f"Adsorption energy of {adsorbate} (eV)")
    return fig
