"""What a molecular-dynamics run is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.ensembles import ENSEMBLES, SPECIFIC
from alignn_ff.workflows.frame_files import FORMATS
from alignn_ff.workflows.schedule import Schedule, Stage, parse_stages
from alignn_ff.workflows.settings import reject_unused, setting, validate


@dataclass(frozen=True)
class MDSettings:
    """How to run; see `--help` of the command for each field."""

    ensemble: str = setting(
        "nvt",
        "nve; nvt (Nosé-Hoover chain), nvt-langevin, nvt-bussi, nvt-berendsen; Martyna-Tobias-Klein npt (isotropic), "
        "npt-axes (lengths), npt-flexible (shape too); npt-langevin; nph.",
        choices=tuple(ENSEMBLES),
    )
    temperature_k: float = setting(
        300.0, "Temperature of thermostat and drawn velocities.", unit="K", at_least=0, alias="--temp"
    )
    temperature_end_k: float | None = setting(
        None,
        "Heat or cool evenly from the temperature to this one over the run.",
        unit="K",
        above=0,
        alias="--temp-end",
    )
    steps: int = setting(1000, "Number of time steps.", at_least=0)
    stages: str | None = setting(
        None,
        "Instead of steps and temperatures, stages as STEPS@KELVIN or STEPS@FROM-TO: 1000@300,5000@300-900,2000@900.",
    )
    timestep_fs: float = setting(1.0, "Time step.", unit="fs", above=0, alias="--timestep")
    pressure_gpa: float = setting(0.0, "Target pressure of npt and nph.", unit="GPa", alias="--pressure")
    friction_per_fs: float = setting(
        0.01, "Friction of nvt-langevin and npt-langevin.", unit="1/fs", above=0, alias="--friction"
    )
    thermostat_time_fs: float = setting(
        100.0, "Relaxation time of the other thermostats.", unit="fs", above=0, alias="--thermostat-time"
    )
    barostat_time_fs: float = setting(
        1000.0, "Relaxation time of the cell in npt and nph.", unit="fs", above=0, alias="--barostat-time"
    )
    cell_axes: tuple[bool, bool, bool] = setting(
        (True, True, True), "Cell vectors a b c that npt-axes may stretch, as three 0 or 1."
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
    traj_format: str = setting(
        "extxyz",
        "extxyz (text), or hdf5 (H5MD 1.1, trajectory.h5md: all digits in half the space).",
        choices=tuple(FORMATS),
    )
    restart_every: int = setting(
        200,
        "Steps between states on disk, from which a killed or interrupted run goes on; each costs one evaluation "
        "more. 0 keeps none.",
        at_least=0,
    )
    max_temperature_k: float | None = setting(
        None,
        "Stop as run away above this; by default ten times the highest target (or the start, if hotter) plus 1000 K.",
        unit="K",
        above=0,
    )

    def __post_init__(self) -> None:
        validate(self)
        ensemble = ENSEMBLES[self.ensemble]
        idle = [name for name in SPECIFIC if name not in ensemble.uses]
        reject_unused(self, idle, f"ensemble {self.ensemble} does not read it")
        if self.stages is not None:
            reject_unused(self, ("steps", "temperature_k", "temperature_end_k"), "the stages say how long and how hot")
        if self.traj_every == 0:
            reject_unused(self, ("traj_format",), "traj_every = 0 writes no trajectory")
        if self.schedule.temperature_k(0) == 0 and self.ensemble != "nve":
            raise ConfigError(f"temperature_k = 0: ensemble {self.ensemble} needs more than 0 K.")
        if self.equilibration_steps and self.equilibration_steps >= self.schedule.steps:
            raise ConfigError(
                f"equilibration_steps = {self.equilibration_steps} of steps = {self.schedule.steps} leaves nothing to "
                "average. Run longer or equilibrate less."
            )
        if self.velocities == "keep" and self.supercell != (1, 1, 1):
            raise ConfigError("velocities = keep would move all copies of a supercell alike; use draw.")
        if not any(self.cell_axes):
            raise ConfigError("cell_axes lets no cell vector move; use an nvt ensemble instead.")

    @property
    def trajectory(self) -> str | None:
        """Name of the file of frames; None where none is written."""
        return FORMATS[self.traj_format].name if self.traj_every else None

    @cached_property
    def schedule(self) -> Schedule:
        """Number of steps, and the temperature at each."""
        if self.stages is not None:
            return parse_stages(self.stages)
        end_k = self.temperature_k if self.temperature_end_k is None else self.temperature_end_k
        return Schedule((Stage(self.steps, self.temperature_k, end_k),))


MD_DEFAULTS = MDSettings()
