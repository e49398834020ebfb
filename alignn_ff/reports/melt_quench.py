"""A melt and its quenching: temperature over time, and who stands how far from whom before, in between and after."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, panels


def melt_quench_figure(thermo: Mapping[str, NDArray], rdf: Mapping[str, Mapping[str, NDArray]]) -> Figure:
    """Temperature with its target over time, and the total g(r) of each state.

    Args:
        thermo: columns `time_fs`, `temperature_k`, `target_temperature_k`.
        rdf: state -> columns `distance_a`, `g`.
    """
    fig, (above, below) = panels(2)
    time_ps = thermo["time_fs"] / 1000.0
    above.plot(time_ps, thermo["temperature_k"], color=ORANGE, lw=1.0)
    above.plot(time_ps, thermo["target_temperature_k"], color=GREY, lw=0.9, ls="--")
    above.set_xlabel("Time (ps)")
    above.set_ylabel("Temperature (K)")
    for (name, table), colour in zip(rdf.items(), (BLUE, ORANGE, GREEN), strict=True):
        below.plot(table["distance_a"], table["g"], color=colour, lw=1.2, label=name)
    below.axhline(1.0, color=GREY, lw=0.8, ls="--")
    below.set_ylim(0.0, 1.3 * max(float(rdf[name]["g"].max()) for name in ("melt", "quenched")))
    below.set_xlabel("Distance (Å)")
    below.set_ylabel("g(r)")
    below.legend(fontsize=8, frameon=False)
    return fig
