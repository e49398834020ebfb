"""Fit diffusion over temperature: activation energy from trajectories at several temperatures.

alignn-ff arrhenius 800K.extxyz 1000K.extxyz 1200K.extxyz --extrapolate-to-k 300
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.progress import track
from alignn_ff.workflows.diffusion import Diffusion, DiffusionSettings, diffuse, obstacle
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult
from alignn_ff.workflows.settings import setting
from alignn_ff.workflows.trajectory import Trajectory, temperatures_k

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNIFICANT = 2.0
"""A coefficient must be this many of its errors: the logarithm of less means nothing."""

APART_K = 1.0
"""Temperatures must differ by this at least."""

CURVE_POINTS = 50


@dataclass(frozen=True)
class ArrheniusSettings(DiffusionSettings):
    """How to fit; see `--help` of the command for each field."""

    extrapolate_to_k: float = setting(300.0, "Temperature to extrapolate to.", unit="K", above=0)


ARRHENIUS_DEFAULTS = ArrheniusSettings()


@dataclass(frozen=True)
class Estimate:
    """A coefficient, and the factor by which it may be wrong either way: the exponential of a standard error."""

    value_cm2_s: float
    error_factor: float

    def __str__(self) -> str:
        return f"{self.value_cm2_s:.3g} cm²/s, times or over {self.error_factor:.2f}"


@dataclass(frozen=True)
class ArrheniusFit:
    """D = D0 exp(-E / k_B T) of one element, with standard errors.

    `scatter` is the root mean square distance of the points from the line in units of their errors, per degree of
    freedom: about 1 where there is one line, more where there are two mechanisms; None of two points.
    """

    activation_energy_ev: float
    activation_energy_error_ev: float
    prefactor: Estimate
    extrapolated: Estimate
    scatter: float | None

    def at(self, temperature_k: NDArray) -> NDArray:
        """Coefficient in cm²/s."""
        return self.prefactor.value_cm2_s * np.exp(-self.activation_energy_ev / (units.kB * temperature_k))


@dataclass(frozen=True)
class ArrheniusResult(WorkflowResult):
    """Activation energies. `atoms` is the last frame of the hottest trajectory.

    `fits` has one entry per element whose coefficients all exceed twice their errors, `left_out` says why the others
    have none. `points` has the columns temperature_k and, for each element A, diffusion_A_cm2_s, error_A_cm2_s.
    """

    settings: ArrheniusSettings
    points: Table
    fits: Mapping[str, ArrheniusFit]
    left_out: Mapping[str, str]

    name: ClassVar[str] = "arrhenius"

    @property
    def outcome(self) -> Outcome:
        """It reaches its end or raises."""
        return "done"

    def rows(self) -> list[tuple[str, str]]:
        """Activation energy, prefactor and extrapolation of each element, and what has none."""
        rows = []
        for name, fit in self.fits.items():
            energy = f"({fit.activation_energy_ev:.4g} ± {fit.activation_energy_error_ev:.2g}) eV"
            rows += [
                (f"activation energy of {name}", energy),
                (f"prefactor of {name}", str(fit.prefactor)),
                (f"diffusion of {name} at {self.settings.extrapolate_to_k:g} K", str(fit.extrapolated)),
            ]
        return [*rows, *((f"no fit of {name}", why) for name, why in self.left_out.items())]

    def structures(self) -> Mapping[str, Atoms]:
        """The last frame of the hottest trajectory."""
        return {"last": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Coefficients over temperature."""
        return {"points": self.points}

    def plot(self) -> Figure:
        """Logarithm of the coefficients over the inverse temperature, with the fits."""
        from alignn_ff.reports.analysis import arrhenius_figure

        temperatures = self.points["temperature_k"]
        between = 1.0 / np.linspace(1.0 / temperatures[-1], 1.0 / temperatures[0], CURVE_POINTS)
        lines = {name: fit.at(between) for name, fit in self.fits.items()}
        return arrhenius_figure(self.points, {"temperature_k": between} | lines)


