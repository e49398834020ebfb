"""Analyse a trajectory: radial distribution, diffusion, velocity correlation, vibrational states, density.

alignn-ff analysis si-md/trajectory.extxyz --skip-frames 100
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.progress import track
from alignn_ff.workflows import diffusion, vibrations
from alignn_ff.workflows.diffusion import Diffusion, DiffusionSettings
from alignn_ff.workflows.elastic_moduli import density_g_cm3
from alignn_ff.workflows.rdf import radial_distribution
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.settings import setting
from alignn_ff.workflows.time_series import block_mean
from alignn_ff.workflows.trajectory import Trajectory, temperatures_k

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSITY, RDF, DIFFUSION, VIBRATIONS = "density", "radial distribution", "diffusion", "velocity correlation"


@dataclass(frozen=True)
class AnalysisSettings(DiffusionSettings):
    """How to analyse; see `--help` of the command for each field."""

    rdf_reach_a: float = setting(8.0, "Distance up to which neighbours are counted.", unit="Å", above=0)
    rdf_bin_a: float = setting(0.05, "Width of a bin of that.", unit="Å", above=0)
    rdf_frames: int = setting(200, "At most so many frames, evenly chosen, go into it.", at_least=1)
    resolution_thz: float = setting(0.5, "Resolution of the vibrational density of states.", unit="THz", above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rdf_bin_a > self.rdf_reach_a:
            raise ConfigError(f"rdf_bin_a = {self.rdf_bin_a:g} is more than rdf_reach_a = {self.rdf_reach_a:g}.")


ANALYSIS_DEFAULTS = AnalysisSettings()


@dataclass(frozen=True)
class AnalysisResult(WorkflowResult):
    """What a trajectory says. `atoms` is its last frame; `left_out` says why what is missing is missing.

    `curves`, each where it exists: `rdf` (distance_a, g, g_A-B, n_A-B: see `radial_distribution`), `msd` (time_ps,
    msd_A_a2), `vacf` (time_ps, vacf_A), `vdos` (frequency_thz, total_per_thz, A_per_thz; it integrates to 3 N).
    `coefficients` holds the diffusion of each element. Errors are standard errors over blocks. Vibrations faster than
    `highest_thz`, half a period per frame, appear at wrong frequencies.
    """

    settings: AnalysisSettings
    curves: Mapping[str, Table]
    coefficients: Mapping[str, Diffusion]
    left_out: Mapping[str, str]
    frames: int = quantity("frames")
    interval_fs: float | None = quantity("time between them", "fs", ".4g")
    temperature_k: float | None = quantity("mean temperature", "K", ".2f", default=None)
    temperature_error_k: float | None = quantity("its error", "K", ".2g", default=None)
    density_g_cm3: float | None = quantity("mean density", "g/cm³", ".5g", default=None)
    density_error_g_cm3: float | None = quantity("its error", "g/cm³", ".2g", default=None)
    resolution_thz: float | None = quantity("resolution of vibrations", "THz", ".3g", default=None)
    highest_thz: float | None = quantity("highest frequency seen between frames", "THz", ".4g", default=None)

    name: ClassVar[str] = "analysis"
    only_tables: ClassVar[tuple[str, ...]] = ("curves",)

    @property
    def outcome(self) -> Outcome:
        """It reaches its end or raises."""
        return "done"

    def rows(self) -> list[tuple[str, str]]:
        """The numbers, a diffusion coefficient per element, and what was left out."""
        found = [(f"diffusion of {name}", str(coefficient)) for name, coefficient in self.coefficients.items()]
        return [*super().rows(), *found, *((f"no {what}", why) for what, why in self.left_out.items())]

    def structures(self) -> Mapping[str, Atoms]:
        """The last frame."""
        return {"last": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """The curves."""
        return self.curves

    def plot(self) -> Figure:
        """A panel per curve."""
        from alignn_ff.reports.analysis import analysis_figure

        return analysis_figure(self.curves)


def run_analysis(
    trajectory: Sequence[Atoms],
    settings: AnalysisSettings = ANALYSIS_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> AnalysisResult:
    """Structure and motion of a trajectory, which is left as it is.

    Args:
        trajectory: frames of the same atoms, equally spaced in time. Diffusion and velocity correlation need that
            time, of the frames (`time_fs` in their `info`, as `alignn-ff md` writes it) or of the settings, the latter
            also momenta; radial distribution and density a cell periodic in 3D. What cannot be had is left out, and
            the result says why.
        folder: where the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Raises:
        StructureError: no frames, frames of other atoms, or not equally spaced in time.
        ConfigError: more frames to skip than there are.
    """
    kept = settings.kept(trajectory)
    left_out = _left_out(kept, settings)
    chosen = [] if RDF in left_out else _chosen(kept, settings)
    curves: dict[str, Table] = {}
    coefficients: dict[str, Diffusion] = {}
    range_thz: dict[str, float] = {}
    with track("analysis", len(chosen) + 2, show=progress) as advance:
        if RDF not in left_out:
            curves["rdf"] = radial_distribution(
                chosen, reach_a=settings.rdf_reach_a, bin_a=settings.rdf_bin_a, advance=advance
            )
        if DIFFUSION not in left_out:
            curves["msd"], coefficients = diffusion.diffuse(kept, settings)
        advance(note=DIFFUSION)
        if VIBRATIONS not in left_out:
            seen = vibrations.vibrate(kept, settings.resolution_thz, remove_drift=settings.remove_drift)
            curves |= {"vacf": seen.vacf, "vdos": seen.vdos}
            range_thz = {"resolution_thz": seen.resolution_thz, "highest_thz": float(seen.vdos["frequency_thz"][-1])}
        advance(note=VIBRATIONS)
    result = AnalysisResult(
        atoms=kept.frames[-1],
        settings=settings,
        curves=curves,
        coefficients=coefficients,
        left_out=left_out,
        frames=len(kept.frames),
        interval_fs=kept.interval_fs,
        **_means(kept, settings.blocks),
        **range_thz,
    )
    if folder is not None:
        result.save(folder)
    return result


def _left_out(kept: Trajectory, settings: AnalysisSettings) -> dict[str, str]:
    """Why what cannot be had cannot be had.

    Raises:
        StructureError: nothing can be had.
    """
    no_volume = None if kept.bulk else "the trajectory is not periodic in 3D"
    obstacles = {
        DENSITY: no_volume,
        RDF: no_volume,
        DIFFUSION: diffusion.obstacle(kept, settings),
        VIBRATIONS: vibrations.obstacle(kept, remove_drift=settings.remove_drift),
    }
    left_out = {what: why for what, why in obstacles.items() if why is not None}
    if len(left_out) == len(obstacles):
        raise StructureError(
            "nothing can be said of this trajectory: "
            + "; ".join(f"no {what}, as {why}" for what, why in left_out.items())
        )
    return left_out


def _chosen(kept: Trajectory, settings: AnalysisSettings) -> list[Atoms]:
    """Frames for the radial distribution."""
    count = min(settings.rdf_frames, len(kept.frames))
    return [kept.frames[k] for k in np.linspace(0, len(kept.frames) - 1, count).round().astype(int)]


def _means(kept: Trajectory, blocks: int) -> dict[str, float | None]:
    """Temperature and density, where they exist, with their errors."""
    means: dict[str, float | None] = {}
    if kept.moving:
        mean, error = block_mean(temperatures_k(kept.frames), blocks)
        means |= {"temperature_k": mean, "temperature_error_k": error}
    if kept.bulk:
        mean, error = block_mean(np.array([density_g_cm3(frame) for frame in kept.frames]), blocks)
        means |= {"density_g_cm3": mean, "density_error_g_cm3": error}
    return means
