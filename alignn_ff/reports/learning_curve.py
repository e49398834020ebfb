"""Loss and errors over the epochs of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alignn_ff.errors import DataError
from alignn_ff.reports.figure import BLUE, GREEN, ORANGE, log_scale, panels


class Panel(NamedTuple):
    """One panel: the curves `train_<quantity>`, `valid_<quantity>` and `<quantity>` of the history."""

    quantity: str
    title: str


PANELS = (
    Panel("loss", "Loss"),
    Panel("energy_mae_mev_per_atom", "Energy MAE (meV/atom)"),
    Panel("force_mae_mev_per_a", "Force MAE (meV/Å)"),
    Panel("stress_mae_gpa", "Stress MAE (GPa)"),
    Panel("mae", "MAE"),
    Panel("accuracy", "Accuracy"),
    Panel("learning_rate", "Learning rate"),
)

CURVES = (("train_", "training", ORANGE), ("valid_", "validation", BLUE), ("", "", GREEN))

FEW_EPOCHS = 30
"""Below this many points a line alone hides where they are."""


def learning_curve_figure(history: Sequence[Mapping[str, float | int | None]]) -> Figure:
    """A panel for each quantity that the history holds; missing values leave gaps.

    Args:
        history: one row per epoch with `epoch` and any of `train_loss`, `valid_loss`,
            `valid_energy_mae_mev_per_atom`, `valid_force_mae_mev_per_a`, `valid_stress_mae_gpa`, `valid_mae`,
            `valid_accuracy` (and their `train_` twins), `learning_rate`.
    Raises:
        DataError: nothing in the history can be drawn.
    """
    present = [panel for panel in PANELS if _holds(history, panel)]
    if not present:
        raise DataError(
            f"learning curve: none of the {len(history)} rows holds a known quantity, e.g. `valid_loss` or "
            "`valid_energy_mae_mev_per_atom`. Was a single epoch finished?"
        )
    epochs = np.array([row["epoch"] for row in history], float)
    fig, axes = panels(len(present), share_x=True)
    for ax, panel in zip(axes, present, strict=True):
        _draw(ax, epochs, history, panel)
    axes[-1].set_xlabel("Epoch")
    return fig


def _draw(ax: Axes, epochs: NDArray, history: Sequence[Mapping], panel: Panel) -> None:
    positive = True
    for mark, name, colour in CURVES:
        values = _column(history, mark + panel.quantity)
        known = np.isfinite(values)
        if known.any():
            marker = "." if known.sum() < FEW_EPOCHS else ""
            ax.plot(epochs[known], values[known], color=colour, lw=1.4, marker=marker, label=name)
            positive = positive and bool((values[known] > 0).all())
    if positive:
        log_scale(ax)
    ax.set_ylabel(panel.title)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=8, frameon=False)


def _holds(history: Sequence[Mapping], panel: Panel) -> bool:
    return any(np.isfinite(_column(history, mark + panel.quantity)).any() for mark, _, _ in CURVES)


def _column(history: Sequence[Mapping], key: str) -> NDArray:
    """One value per row [rows]; NaN where the row has none."""
    values = (row.get(key) for row in history)
    return np.array([np.nan if value is None else value for value in values], float)
