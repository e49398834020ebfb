"""Thermodynamics of a molecular-dynamics run over time."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, panels
from alignn_ff.units import MEV


def trajectory_figure(
    thermo: Mapping[str, NDArray],
    n_atoms: int,
    *,
    temperature_k: float | None = None,
    pressure_gpa: float | None = None,
) -> Figure:
    """Temperature, energy, and (where known) pressure and volume over time.

    Args:
        thermo: columns [samples] `time_fs`, `temperature_k`, `potential_energy_ev`, `total_energy_ev` and,
            where they exist, `target_temperature_k`, `conserved_energy_ev`, `pressure_gpa`, `volume_a3`.
        n_atoms: energies are drawn per atom, from the first sample's total energy on.
        temperature_k, pressure_gpa: targets that stay, drawn as lines; None draws none.
    """
    time_ps = thermo["time_fs"] / 1000.0
    rows = 2 + ("pressure_gpa" in thermo) + (pressure_gpa is not None and "volume_a3" in thermo)
    fig, axes = panels(rows, share_x=True)
    _curve(axes[0], time_ps, thermo["temperature_k"], "Temperature (K)", ORANGE, temperature_k)
    if "target_temperature_k" in thermo:
        axes[0].plot(time_ps, thermo["target_temperature_k"], color=GREY, lw=0.9, ls="--")
    _energies(axes[1], time_ps, thermo, n_atoms)
    rest = iter(axes[2:])
    if "pressure_gpa" in thermo:
        _curve(next(rest), time_ps, thermo["pressure_gpa"], "Pressure (GPa)", BLUE, pressure_gpa)
    if pressure_gpa is not None and "volume_a3" in thermo:
        _curve(next(rest), time_ps, thermo["volume_a3"], "Volume (Å³)", GREEN, None)
    axes[-1].set_xlabel("Time (ps)")
    return fig


def _curve(ax: Axes, time_ps: NDArray, values: NDArray, label: str, colour: str, target: float | None) -> None:
    ax.plot(time_ps, values, color=colour, lw=1.0)
    if target is not None:
        ax.axhline(target, color=GREY, lw=0.9, ls="--")
    ax.set_ylabel(label)


def _energies(ax: Axes, time_ps: NDArray, thermo: Mapping[str, NDArray], n_atoms: int) -> None:
    origin = thermo["total_energy_ev"][0]
    curves = (("potential_energy_ev", "potential", BLUE), ("total_energy_ev", "total", ORANGE))
    for name, label, colour in (*curves, ("conserved_energy_ev", "conserved", GREEN)):
        if name in thermo:
            start = thermo[name][0] if name == "conserved_energy_ev" else origin
            ax.plot(time_ps, (thermo[name] - start) * MEV / n_atoms, color=colour, lw=1.0, label=label)
    ax.set_ylabel("Energy change (meV/atom)")
    ax.legend(fontsize=8, frameon=False, ncols=3)
