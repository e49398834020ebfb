"""Phonon bands, density of states and thermal properties."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.reports.figure import BLUE, GREEN, GREY, ORANGE, PANEL_HEIGHT_IN, PANEL_WIDTH_IN, tidy

COLOURS = (ORANGE, GREEN, "#8e5aa8", "#b8a02c", "#5aa7b8")


def phonon_figure(
    bands: Mapping[str, NDArray], dos: Mapping[str, NDArray], thermal: Mapping[str, NDArray] | None
) -> Figure:
    """Bands beside the density of states by element; below them free energy, entropy and heat capacity.

    Args:
        bands: columns `segment`, `label`, `distance_per_a`, `frequency_1_thz` and so on; imaginary ones negative.
        dos: columns `frequency_thz`, `total_per_thz` and one of each element, such as `Cu_per_thz`.
        thermal: columns `temperature_k`, `free_energy_kj_per_mol`, `entropy_j_per_k_mol`,
            `heat_capacity_j_per_k_mol`; None draws no such panel.
    """
    rows = 1 if thermal is None else 2
    fig = Figure(figsize=(2.0 * PANEL_WIDTH_IN, rows * PANEL_HEIGHT_IN), layout="constrained")
    grid = fig.add_gridspec(rows, 2, width_ratios=(3, 1))
    left = fig.add_subplot(grid[0, 0])
    right = fig.add_subplot(grid[0, 1], sharey=left)
    draw_bands(left, bands, "Frequency (THz)", "frequency_", BLUE)
    _density(right, dos)
    if thermal is not None:
        _thermal(fig.add_subplot(grid[1, :]), thermal)
    return fig


def draw_bands(ax: Axes, bands: Mapping[str, NDArray], label: str, prefix: str, colour: str) -> None:
    """Every column of `bands` that begins with `prefix`, segment by segment, with the labels of the path below."""
    modes = np.column_stack([column for name, column in bands.items() if name.startswith(prefix)])
    for segment in np.unique(bands["segment"]):
        rows = bands["segment"] == segment
        ax.plot(bands["distance_per_a"][rows], modes[rows], color=colour, lw=1.1)
    _path_labels(ax, bands)
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set_ylabel(label)
    tidy(ax)
    ax.grid(visible=False, axis="x")


def _path_labels(ax: Axes, bands: Mapping[str, NDArray]) -> None:
    """One tick per special point; where the path jumps both names stand, as in U|K."""
    names: dict[float, list[str]] = {}
    for name, place in zip(bands["label"], bands["distance_per_a"], strict=True):
        known = names.setdefault(round(float(place), 9), []) if name else []
        if name and name not in known:
            known.append(str(name))
    for place in names:
        ax.axvline(place, color=GREY, lw=0.6)
    ax.set_xticks(list(names), ["|".join(pretty(name) for name in some) for some in names.values()])
    ax.set_xlim(min(names), max(names))


def pretty(name: str) -> str:
    """seekpath's name of a point as it is printed: GAMMA is Γ, X_1 has an index."""
    letter, _, index = name.partition("_")
    letter = {"GAMMA": "Γ", "SIGMA": "Σ", "DELTA": "Δ", "LAMBDA": "Λ"}.get(letter, letter)
    return f"{letter}$_{index}$" if index else letter


def _density(ax: Axes, dos: Mapping[str, NDArray]) -> None:
    ax.plot(dos["total_per_thz"], dos["frequency_thz"], color=BLUE, lw=1.2, label="total")
    elements = [name for name in dos if name not in ("frequency_thz", "total_per_thz")]
    for number, name in enumerate(elements if len(elements) > 1 else ()):
        colour = COLOURS[number % len(COLOURS)]
        ax.plot(dos[name], dos["frequency_thz"], color=colour, lw=1.0, label=name.removesuffix("_per_thz"))
    if len(elements) > 1:
        ax.legend(fontsize=8, frameon=False)
    ax.set_xlabel("States (1/THz)")
    ax.set_xlim(left=0.0)
    ax.tick_params(labelleft=False)
    tidy(ax)


def _thermal(ax: Axes, thermal: Mapping[str, NDArray]) -> None:
    curves = (
        ("free_energy_kj_per_mol", "free energy (kJ/mol)", BLUE),
        ("entropy_j_per_k_mol", "entropy (J/K/mol)", ORANGE),
        ("heat_capacity_j_per_k_mol", "heat capacity (J/K/mol)", GREEN),
    )
    for name, label, colour in curves:
        ax.plot(thermal["temperature_k"], thermal[name], color=colour, lw=1.4, label=label)
    ax.axhline(0.0, color=GREY, lw=0.8)
    ax.set_xlabel("Temperature (K)")
    ax.set_ylabel("Per mole of primitive cells")
    ax.legend(fontsize=8, frameon=False)
    tidy(ax)
