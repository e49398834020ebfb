"""Relax atoms, and the cell where it makes sense, to the nearest energy minimum.

alignn-ff relax si.cif --pressure 10 --fix-symmetry
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
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
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.settings import reject_unused, setting, validate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


@dataclass(frozen=True)
class RelaxResult(WorkflowResult):
    """A relaxed structure. `atoms` and `initial` carry energy, forces and stress as stored results.

    `max_force_ev_per_a` obeys constraints; `max_stress_gpa` is the largest component of stress + pressure among
    the strains that may change (all of them where the cell stays), so zero at the target, and None where there
    is no stress. `reason` says why the steps ended, and which forces were left where they ended too early.
    `history` has the columns step, energy_ev, max_force_ev_per_a and, where the cell was relaxed, max_stress_gpa and
    volume_a3.
    """

    initial: Atoms
    settings: RelaxSettings
    history: Table
    cell: str = quantity("cell relaxed")
    converged: bool = quantity("converged")
    reason: str = quantity("stopped because")
    steps: int = quantity("steps")
    energy_ev: float = quantity("energy", "eV", ".6f")
    energy_change_ev: float = quantity("energy change", "eV", "+.6f")
    max_force_ev_per_a: float = quantity("largest force", "eV/Å", ".3g")
    max_stress_gpa: float | None = quantity("largest stress off target", "GPa", ".3g")
    volume_a3: float | None = quantity("volume", "Å³", ".4f")
    volume_change_percent: float | None = quantity("volume change", "%", "+.3f")
    space_group_before: str | None = quantity("space group before")
    space_group_after: str | None = quantity("space group after")

    name: ClassVar[str] = "relax"

    @property
    def outcome(self) -> Outcome:
        """Whether forces converged, the steps ran out, or somebody interrupted."""
        if self.converged:
            return "done"
        return "interrupted" if self.reason == "interrupted" else "not converged"

    @property
    def trajectory(self) -> str:
        """Every step."""
        return TextFrames.name

    def structures(self) -> Mapping[str, Atoms]:
        """The relaxed structure."""
        return {"relaxed": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """Energy, force, stress and volume of every step."""
        return {"convergence": self.history}

    def plot(self) -> Figure:
        """Energy, largest force and largest stress over the steps."""
        from alignn_ff.reports.relax import relax_figure

        return relax_figure(self.history, len(self.atoms), fmax=self.settings.fmax)


def run_relax(
    atoms: Atoms,
    settings: RelaxSettings = RELAX_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> RelaxResult:
    """Relax a copy of `atoms` with its calculator; constraints on the atoms hold.

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
    work = working_copy(atoms)
    cell = cell_to_relax(work, settings)
    off_target = partial(stress_off_target_gpa, settings=settings) if cell == "full" else None
    path = Convergence(work, off_target, folder)
    before = space_group(work, settings.symprec)
    reason = _follow(work, settings, cell, path, folder=folder, progress=progress)
    result = _result(path, settings, cell, reason, before, atoms.calc)
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
) -> str:
    """Take the steps; the reason why they ended."""
    target = moved(work, settings, cell)
    optimizer = optimizer_class(settings.optimizer)(target, logfile=None)
    with (
        quiet_logm(),
        growing_file(folder, TextFrames.name) as trajectory,
        track("relax", settings.steps, show=progress) as advance,
    ):
        try:
            for converged in optimizer.irun(fmax=settings.fmax, steps=settings.steps):  # noqa: B007 (the last counts)
                append_frame(trajectory, path.add(work))
                advance(min(1, len(path.rows) - 1), note=path.note())
            reason = CONVERGED if converged else f"step limit reached, {_left(path, target.get_forces()[len(work) :])}"
        except KeyboardInterrupt:
            if not path.rows:
                raise
            reason = "interrupted"
    return reason


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
