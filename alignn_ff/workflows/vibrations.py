"""Velocity autocorrelation, and the vibrational density of states that it holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignn_ff.workflows.diffusion import FS_PER_PS, ONE_ATOM, UNKNOWN_INTERVAL
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.time_series import autocorrelation
from alignn_ff.workflows.trajectory import Trajectory, members, velocities

FEWEST_FRAMES = 20

MOST_LAGS = 0.5
"""Share of a trajectory beyond which lags are averaged over too few origins."""

PADDING = 8
"""Points of the transform per lag: four for each that the resolution asks for."""


class Vibrations(NamedTuple):
    """Correlation of velocities, and density of states."""

    vacf: Table
    """Columns time_ps and vacf_A of each element that moves, 1 at time 0."""
    vdos: Table
    """Columns frequency_thz, total_per_thz and A_per_thz of each element; the total integrates to 3 N."""
    resolution_thz: float
    """Full width at half height of a single vibration."""


def obstacle(kept: Trajectory, *, remove_drift: bool = True) -> str | None:
    """Why there are no vibrations of a trajectory; None where there are."""
    if remove_drift and len(kept.frames[0]) == 1:
        return ONE_ATOM
    if kept.interval_fs is None:
        return UNKNOWN_INTERVAL
    if not kept.moving:
        return "the frames have no momenta, or none but zeros"
    if len(kept.frames) < FEWEST_FRAMES:
        return f"{len(kept.frames)} frames are too few; at least {FEWEST_FRAMES} were expected"
    return None


def vibrate(kept: Trajectory, resolution_thz: float, *, remove_drift: bool = True) -> Vibrations:
    """Autocorrelation of velocities, and the density of states from it.

    The density of states is the cosine transform of the mass-weighted autocorrelation (Dickey and Paskin, Phys. Rev.
    188, 1407, 1969) times a Hann window that ends at 1 / resolution. An element's share is that of its kinetic energy.
    Vibrations faster than half a period per frame appear at wrong frequencies.

    Args:
        kept: without `obstacle`.
        resolution_thz: coarser where the trajectory is too short for it.
    """
    interval_ps = (kept.interval_fs or np.nan) / FS_PER_PS
    lags = max(2, min(round(1.0 / (resolution_thz * interval_ps)), int(MOST_LAGS * len(kept.frames))))
    found = velocities(kept.frames, remove_drift=remove_drift)
    masses, groups = kept.frames[0].get_masses(), members(kept.frames[0])
    # within an element masses may differ, as isotopes do
    weighted = {name: _correlation(found, np.sqrt(masses), atoms)[:lags] for name, atoms in groups.items()}
    alike = {name: _correlation(found, np.ones(len(masses)), atoms)[:lags] for name, atoms in groups.items()}
    vacf = {f"vacf_{name}": values / values[0] for name, values in alike.items() if values[0] > 0}
    return Vibrations(
        {"time_ps": interval_ps * np.arange(lags)} | vacf,
        _density(weighted, interval_ps, 3 * len(masses)),
        1.0 / (lags * interval_ps),
    )


def _correlation(velocities: NDArray, factors: NDArray, atoms: NDArray) -> NDArray:
    return autocorrelation(velocities[:, atoms] * factors[atoms, None])


def _density(correlations: Table, interval_ps: float, states: int) -> Table:
    """Densities of states that together integrate (trapezoids) to so many."""
    spectra = {name: _spectrum(correlation) for name, correlation in correlations.items()}
    lags = len(next(iter(correlations.values())))
    # the trapezoids of a spectrum sum to the correlation at time 0, over twice the time between samples
    energy = sum(float(correlation[0]) for correlation in correlations.values())
    scale = states * 2.0 * interval_ps / energy
    columns = {f"{name}_per_thz": scale * spectrum for name, spectrum in spectra.items()}
    total = np.sum(list(columns.values()), axis=0)
    return {"frequency_thz": np.fft.rfftfreq(PADDING * lags, interval_ps), "total_per_thz": total} | columns


def _spectrum(correlation: NDArray) -> NDArray:
    """Fourier transform of an even function given at lags from 0 on, which a Hann window ends smoothly."""
    lags = len(correlation)
    even = np.zeros(PADDING * lags)
    even[:lags] = correlation * np.cos(0.5 * np.pi * np.arange(lags) / lags) ** 2
    even[-lags + 1 :] = even[lags - 1 : 0 : -1]
    return np.fft.rfft(even).real
