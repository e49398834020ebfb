"""Relax atoms, and the cell where it makes sense, to the nearest energy minimum.

alignn-ff relax si.cif --pressure 10 --fix-symmetry
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import AlignnFFError, ConfigError
from alignn_ff.progress import track
from alignn_ff.workflows.cell import (
    CELL_ONLY,
    cell_to_relax,
    moved,
    quiet_logm,
    space_group,
    stress_off_target_gpa,
)
from alignn_ff.workflows.convergence import Convergence
from alignn_ff.workflows.frame_files import TextFrames
from alignn_ff.workflows.frames import (
    append_frame,
    growing_file,
    max_norm,
    offered_stress,
    snapshot,
    working_copy,
)
from alignn_ff.workflows.lockstep import Walk, alone, in_lockstep, shared_calculator
from alignn_ff.workflows.relax_result import RelaxResult
from alignn_ff.workflows.settings import reject_unused, setting, validate

OPTIMIZERS = {
    "FIRE": "ase.optimize:FIRE",
    "FIRE2": "ase.optimize:FIRE2",
    "BFGS": "ase.optimize:BFGS",
    "LBFGS": "ase.optimize:LBFGS",
    "BFGSLineSearch": "ase.optimize:BFGSLineSearch",
    "LBFGSLineSearch": "ase.optimize:LBFGSLineSearch",
    "GoodOldQuasiNewton": "ase.optimize:GoodOldQuasiNewton",
    "MDMin": "ase.optimize:MDMin",
}


@dataclass(frozen=True)
class RelaxSettings:
    """How to relax; see `--help` of the command for each field."""

    optimizer: str = setting("FIRE", "ASE optimizer.", choices=tuple(OPTIMIZERS))
    fmax: float = setting(
        0.01,
        "Converged once every force is below this; of a relaxed cell also the generalised forces on it, "
        "-V (stress + pressure) / N, whose unit is eV.",
        unit="eV/Å",
        above=0,
    )
    steps: int = setting(500, "Most steps to take.", at_least=0)
    cell: str = setting(
        "auto",
        "Relax the cell: full, none, or auto (full where the structure is periodic in all directions and the "
        "calculator has stress, else none).",
        choices=("auto", "none", "full"),
    )
    pressure_gpa: float = setting(0.0, "Pressure to relax the cell to.", unit="GPa", alias="--pressure")
    cell_mask: tuple[bool, bool, bool, bool, bool, bool] | None = setting(
        None, "Strain components xx yy zz yz xz xy that may change, as six 0 or 1; all by default."
    )
    hydrostatic: bool = setting(False, "Change the volume of the cell only, never its shape.")
    constant_volume: bool = setting(False, "Change the shape of the cell only, never its volume.")
    fix_symmetry: bool = setting(False, "Keep the space group; the start is symmetrised within symprec.")
    symprec: float = setting(0.01, "Tolerance of the space group search.", unit="Å", above=0)

    def __post_init__(self) -> None:
        validate(self)
        if self.cell == "none":
            reject_unused(self, CELL_ONLY, "cell is none")
        if self.hydrostatic and self.constant_volume:
            raise ConfigError("hydrostatic and constant_volume together leave nothing of the cell to relax.")
        if self.hydrostatic and self.cell_mask is not None:
            raise ConfigError("hydrostatic strain is isotropic; it cannot be combined with cell_mask.")
        if self.cell_mask is not None and not any(self.cell_mask):
            raise ConfigError("cell_mask allows no strain component; set cell to none instead.")
        if self.constant_volume and self.pressure_gpa:
            raise ConfigError("at constant_volume the pressure follows from the volume; leave pressure_gpa out.")


CONVERGED = "forces below fmax"

RELAX_DEFAULTS = RelaxSettings()


def run_relax(
    atoms: Atoms,
    settings: RelaxSettings = RELAX_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> RelaxResult:
    """Relax a copy of `atoms` with its calculator; constraints on the atoms hold.

    `run_relax_many` relaxes several, faster.

    Args:
        atoms: with a calculator; left as it is.
        folder: where `trajectory.extxyz` grows and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        The result, also where it did not converge or Ctrl-C stopped it (`converged`, `reason`).
    Raises:
        ConfigError: no calculator, or cell settings the structure cannot honour.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite, or the cell flew apart; the last good frame was kept.
    """
    return alone(relaxing(atoms, settings, folder=folder, progress=progress))


def run_relax_many(
    structures: Sequence[Atoms],
    settings: RelaxSettings = RELAX_DEFAULTS,
    *,
    folders: Sequence[str | Path] | None = None,
    progress: bool = False,
) -> list[RelaxResult | AlignnFFError | None]:
    """Relax copies of `structures`, each as `run_relax` does; what their calculator evaluates, it evaluates of many.

    That needs one calculator for all, with a method `evaluate(list of Atoms) -> list of results`, such as
    `AlignnFFCalculator` has. With others, the structures are relaxed one after the other. (An optimizer that searches
    along lines has each point of a search evaluated alone.)

    Args:
        structures: each with a calculator; left as they are.
        folders: as `folder` of `run_relax`, one a structure; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        For each structure its result, or the error that ended its relaxation and no other, as `run_relax` raises it;
        None for those that Ctrl-C left without a step. Others that were under way then have the reason "interrupted".
    Raises:
        KeyboardInterrupt: Ctrl-C, before any structure had a result.
    """
    calculator = shared_calculator(structures)
    paths: Sequence[str | Path | None] = folders or [None] * len(structures)
    walks = [
        relaxing(atoms, settings, folder=path, progress=progress and calculator is None)
        for atoms, path in zip(structures, paths, strict=True)
    ]
    endings = dict(in_lockstep(walks, calculator, what="relax", progress=progress))
    if structures and not endings:
        raise KeyboardInterrupt
    return [endings.get(place) for place in range(len(structures))]


def relaxing(
    atoms: Atoms, settings: RelaxSettings = RELAX_DEFAULTS, *, folder: str | Path | None = None, progress: bool = False
) -> Walk[RelaxResult]:
    """`run_relax` in pieces, which halts wherever the structure has moved."""
    work = working_copy(atoms)
    yield work
    cell = cell_to_relax(work, settings)
    off_target = partial(stress_off_target_gpa, settings=settings) if cell == "full" else None
    path = Convergence(work, off_target, folder)
    before = space_group(work, settings.symprec)
    reason = yield from _follow(work, settings, cell, path, folder=folder, progress=progress)
    result = _result(path, settings, cell, reason, before, work.calc)
    if folder is not None:
        result.save(folder)
    return result


def optimizer_class(name: str) -> Any:
    """The optimizer called `name` in `OPTIMIZERS`."""
    module, _, cls = OPTIMIZERS[name].partition(":")
    return getattr(import_module(module), cls)


def _follow(
    work: Atoms,
    settings: RelaxSettings,
    cell: str,
    path: Convergence,
    *,
    folder: str | Path | None,
    progress: bool,
) -> Generator[Atoms, None, str]:
    """Take the steps, halting after each; the reason why they ended.

    They are those of `optimizer.irun`, which does not halt before it asks for the forces of a new step.
    """
    target = moved(work, settings, cell)
    optimizer = optimizer_class(settings.optimizer)(target, logfile=None)
    with (
        growing_file(folder, TextFrames.name) as trajectory,
        track("relax", settings.steps, show=progress) as advance,
    ):
        try:
            for step in range(settings.steps + 1):
                if step:
                    _take_step(optimizer)
                yield work
                converged = _has_converged(optimizer, settings.fmax)
                append_frame(trajectory, path.add(work))
                advance(min(1, step), note=path.note())
                if converged:
                    return CONVERGED
        except KeyboardInterrupt:
            if not path.rows:
                raise
            return "interrupted"
    return f"step limit reached, {_left(path, target.get_forces()[len(work) :])}"


@quiet_logm()
def _take_step(optimizer: Any) -> None:
    optimizer.step()
    optimizer.nsteps += 1


@quiet_logm()
def _has_converged(optimizer: Any, fmax: float) -> bool:
    return bool(optimizer.run(fmax=fmax, steps=0))


def _left(path: Convergence, on_cell: NDArray) -> str:
    """The largest forces on atoms and, where it moves, on the cell."""
    cell = f" and {max_norm(on_cell):.3g} eV on the cell" if len(on_cell) else ""
    return f"with forces of {path.rows[-1][1]:.3g} eV/Å on atoms{cell}"


def _result(
    path: Convergence,
    settings: RelaxSettings,
    cell: str,
    reason: str,
    space_group_before: str | None,
    calc: Any,
) -> RelaxResult:
    first, last = path.first, path.last
    if cell == "none":
        last = _with_stress(last, calc)
    stress = last.calc.results.get("stress")
    volume = last.get_volume() if last.cell.rank == 3 else None
    return RelaxResult(
        atoms=last,
        initial=first,
        settings=settings,
        cell=cell,
        converged=reason == CONVERGED,
        reason=reason,
        steps=len(path.rows) - 1,
        energy_ev=path.rows[-1][0],
        energy_change_ev=path.rows[-1][0] - path.rows[0][0],
        max_force_ev_per_a=path.rows[-1][1],
        max_stress_gpa=None if stress is None else stress_off_target_gpa(stress, settings),
        volume_a3=volume,
        volume_change_percent=None if volume is None else 100.0 * (volume / first.get_volume() - 1.0),
        space_group_before=space_group_before,
        space_group_after=space_group(last, settings.symprec),
        history=path.columns(),
    )


def _with_stress(frame: Atoms, calc: Any) -> Atoms:
    """`frame` with its stress, which fixed-cell steps do without: a model may charge an evaluation for it."""
    probe = frame.copy()
    probe.calc = calc
    return snapshot(probe, stress=offered_stress(probe))
