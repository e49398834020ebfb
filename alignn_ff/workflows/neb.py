"""Barrier between two states: climbing-image nudged elastic band, from two ends or from a given path.

alignn-ff neb first.extxyz last.extxyz
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.utils.forcecurve import fit_raw
from numpy.typing import NDArray

from alignn_ff.files import prepare_folder
from alignn_ff.progress import track
from alignn_ff.workflows.frames import max_norm, stored_energy, working_copy, write_frames
from alignn_ff.workflows.neb_band import (
    Band,
    between,
    curvature_ev_per_a2,
    require_one_path,
    require_two_states,
    unwrapped,
)
from alignn_ff.workflows.neb_result import NEBResult
from alignn_ff.workflows.relax import RelaxSettings, optimizer_class, run_relax
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.settings import reject_unused, setting, validate

log = logging.getLogger(__name__)

SAVE_EVERY = 10
"""Steps after which the band on disk is replaced."""

DIP_EV = 0.005
"""An image lower than both its neighbours by this is a minimum on the way."""

CONVERGED = "forces on the band below fmax"


@dataclass(frozen=True)
class NEBSettings:
    """How to lay and to pull the band; see `--help` of the command for each field."""

    images: int = setting(7, "Images between two ends.", at_least=1)
    start: str = setting("idpp", "How they lie at first: idpp or on a straight line.", choices=("idpp", "linear"))
    relax_ends: bool = setting(True, "Relax the atoms of both ends first.")
    climb: bool = setting(True, "Let the highest image climb to the saddle; else the barrier is that of a fit.")
    climb_below: float = setting(0.3, "It climbs once all forces are below this.", unit="eV/Å", above=0)
    spring_ev_per_a2: float = setting(0.1, "Springs between images.", unit="eV/Å²", above=0)
    optimizer: str = setting("FIRE", "ASE optimizer of the band and of its ends.", choices=("FIRE", "BFGS", "MDMin"))
    fmax: float = setting(0.03, "Converged once every force on band and ends is below this.", unit="eV/Å", above=0)
    steps: int = setting(500, "Most steps to take, for the band and for each end.", at_least=1)

    def __post_init__(self) -> None:
        validate(self)
        if not self.climb:
            reject_unused(self, ("climb_below",), "climb is off")


NEB_DEFAULTS = NEBSettings()

Record = Callable[[Band, int], None]


def run_neb(
    images: Sequence[Atoms],
    settings: NEBSettings = NEB_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> NEBResult:
    """Find the path of least energy from the first to the last of `images` with the calculator of the first.

    Args:
        images: the two ends, between which images are laid, or a whole path; the same atoms in the same order and
            cell; left as they are. Their constraints hold. The band of a run that was broken off is such a path.
        folder: where `path.extxyz` is kept up to date and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        The result, also where it did not converge or Ctrl-C stopped it (`converged`, `reason`).
    Raises:
        ConfigError: no calculator, or ends that are one state.
        StructureError: images of other atoms, or another cell.
        RunawayError: energy or forces not finite.
    """
    require_one_path(images)
    calc = working_copy(images[0]).calc
    first, *inner, last = unwrapped(images)
    first, last = (_end(end, calc, settings) for end in (first, last))
    ends_converged = max(_force(first), _force(last)) < settings.fmax
    require_two_states(first, last)
    band = Band(_laid(first, inner, last, settings), calc, spring_ev_per_a2=settings.spring_ev_per_a2)
    history: list[tuple[int, bool, float, float]] = []
    with track("neb", settings.steps, show=progress) as advance:

        def record(band: Band, step: int) -> None:
            history.append((step, band.climb, band.max_force, float(band.energies.max() - band.energies[0])))
            advance(min(step, 1), note=f"{band.max_force:.3f} eV/Å, barrier {history[-1][3]:.4f} eV")
            if folder is not None and step % SAVE_EVERY == 0:
                write_frames(prepare_folder(folder, reuse=True) / "path.extxyz", band.images)

        reason = _pull(band, settings, record)
    result = _result(band, settings, history, reason, ends_converged, calc)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _end(end: Atoms, calc: Any, settings: NEBSettings) -> Atoms:
    """An end of the path with its results, relaxed if that was asked for."""
    work = end.copy()
    work.calc = calc
    steps = settings.steps if settings.relax_ends else 0
    how = RelaxSettings(optimizer=settings.optimizer, fmax=settings.fmax, steps=steps, cell="none")
    result = run_relax(work, how)
    if result.outcome == "interrupted":
        raise KeyboardInterrupt
    return result.atoms


def _laid(first: Atoms, inner: Sequence[Atoms], last: Atoms, settings: NEBSettings) -> list[Atoms]:
    """The first band, ends with their results."""
    if inner:
        reject_unused(settings, ("images", "start"), "the path is given")
        return [first, *inner, last]
    return [first, *between(first, last, settings.images, settings.start), last]


def _pull(band: Band, settings: NEBSettings, record: Record) -> str:
    """Pull the band until its forces are small, climbing at the end; the reason why it ended."""
    stages = [(False, max(settings.fmax, settings.climb_below)), (True, settings.fmax)]
    if not settings.climb:
        stages = [(False, settings.fmax)]
    step, converged = 0, False
    try:
        for climbing, fmax in stages:
            band.climb = climbing
            optimizer = optimizer_class(settings.optimizer)(band, logfile=None)
            for converged in optimizer.irun(fmax, settings.steps - step):  # noqa: B007 (the last counts)
                record(band, step)
                step += 1
            step -= 1  # the last state is the first of the next stage
            if not converged:
                return f"step limit reached, with forces of {band.max_force:.3g} eV/Å on the band"
    except KeyboardInterrupt:
        if band.energies is None:
            raise
        band.step_back()
        return "interrupted"
    return CONVERGED


def _force(end: Atoms) -> float:
    return max_norm(end.get_forces())  # obeys constraints, unlike what is stored


def _result(
    band: Band,
    settings: NEBSettings,
    history: Sequence[tuple[int, bool, float, float]],
    reason: str,
    ends_converged: bool,
    calc: Any,
) -> NEBResult:
    images = band.images
    energies = np.array([stored_energy(image) for image in images])
    forces = [image.get_forces() for image in images]
    fit = fit_raw(energies, forces, [image.positions for image in images])
    top = int(energies.argmax())
    inside = 0 < top < len(images) - 1
    height = _height(energies, fit.fit_energies, settings) if inside else None
    columns = zip(("step", "climbing", "max_force_ev_per_a", "barrier_ev"), zip(*history, strict=True), strict=True)
    return NEBResult(
        atoms=images[top],
        settings=settings,
        images=tuple(images),
        path=_path_table(energies, fit.path, forces),
        curve={"distance_a": np.asarray(fit.fit_path), "energy_ev": np.asarray(fit.fit_energies)},
        history={name: np.array(column) for name, column in columns},
        converged=reason == CONVERGED and ends_converged,
        reason=reason if ends_converged else f"{reason}; forces on an end are not below fmax",
        steps=int(history[-1][0]),
        saddle_image=top if inside else None,
        barrier_forward_ev=height,
        barrier_backward_ev=None if height is None else height - float(energies[-1] - energies[0]),
        reaction_energy_ev=float(energies[-1] - energies[0]),
        saddle_max_force_ev_per_a=max_norm(forces[top]) if inside else None,
        saddle_curvature_ev_per_a2=curvature_ev_per_a2(images, top, calc) if inside else None,
        path_length_a=float(fit.path[-1]),
        minima_on_the_way=_dips(energies),
    )


def _height(energies: NDArray, curve: NDArray, settings: NEBSettings) -> float:
    """Of the climbing image over the first; without one that of the curve through energies and forces."""
    return float(energies.max() - energies[0]) if settings.climb else float(np.max(curve))


def _path_table(energies: NDArray, distances: Sequence[float], forces: Sequence[NDArray]) -> Table:
    return {
        "image": np.arange(len(energies)),
        "distance_a": np.asarray(distances),
        "energy_ev": energies,
        "relative_energy_ev": energies - energies[0],
        "max_force_ev_per_a": np.array([max_norm(one) for one in forces]),
    }


def _dips(energies: NDArray) -> int:
    """Inner images that lie lower than both neighbours."""
    inner = energies[1:-1]
    return int(((energies[:-2] - inner > DIP_EV) & (energies[2:] - inner > DIP_EV)).sum())


def _warn(result: NEBResult) -> None:
    if not result.converged:
        log.warning("the band did not converge: %s. Its barrier is no barrier yet.", result.reason)
    if result.saddle_image is None:
        log.warning("the highest image is an end: there is no saddle between the states on this path.")
    if result.saddle_curvature_ev_per_a2 is not None and result.saddle_curvature_ev_per_a2 > 0:
        log.warning("the highest image lies in a minimum of the path, it is no saddle. Lay more images.")
    if result.minima_on_the_way:
        log.warning(
            "%d minima lie on the way: only the highest of several barriers was climbed. Run each part by itself.",
            result.minima_on_the_way,
        )
