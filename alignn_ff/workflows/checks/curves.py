"""Shapes that energy curves of sound potentials do not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def second_well(values: NDArray) -> float:
    """Depth of the deepest minimum beside the lowest one, below the lower of its two rims; 0 without any.

    The ends of the curve are no minima; the rim towards the lowest point is the highest value on the way to it.
    """
    lowest = int(values.argmin())
    left, right = values[: lowest + 1], values[lowest:][::-1]
    return max(_deepest(left), _deepest(right))


def _deepest(side: NDArray) -> float:
    """Depth of the deepest hollow of a curve whose lowest point is its last, approached from its open end."""
    highest_before = np.maximum.accumulate(side)
    highest_after = np.maximum.accumulate(side[::-1])[::-1]
    return float((np.minimum(highest_before, highest_after) - side).max())


def sag(values: NDArray) -> float:
    """How far values that should rise along the array fall below an earlier one at most."""
    return float((np.maximum.accumulate(values) - values).max())
