"""Mean square displacement, and the diffusion coefficient with the error of its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.settings import setting, validate
from alignn_ff.workflows.time_series import autocorrelation
from alignn_ff.workflows.trajectory import Trajectory, dated, members, unwrapped

FEWEST_LAGS = 4
"""In the fit of a straight line."""

CM2_S_PER_A2_FS = 0.1
"""1 Å²/fs in cm²/s."""

FS_PER_PS = 1000.0

UNKNOWN_INTERVAL = "the time between frames is unknown; state it (frame_interval_fs, --frame-interval)"
"""Why there is no motion of a trajectory whose frames do not say when they were."""

ONE_ATOM = "one atom is its own centre of mass, which is held (remove_drift)"


@dataclass(frozen=True)
class DiffusionSettings:
    """Which frames count, and where the straight line of diffusion is fitted."""

    frame_interval_fs: float | None = setting(
        None,
        "Time from one frame to the next; by default frames say it themselves, those of alignn-ff md do.",
        unit="fs",
        above=0,
        alias="--frame-interval",
    )
    skip_frames: int = setting(0, "Frames at the start left out, such as equilibration.", at_least=0)
    blocks: int = setting(5, "Blocks of the trajectory, whose scatter gives the errors.", at_least=2)
    fit_start_percent: float = setting(
        10.0, "Diffusion is fitted to displacements from this part of the length of a block", unit="%", at_least=0
    )
    fit_end_percent: float = setting(50.0, "to this one.", unit="%", above=0)
    remove_drift: bool = setting(True, "Hold the centre of mass; without it a drifting cell diffuses.")

    def __post_init__(self) -> None:
        validate(self)
        if not self.fit_start_percent < self.fit_end_percent <= 100.0:
            raise ConfigError(
                f"fit_start_percent = {self.fit_start_percent:g}, fit_end_percent = {self.fit_end_percent:g}: the "
                "first below the second, and that at most 100, were expected."
            )

    def kept(self, frames: Sequence[Atoms]) -> Trajectory:
        """The frames that count, and the time between them.

        Raises:
            StructureError: no trajectory of the same atoms, equally spaced in time.
            ConfigError: nothing would be left.
        """
        if self.skip_frames and self.skip_frames >= len(frames):
            raise ConfigError(f"skip_frames = {self.skip_frames}: the trajectory has {len(frames)} frames.")
        frames = frames[self.skip_frames :]
        return dated(frames) if self.frame_interval_fs is None else Trajectory(frames, self.frame_interval_fs)

    def lags(self, frames: int) -> NDArray:
        """Lags of the fit, in frames, for a trajectory of so many; none where it is too short."""
        length = frames // self.blocks
        first, last = (int(percent * length // 100) for percent in (self.fit_start_percent, self.fit_end_percent))
        lags = np.arange(max(first, 1), min(last, length - 1) + 1)
        return lags if len(lags) >= FEWEST_LAGS else lags[:0]


@dataclass(frozen=True)
class Diffusion:
    """Diffusion coefficient of one element in 3D, mean over blocks, and the standard error of that mean.

    `exponent` is the slope of the logarithm of the displacement over that of time: 1 where atoms diffuse, near 0 where
    they stay on their sites, and then the coefficient means nothing. None of atoms that never move.
    """

    coefficient_cm2_s: float
    error_cm2_s: float
    exponent: float | None

    def __str__(self) -> str:
        still = "" if self.exponent is None else f", displacement ∝ t^{self.exponent:.2f}"
        return f"({self.coefficient_cm2_s:.4g} ± {self.error_cm2_s:.2g}) cm²/s{still}"


def obstacle(kept: Trajectory, settings: DiffusionSettings) -> str | None:
    """Why there is no diffusion of a trajectory; None where there is."""
    if settings.remove_drift and len(kept.frames[0]) == 1:
        return ONE_ATOM
    if kept.interval_fs is None:
        return UNKNOWN_INTERVAL
    if kept.periodic_without_cell:
        return "frames are periodic in a direction without a lattice vector"
    if not len(settings.lags(len(kept.frames))):
        return (
            f"{len(kept.frames)} frames are too few to fit a line in each of {settings.blocks} blocks (blocks, "
            "fit_start_percent, fit_end_percent)"
        )
    return None


def diffuse(kept: Trajectory, settings: DiffusionSettings) -> tuple[Table, dict[str, Diffusion]]:
    """Mean square displacement and diffusion coefficient D = d⟨|Δr|²⟩/dt / 6 of each element.

    Each block gives a displacement (mean over atoms and origins) and by a straight line a coefficient; mean and
    standard error are those over blocks. Of the finite cell: a liquid's is smaller than that of an infinite one
    (Yeh and Hummer, J. Phys. Chem. B 108, 15873, 2004), which takes its viscosity.

    Args:
        kept: without `obstacle`.
    Returns:
        columns time_ps and msd_A_a2 up to the length of a block; and coefficients by element.
    """
    positions = unwrapped(kept.frames, remove_drift=settings.remove_drift)
    length, lags = len(positions) // settings.blocks, settings.lags(len(positions))
    positions = positions[len(positions) - length * settings.blocks :]
    times_fs = (kept.interval_fs or np.nan) * np.arange(length)
    columns = {"time_ps": times_fs / FS_PER_PS}
    found: dict[str, Diffusion] = {}
    for name, atoms in members(kept.frames[0]).items():
        curves = np.array([square_displacement(block[:, atoms]) for block in np.split(positions, settings.blocks)])
        columns[f"msd_{name}_a2"] = curves.mean(axis=0)
        found[name] = _coefficient(times_fs[lags], curves[:, lags])
    return columns, found


def square_displacement(positions: NDArray) -> NDArray:
    """Mean over atoms and origins of |r(t) - r(0)|² [F] in Å² of positions [F, N, 3].

    ⟨|r(t)|²⟩ + ⟨|r(0)|²⟩ - 2 ⟨r(t) · r(0)⟩, the last by Fourier transform: Kneller, Keiner, Kneller, Schiller, Comput.
    Phys. Commun. 91, 191 (1995).
    """
    length, atoms = positions.shape[:2]
    centred = positions - positions.mean(axis=0)  # less to cancel
    squares = (centred**2).sum(axis=(1, 2))
    heads, tails = np.cumsum(squares)[::-1], np.cumsum(squares[::-1])[::-1]
    found = ((heads + tails) / (length - np.arange(length)) - 2.0 * autocorrelation(centred)) / atoms
    return np.maximum(found, 0.0)


def _coefficient(times_fs: NDArray, curves: NDArray) -> Diffusion:
    """From displacements [blocks, lags] in Å²."""
    slopes = np.polyfit(times_fs, curves.T, 1)[0] / 6.0 * CM2_S_PER_A2_FS
    mean = curves.mean(axis=0)
    exponent = float(np.polyfit(np.log(times_fs), np.log(mean), 1)[0]) if mean.min() > 0 else None
    return Diffusion(float(slopes.mean()), float(slopes.std(ddof=1) / np.sqrt(len(slopes))), exponent)