def run_arrhenius(
    trajectories: Sequence[Sequence[Atoms]],
    settings: ArrheniusSettings = ARRHENIUS_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> ArrheniusResult:
    """Diffusion of each trajectory, and a straight line through its logarithm over the inverse temperature.

    Args:
        trajectories: at two temperatures or more, of the same elements, with momenta, from which the temperatures are
            taken; else as in `run_analysis`.
        folder: where the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: fewer than two temperatures, unknown time between frames, or too few frames for diffusion.
        StructureError: no momenta, other elements in some trajectory, or as in `run_analysis`.
    """
    kept = [settings.kept(trajectory) for trajectory in trajectories]
    temperatures = np.array([_temperature_k(trajectory, place) for place, trajectory in enumerate(kept)])
    if len(kept) < 2 or np.ptp(temperatures) < APART_K:
        seen = ", ".join(f"{temperature:.1f} K" for temperature in temperatures) or "none"
        raise ConfigError(f"an activation energy takes two temperatures or more; the trajectories have {seen}.")
    order = temperatures.argsort()
    found = []
    with track("arrhenius", len(kept), show=progress) as advance:
        for k in order:
            found.append(_diffusion(kept[k], settings, int(k)))
            advance(note=f"{temperatures[k]:.0f} K")
    result = _result(kept[order[-1]].frames[-1], temperatures[order], found, settings)
    if folder is not None:
        result.save(folder)
    return result


def fitted(temperatures_k: NDArray, found: Sequence[Diffusion], extrapolate_to_k: float) -> ArrheniusFit:
    """The straight line through ln D over 1 / k_B T, points weighted by their errors, which are taken as they are."""
    logarithms = np.log([one.coefficient_cm2_s for one in found])
    weights = np.array([one.coefficient_cm2_s / one.error_cm2_s for one in found])
    inverse = -1.0 / (units.kB * temperatures_k)
    origin = inverse.mean()  # about which slope and height are nearly independent
    line, covariance = np.polyfit(inverse - origin, logarithms, 1, w=weights, cov="unscaled")

    def at(place: float) -> Estimate:
        arm = np.array([place - origin, 1.0])
        return Estimate(float(np.exp(arm @ line)), float(np.exp(np.sqrt(arm @ covariance @ arm))))

    off, spare = weights * (logarithms - np.polyval(line, inverse - origin)), len(found) - 2
    return ArrheniusFit(
        float(line[0]),
        float(np.sqrt(covariance[0, 0])),
        at(0.0),
        at(-1.0 / (units.kB * extrapolate_to_k)),
        float(np.sqrt((off**2).sum() / spare)) if spare else None,
    )


def _diffusion(kept: Trajectory, settings: ArrheniusSettings, place: int) -> dict[str, Diffusion]:
    why = obstacle(kept, settings)
    if why is not None:
        raise ConfigError(f"no diffusion of trajectory {place}: {why}.")
    return diffuse(kept, settings)[1]


def _temperature_k(trajectory: Trajectory, place: int) -> float:
    if not trajectory.moving:
        raise StructureError(
            f"trajectory {place} has no momenta, hence no temperature. alignn-ff md writes frames that do."
        )
    return float(temperatures_k(trajectory.frames).mean())


def _result(
    atoms: Atoms, temperatures: NDArray, found: Sequence[Mapping[str, Diffusion]], settings: ArrheniusSettings
) -> ArrheniusResult:
    if any(set(one) != set(found[0]) for one in found):
        raise StructureError(f"the trajectories hold other elements: {', '.join('-'.join(one) for one in found)}.")
    points = {"temperature_k": temperatures}
    fits: dict[str, ArrheniusFit] = {}
    left_out: dict[str, str] = {}
    for name in found[0]:
        series = [one[name] for one in found]
        points[f"diffusion_{name}_cm2_s"] = np.array([one.coefficient_cm2_s for one in series])
        points[f"error_{name}_cm2_s"] = np.array([one.error_cm2_s for one in series])
        faint = [t for t, one in zip(temperatures, series, strict=True) if not _significant(one)]
        if faint:
            left_out[name] = f"at {faint[0]:.0f} K it diffuses no more than twice its error"
        else:
            fits[name] = fitted(temperatures, series, settings.extrapolate_to_k)
    return ArrheniusResult(atoms, settings, points, fits, left_out)


def _significant(one: Diffusion) -> bool:
    return one.coefficient_cm2_s > SIGNIFICANT * one.error_cm2_s > 0.0
