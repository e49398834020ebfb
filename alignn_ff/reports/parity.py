"""Predicted against reference values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from alignn_ff.errors import DataError
from alignn_ff.reports.figure import BLUE, GREY, panels

DENSE = 3000
"""From this many points on single dots hide each other and a density map tells more."""
MOST_DOTS = 20_000
"""Of a group with more values, every so manyth is drawn, about so many dots in all; its errors are those of all."""

SIDE_IN = 5.0


def parity_figure(
    reference: ArrayLike,
    predicted: ArrayLike,
    label: str,
    unit: str,
    groups: Sequence[str] | None = None,
) -> Figure:
    """Predicted over reference values with the diagonal, MAE and RMSE in the legend.

    Args:
        reference, predicted: any shape, the same for both, in `unit`; NaN marks a missing label, left out.
        label: what is compared, e.g. "Force component".
        groups: name of each value (same number of values); each group gets its own colour and error.
    Raises:
        DataError: shapes differ, or nothing is left to compare.
    """
    x, y = np.asarray(reference, float).ravel(), np.asarray(predicted, float).ravel()
    names = None if groups is None else np.asarray(groups).ravel()
    _require_same_length(x, y, names)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise DataError(f"{label}: no pair of finite reference and predicted values to plot.")
    x, y = x[known], y[known]
    fig, (ax,) = panels(1)
    fig.set_size_inches(SIDE_IN, SIDE_IN)
    if names is not None:
        _draw_groups(ax, x, y, names[known], unit)
    elif x.size >= DENSE:
        _draw_density(fig, ax, x, y, unit)
    else:
        ax.plot(x, y, ".", color=BLUE, alpha=_alpha(x.size), mew=0, ms=6, label=error_text(x, y, unit))
    _finish(ax, x, y, label, unit)
    return fig


def error_text(reference: NDArray, predicted: NDArray, unit: str) -> str:
    """ "MAE 0.012, RMSE 0.020 eV" for two arrays of one shape."""
    error = predicted - reference
    return f"MAE {np.abs(error).mean():.3g}, RMSE {np.sqrt((error**2).mean()):.3g} {unit}"


def _require_same_length(x: NDArray, y: NDArray, names: NDArray | None) -> None:
    sizes = [x.size, y.size] + ([] if names is None else [names.size])
    if len(set(sizes)) > 1:
        raise DataError(f"parity plot: reference, predicted (and groups) must be of one length, got {sizes}.")


def _draw_groups(ax: Axes, x: NDArray, y: NDArray, names: NDArray, unit: str) -> None:
    for name in dict.fromkeys(names.tolist()):
        mine = names == name
        text = f"{name}: {error_text(x[mine], y[mine], unit)}"
        some = slice(None, None, 1 + mine.sum() // MOST_DOTS)
        drawn = x[mine][some], y[mine][some]
        ax.plot(*drawn, ".", alpha=_alpha(x.size), mew=0, ms=6, label=text, rasterized=x.size > DENSE)


def _draw_density(fig: Figure, ax: Axes, x: NDArray, y: NDArray, unit: str) -> None:
    low, high = _limits(x, y)
    image = ax.hexbin(x, y, gridsize=90, bins="log", mincnt=1, cmap="viridis", extent=(low, high, low, high), lw=0)
    fig.colorbar(image, ax=ax, label="points", pad=0.02, shrink=0.7)
    ax.plot([], [], "h", color=BLUE, label=error_text(x, y, unit))


def _finish(ax: Axes, x: NDArray, y: NDArray, label: str, unit: str) -> None:
    low, high = _limits(x, y)
    ax.plot([low, high], [low, high], color=GREY, lw=0.8, zorder=0)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.set_xlabel(f"{label}, reference ({unit})")
    ax.set_ylabel(f"{label}, predicted ({unit})")
    ax.set_title(f"{x.size} values", fontsize=9, color=GREY, loc="left")
    ax.legend(fontsize=8, framealpha=0.8, edgecolor="none", loc="upper left", handletextpad=0.3)


def _limits(x: NDArray, y: NDArray) -> tuple[float, float]:
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or max(abs(high), 1.0) * 0.04
    return float(low - margin), float(high + margin)


def _alpha(count: int) -> float:
    return float(np.clip(40.0 / np.sqrt(count), 0.15, 0.9))
