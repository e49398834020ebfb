"""Run molecular dynamics: NVE, NVT (Nosé-Hoover chain or Langevin) or NPT."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.progress import track
from alignn_ff.units import MEV
from alignn_ff.workflows.ensembles import ENSEMBLES, SPECIFIC
from alignn_ff.workflows.frames import growing_file, working_copy
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.settings import reject_unused, setting, validate
from alignn_ff.workflows.simulation import Simulation
from alignn_ff.workflows.velocities import degrees_of_freedom, draw_momenta

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FS_PER_NS = 1e6
FS_PER_PS = 1e3
SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class MDSettings:
    """How to run; see `--help` of the command for each field."""

    ensemble: str = setting(
        "nvt",
        "nve (velocity Verlet), nvt (Nosé-Hoover chain), nvt-langevin, npt (isotropic Martyna-Tobias-Klein).",
        choices=tuple(ENSEMBLES),
    )
    temperature_k: float = setting(
        300.0, "Temperature of thermostat and drawn velocities.", unit="K", at_least=0, alias="--temp"
    )
    steps: int = setting(1000, "Number of time steps.", at_least=0)
    timestep_fs: float = setting(1.0, "Time step.", unit="fs", above=0, alias="--timestep")
    pressure_gpa: float = setting(0.0, "Target pressure of npt.", unit="GPa", alias="--pressure")
    friction_per_fs: float = setting(0.01, "Friction of nvt-langevin.", unit="1/fs", above=0, alias="--friction")
    thermostat_time_fs: float = setting(
        100.0, "Relaxation time of the chain in nvt and npt.", unit="fs", above=0, alias="--thermostat-time"
    )
    barostat_time_fs: float = setting(
        1000.0, "Relaxation time of the cell in npt.", unit="fs", above=0, alias="--barostat-time"
    )
    supercell: tuple[int, int, int] = setting((1, 1, 1), "Repeat the structure along a, b, c.", at_least=1)
    velocities: str = setting(
        "auto",
        "draw (Maxwell-Boltzmann, no drift), keep (those of the structure), or auto (keep if there are any).",
        choices=("auto", "keep", "draw"),
    )
    seed: int = setting(0, "Seed of all random numbers of the run.", at_least=0)
    equilibration_steps: int = setting(0, "Steps at the start left out of averages and drift.", at_least=0)
    stats_every: int = setting(10, "Steps between thermodynamic samples.", at_least=1)
    traj_every: int = setting(10, "Steps between trajectory frames; 0 writes none.", at_least=0)
    max_temperature_k: float | None = setting(
        None,
        "Stop as run away above this; by default ten times the target (or the start, if hotter) plus 1000 K.",
        unit="K",
        above=0,
    )

    def __post_init__(self) -> None:
        validate(self)
        idle = [name for name in SPECIFIC if name not in ENSEMBLES[self.ensemble].uses]
        reject_unused(self, idle, f"ensemble {self.ensemble} does not read it")
        if self.temperature_k == 0 and self.ensemble != "nve":
            raise ConfigError(f"temperature_k = 0: ensemble {self.ensemble} needs more than 0 K.")
        if self.equilibration_steps and self.equilibration_steps >= self.steps:
            raise ConfigError(
                f"equilibration_steps = {self.equilibration_steps} of steps = {self.steps} leaves nothing to "
                "average. Run longer or equilibrate less."
            )
        if self.velocities == "keep" and self.supercell != (1, 1, 1):
            raise ConfigError("velocities = keep would move all copies of a supercell alike; use draw.")


MD_DEFAULTS = MDSettings()


@dataclass(frozen=True)
class MDResult(WorkflowResult):
    """The end of a trajectory, with momenta and results, and averages over its samples after equilibration.

    `energy_drift_mev_per_atom_ps` is the slope of a straight line through the conserved energy: total energy
    in NVE, system and bath in NVT and NPT; None in Langevin dynamics, which conserves none. Pressure is
    -trace(stress)/3 with its kinetic part. `thermo` has the columns step, time_fs, temperature_k,
    potential_energy_ev, kinetic_energy_ev, total_energy_ev and, where they exist, conserved_energy_ev,
    pressure_gpa, volume_a3; it goes to `thermo.csv`, not into `to_dict`.
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

    def structures(self) -> Mapping[str, Atoms]:
        """The last frame, from which another run can go on."""
        return {"final": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """The thermodynamic samples."""
        return {"thermo": self.thermo}

    def plot(self) -> Figure:
        """Temperature, energy, pressure and, in NPT, volume over time."""
        from alignn_ff.reports.trajectory import trajectory_figure

        driven = self.settings.ensemble != "nve"
        return trajectory_figure(
            self.thermo,
            len(self.atoms),
            temperature_k=self.settings.temperature_k if driven else None,
            pressure_gpa=self.settings.pressure_gpa if self.settings.ensemble == "npt" else None,
        )


def run_md(
    atoms: Atoms,
    settings: MDSettings = MD_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> MDResult:
    """Integrate Newton's equations for a copy of `atoms` with its calculator.

    Args:
        atoms: with a calculator; left as it is.
        folder: where `thermo.csv` and `trajectory.extxyz` grow line by line and frame by frame, and where the
            result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        The result; after Ctrl-C that of the steps so far, with `completed` False.
    Raises:
        ConfigError: no calculator, or an ensemble the structure or calculator cannot have.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energies or forces not finite, an energy jump, atoms too close, too fast or too hot; the
            last good frame is in `last_good.extxyz` (and in the error's `last_good`).
    """
    rng = np.random.default_rng(settings.seed)
    work = _start(atoms, settings, rng)
    ensemble = ENSEMBLES[settings.ensemble]
    dof = degrees_of_freedom(work, momentum_conserved=ensemble.conserves_momentum)
    dynamics = ensemble.build(work, settings, dof, rng)
    began = time.perf_counter()
    with (
        growing_file(folder, "thermo.csv") as thermo,
        growing_file(folder if settings.traj_every else None, "trajectory.extxyz") as trajectory,
        track("md", settings.steps, show=progress) as advance,
    ):
        run = Simulation(dynamics, settings, dof, folder=folder, thermo=thermo, trajectory=trajectory)
        try:
            for _ in dynamics.irun(settings.steps):
                run.observe()
                advance(min(1, run.step), note=run.note())
        except KeyboardInterrupt:
            if not run.rows:
                raise
        except StructureError as error:
            raise run.failure(f"the model refused the structure ({error})") from error
    result = _result(run, settings, dof, time.perf_counter() - began)
    if folder is not None:
        result.save(folder)
    return result


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
        draw_momenta(work, settings.temperature_k, rng)
    return work


def _result(run: Simulation, settings: MDSettings, dof: int, seconds: float) -> MDResult:
    thermo = run.columns()
    counted = thermo["step"] >= settings.equilibration_steps
    kept = {name: column[counted] for name, column in thermo.items()}
    time_fs = run.step * settings.timestep_fs
    return MDResult(
        atoms=run.last,
        settings=settings,
        thermo=thermo,
        completed=run.step == settings.steps,
        steps=run.step,
        time_ps=time_fs / FS_PER_PS,
        degrees_of_freedom=dof,
        mean_temperature_k=_mean(kept, "temperature_k"),
        std_temperature_k=float(kept["temperature_k"].std()) if counted.any() else None,
        mean_potential_energy_ev=_mean(kept, "potential_energy_ev"),
        mean_pressure_gpa=_mean(kept, "pressure_gpa"),
        mean_volume_a3=_mean(kept, "volume_a3"),
        energy_drift_mev_per_atom_ps=_drift(kept, len(run.last)),
        ns_per_day=time_fs / FS_PER_NS * SECONDS_PER_DAY / seconds if run.step else None,
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
