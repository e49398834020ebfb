"""Run molecular dynamics: NVE, NVT, NPT or NPH, at one temperature or along a schedule.

alignn-ff md si.cif --ensemble npt --temp 300 --steps 20000 --supercell 3 3 3
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.progress import track
from alignn_ff.units import MEV
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.frames import working_copy
from alignn_ff.workflows.journal import Journal, open_journal, rows_before
from alignn_ff.workflows.md_settings import MD_DEFAULTS, MDSettings
from alignn_ff.workflows.restart import Origin, State, origin_of, read_state
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.simulation import Simulation, ns_per_day
from alignn_ff.workflows.velocities import draw_momenta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FS_PER_PS = 1e3


@dataclass(frozen=True)
class MDResult(WorkflowResult):
    """The end of a trajectory, with momenta and results, and averages over its samples after equilibration.

    `energy_drift_mev_per_atom_ps` is the slope of a straight line through the conserved energy: total energy
    in NVE, enthalpy in NPH, system and bath in NVT and NPT; None where there is none: in Langevin and Berendsen
    dynamics, and while the temperature changes. Pressure is -trace(stress)/3 with its kinetic part. `ns_per_day` counts
    the time spent before the last state of a run that was broken off, too. `thermo` has the columns step, time_fs,
    temperature_k, potential_energy_ev, kinetic_energy_ev, total_energy_ev and, where they exist,
    target_temperature_k, conserved_energy_ev, pressure_gpa, volume_a3, density_g_cm3; it goes to `thermo.csv`, not
    into `to_dict`.
    """

    settings: MDSettings
    thermo: Table
    completed: bool = quantity("completed")
    steps: int = quantity("steps")
    time_ps: float = quantity("simulated time", "ps")
    degrees_of_freedom: int = quantity("degrees of freedom")
    mean_temperature_k: float | None = quantity("mean temperature", "K", ".2f")
    std_temperature_k: float | None = quantity("its standard deviation", "K", ".2f")
    mean_potential_energy_ev: float | None = quantity("mean potential energy", "eV", ".6f")
    mean_pressure_gpa: float | None = quantity("mean pressure", "GPa", ".4f")
    mean_volume_a3: float | None = quantity("mean volume", "Å³", ".3f")
    energy_drift_mev_per_atom_ps: float | None = quantity("drift of conserved energy", "meV/atom/ps", ".3g")
    ns_per_day: float | None = quantity("speed", "ns/day", ".3g")

    name: ClassVar[str] = "md"
    only_tables: ClassVar[tuple[str, ...]] = ("thermo",)

    @property
    def outcome(self) -> Outcome:
        """Whether all steps were taken or somebody interrupted."""
        return "done" if self.completed else "interrupted"

    @property
    def trajectory(self) -> str | None:
        """Frames, where the settings wanted any."""
        return self.settings.trajectory

    def structures(self) -> Mapping[str, Atoms]:
        """The last frame, from which another run can go on."""
        return {"final": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """The thermodynamic samples."""
        return {"thermo": self.thermo}

    def plot(self) -> Figure:
        """Temperature, energy, pressure and, in NPT, volume over time."""
        from alignn_ff.reports.trajectory import trajectory_figure

        ensemble, schedule = ENSEMBLES[self.settings.ensemble], self.settings.schedule
        held = ensemble.heat is not None and schedule.constant
        return trajectory_figure(
            self.thermo,
            len(self.atoms),
            temperature_k=schedule.temperature_k(0) if held else None,
            pressure_gpa=self.settings.pressure_gpa if "pressure_gpa" in ensemble.uses else None,
        )


def run_md(
    atoms: Atoms,
    settings: MDSettings = MD_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> MDResult:
    """Integrate Newton's equations for a copy of `atoms` with its calculator.

    Args:
        atoms: with a calculator; left as it is.
        folder: where `thermo.csv` and `trajectory.extxyz` (or `trajectory.h5md`) grow line by line and frame by
            frame, `restart.npz` holds the last state, and the result is saved; None writes nothing.
        resume: go on with the run in `folder` from its last state, and begin it where there is none. Files and
            result are those of a run never broken off, bit for bit, as far as the calculator gives the same forces
            again once it was reset: on the same machine, and not on a GPU, which adds in any order.
        progress: draw a bar on standard error.
    Returns:
        The result; after Ctrl-C that of the steps so far, with `completed` False.
    Raises:
        ConfigError: no calculator, an ensemble the structure or calculator cannot have, or a run of other settings,
            another structure or another calculator to go on with.
        CheckpointError: no run to go on with among the files of the folder, or damaged ones.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energies or forces not finite, an energy jump, atoms too close, too fast or too hot; the
            last good frame is in `last_good.extxyz` (and in the error's `last_good`).
    """
    folder = None if folder is None else Path(folder)
    origin = origin_of(working_copy(atoms), settings)
    state = _state_to_go_on_from(folder, origin) if resume else None
    rng = np.random.default_rng(settings.seed)
    run = Simulation(_start(atoms, settings, rng), settings, rng)
    if folder is not None and state is not None:
        run.restore(state, rows_before(folder, state))
    frames, states = settings.traj_format if settings.traj_every else None, settings.restart_every > 0
    with (
        open_journal(folder, origin, after=state, frames=frames, states=states) as journal,
        track("md", settings.schedule.steps, done=max(run.step, 0), show=progress) as show,
    ):
        _follow(run, journal, show)
    result = _result(run, settings)
    if folder is not None:
        result.save(folder)
    return result


def _state_to_go_on_from(folder: Path | None, origin: Origin) -> State | None:
    """The state in `folder`; None where the run has taken no step yet."""
    if folder is None:
        raise ConfigError("resume needs the folder of the run.")
    state = read_state(folder, origin)
    return None if state is None or state.step < 0 else state


def _follow(run: Simulation, journal: Journal, show: Callable[..., None]) -> None:
    """Take all steps that are left, or those until Ctrl-C."""
    try:
        while not run.finished:
            run.advance(journal)
            show(min(1, run.step), note=run.note())
    except KeyboardInterrupt:
        if not run.rows:
            raise
    except StructureError as error:
        raise run.failure(f"the model refused the structure ({error})", journal.folder) from error


def _start(atoms: Atoms, settings: MDSettings, rng: np.random.Generator) -> Atoms:
    """The structure to integrate, with its momenta."""
    work = working_copy(atoms)
    moving = bool(np.any(work.get_momenta()))
    if settings.velocities == "keep" and not moving:
        raise ConfigError("velocities = keep, but the structure has none. Use draw or auto.")
    if settings.supercell != (1, 1, 1):
        work, moving = work.repeat(settings.supercell), False
        work.calc = atoms.calc
    if settings.velocities == "draw" or not moving:
        draw_momenta(work, settings.schedule.temperature_k(0), rng)
    return work


def _result(run: Simulation, settings: MDSettings) -> MDResult:
    thermo = run.columns()
    counted = thermo["step"] >= settings.equilibration_steps
    kept = {name: column[counted] for name, column in thermo.items()}
    time_fs = run.step * settings.timestep_fs
    return MDResult(
        atoms=run.last,
        settings=settings,
        thermo=thermo,
        completed=run.finished,
        steps=run.step,
        time_ps=time_fs / FS_PER_PS,
        degrees_of_freedom=run.dof,
        mean_temperature_k=_mean(kept, "temperature_k"),
        std_temperature_k=float(kept["temperature_k"].std()) if counted.any() else None,
        mean_potential_energy_ev=_mean(kept, "potential_energy_ev"),
        mean_pressure_gpa=_mean(kept, "pressure_gpa"),
        mean_volume_a3=_mean(kept, "volume_a3"),
        energy_drift_mev_per_atom_ps=_drift(kept, len(run.last)),
        ns_per_day=ns_per_day(time_fs, run.seconds) if run.step else None,
    )


def _mean(columns: Table, name: str) -> float | None:
    return float(columns[name].mean()) if name in columns and columns[name].size else None


def _drift(columns: Mapping[str, NDArray], n_atoms: int) -> float | None:
    """Least-squares slope of the conserved energy in meV/atom/ps; None without one or with one sample."""
    if "conserved_energy_ev" not in columns or columns["step"].size < 2:
        return None
    energy = columns["conserved_energy_ev"] - columns["conserved_energy_ev"][0]
    slope = np.polyfit(columns["time_fs"] / FS_PER_PS, energy, 1)[0]
    return float(slope * MEV / n_atoms)
