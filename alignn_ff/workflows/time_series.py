"""Correlated series: their correlation with themselves, and the error of their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLUMNS_AT_ONCE = 64
"""Bounds the memory of a Fourier transform."""


def autocorrelation(series: NDArray) -> NDArray:
    """Mean over all origins of x(0) · x(t), [F] for each lag, summed over the columns of a series [F, ...].

    By fast Fourier transform of the padded series (Wiener-Khinchin).
    """
    length = len(series)
    flat = series.reshape(length, -1)
    total = np.zeros(length)
    for columns in np.array_split(flat, -(-flat.shape[1] // COLUMNS_AT_ONCE), axis=1):
        spectrum = np.abs(np.fft.rfft(columns, 2 * length, axis=0)) ** 2
        total += np.fft.irfft(spectrum, axis=0)[:length].sum(axis=1)
    return total / (length - np.arange(length))


def block_mean(values: NDArray, blocks: int) -> tuple[float, float | None]:
    """Mean of a correlated series [F], and the standard error of that mean over blocks; None of fewer than two.

    It is right once a block is longer than the correlation. Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989).
    """
    blocks = min(blocks, len(values))
    if blocks < 2:
        return float(values.mean()), None
    means = np.array([block.mean() for block in np.array_split(values, blocks)])
    return float(values.mean()), float(means.std(ddof=1) / np.sqrt(blocks))
