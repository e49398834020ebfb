"""Energy and largest force over the steps of a relaxation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, log_scale, panels
from alignn_ff.units import MEV

SMALLEST_DRAWN = 1e-12
"""An exact zero has no place on a log axis; symmetric crystals do have forces of exactly zero."""


def relax_figure(history: Mapping[str, NDArray], n_atoms: int, *, fmax: float) -> Figure:
    """Energy above the lowest (meV/atom), largest force (eV/Å) and, where known, largest stress (GPa).

    Args:
        history: columns [steps] `step`, `energy_ev`, `max_force_ev_per_a`, where it exists `max_stress_gpa`.
        fmax: force criterion in eV/Å, drawn as a line.
    """
    fig, axes = panels(2 + ("max_stress_gpa" in history), share_x=True)
    steps = history["step"]
    energy = (history["energy_ev"] - history["energy_ev"].min()) * MEV / n_atoms
    axes[0].plot(steps, energy, color=BLUE, lw=1.4, marker=".")
    axes[0].set_ylabel("Energy above lowest (meV/atom)")
    _log_curve(axes[1], steps, history["max_force_ev_per_a"], "Largest force (eV/Å)", ORANGE)
    axes[1].axhline(fmax, color=GREY, lw=0.9, ls="--")
    if "max_stress_gpa" in history:
        _log_curve(axes[2], steps, history["max_stress_gpa"], "Largest stress off target (GPa)", GREEN)
    axes[-1].set_xlabel("Step")
    return fig


def _log_curve(ax: Axes, steps: NDArray, values: NDArray, label: str, colour: str) -> None:
    ax.plot(steps, np.maximum(values, SMALLEST_DRAWN), color=colour, lw=1.4, marker=".")
    log_scale(ax)
    ax.set_ylabel(label)
