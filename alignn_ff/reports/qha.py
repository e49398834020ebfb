"""A crystal that expands: volume, expansion, bulk modulus, heat capacity, Grüneisen parameters."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, ORANGE, panels
from alignn_ff.reports.phonons import draw_bands

PPM = 1e6


def qha_figure(temperatures: Mapping[str, NDArray], gruneisen: Mapping[str, NDArray]) -> Figure:
    """Four panels over temperature, then mode Grüneisen parameters along the band path.

    Args:
        temperatures: columns `temperature_k`, `volume_a3`, `thermal_expansion_per_k`, `bulk_modulus_gpa`,
            `heat_capacity_p_j_per_k_mol`, `gruneisen_parameter`.
        gruneisen: columns `segment`, `label`, `distance_per_a`, `gruneisen_1` and so on.
    """
    fig, axes = panels(2, 3)
    curves = (
        ("volume_a3", "Volume of the primitive cell (Å³)", BLUE, 1.0),
        ("thermal_expansion_per_k", "Volumetric expansion (10⁻⁶/K)", ORANGE, PPM),
        ("bulk_modulus_gpa", "Isothermal bulk modulus (GPa)", GREEN, 1.0),
        ("heat_capacity_p_j_per_k_mol", "Heat capacity $C_p$ (J/K/mol)", BLUE, 1.0),
        ("gruneisen_parameter", "Grüneisen parameter", ORANGE, 1.0),
    )
    for ax, (name, label, colour, factor) in zip(axes, curves, strict=False):
        ax.plot(temperatures["temperature_k"], factor * temperatures[name], color=colour, lw=1.4)
        ax.set_xlabel("Temperature (K)")
        ax.set_ylabel(label)
    draw_bands(axes[-1], gruneisen, "Mode Grüneisen parameter", "gruneisen_", GREEN)
    return fig
