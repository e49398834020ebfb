"""Melt a crystal and quench it: structure, density and coordination before, in the melt, and after.

alignn-ff melt-quench si.cif --supercell 3 3 3 --melt-temperature-k 3500
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.io import iread

from alignn_ff.errors import ConfigError
from alignn_ff.h5md import TIME
from alignn_ff.workflows.analysis import AnalysisSettings
from alignn_ff.workflows.elastic_moduli import density_g_cm3
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.md import FS_PER_PS, MDResult, run_md
from alignn_ff.workflows.md_settings import MDSettings
from alignn_ff.workflows.rdf import Shell, first_shell, radial_distribution
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.settings import setting, validate
from alignn_ff.workflows.time_series import block_mean
from alignn_ff.workflows.trajectory import unwrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEATED = tuple(name for name, ensemble in ENSEMBLES.items() if ensemble.heat is not None)

FEWEST_FRAMES = 5
"""In the second half of each stage that is averaged over."""

BLOCKS = 5
"""Whose scatter gives the errors."""


def _as_in(settings_type: type, name: str) -> Any:
    """The field of that name of other settings."""
    (item,) = (item for item in fields(settings_type) if item.name == name)
    return field(default=item.default, metadata=item.metadata)


@dataclass(frozen=True)
class MeltQuenchSettings:
    """How to melt and quench; see `--help` of the command for each field."""

    temperature_k: float = setting(
        300.0, "Temperature of the crystal, and of the quenched structure.", unit="K", above=0, alias="--temp"
    )
    melt_temperature_k: float = setting(
        3000.0,
        "Temperature of the melt: well above melting, as a crystal without defects superheats.",
        unit="K",
        above=0,
    )
    hold_steps: int = setting(5000, "Steps at the temperature, before melting and after quenching.", at_least=1)
    heat_steps: int = setting(5000, "Steps of heating.", at_least=1)
    melt_steps: int = setting(10000, "Steps in the melt.", at_least=1)
    quench_steps: int = setting(50000, "Steps of cooling.", at_least=1)
    ensemble: str = setting("npt", "Ensemble of md, one with a thermostat.", choices=HEATED)
    timestep_fs: float = _as_in(MDSettings, "timestep_fs")
    pressure_gpa: float = _as_in(MDSettings, "pressure_gpa")
    friction_per_fs: float = _as_in(MDSettings, "friction_per_fs")
    thermostat_time_fs: float = _as_in(MDSettings, "thermostat_time_fs")
    barostat_time_fs: float = _as_in(MDSettings, "barostat_time_fs")
    supercell: tuple[int, int, int] = _as_in(MDSettings, "supercell")
    seed: int = _as_in(MDSettings, "seed")
    traj_every: int = setting(50, "Steps between trajectory frames.", at_least=1)
    traj_format: str = _as_in(MDSettings, "traj_format")
    restart_every: int = _as_in(MDSettings, "restart_every")
    rdf_reach_a: float = _as_in(AnalysisSettings, "rdf_reach_a")
    rdf_bin_a: float = _as_in(AnalysisSettings, "rdf_bin_a")

    def __post_init__(self) -> None:
        validate(self)
        AnalysisSettings(rdf_reach_a=self.rdf_reach_a, rdf_bin_a=self.rdf_bin_a)
        if self.melt_temperature_k <= self.temperature_k:
            raise ConfigError(
                f"melt_temperature_k = {self.melt_temperature_k:g}: more than temperature_k = "
                f"{self.temperature_k:g} was expected."
            )
        shortest = min(self.hold_steps, self.melt_steps)
        if shortest // 2 < FEWEST_FRAMES * self.traj_every:
            raise ConfigError(
                f"half of hold_steps = {self.hold_steps} and of melt_steps = {self.melt_steps}, which averages are "
                f"over, must hold {FEWEST_FRAMES} frames; with traj_every = {self.traj_every} it does not."
            )
        _ = self.md  # what the ensemble does not read is refused before the work begins

    @property
    def md(self) -> MDSettings:
        """The run of molecular dynamics."""
        cold, hot = f"{self.temperature_k:.10g}", f"{self.melt_temperature_k:.10g}"
        stages = (
            f"{self.hold_steps}@{cold},{self.heat_steps}@{cold}-{hot},{self.melt_steps}@{hot},"
            f"{self.quench_steps}@{hot}-{cold},{self.hold_steps}@{cold}"
        )
        own = {item.name for item in fields(self)} & {item.name for item in fields(MDSettings)} - {"temperature_k"}
        return MDSettings(stages=stages, **{name: getattr(self, name) for name in own})

    @property
    def spans_fs(self) -> dict[str, tuple[float, float]]:
        """First and last time of each state of matter."""
        ends = np.cumsum([stage.steps for stage in self.md.schedule.stages]) * self.timestep_fs
        return {"crystal": (0.0, ends[0]), "melt": (ends[1], ends[2]), "quenched": (ends[3], ends[4])}


MELT_QUENCH_DEFAULTS = MeltQuenchSettings()


@dataclass(frozen=True)
class State:
    """A state of matter, averaged over the second half of its stage, with standard errors over blocks.

    `shell` holds the neighbours within the first minimum of g(r), `pairs` the neighbours B of an A within that of
    g_A-B, for each A-B; None, or absent, where there is no minimum within reach.
    """

    density_g_cm3: float
    density_error_g_cm3: float | None
    shell: Shell | None
    pairs: Mapping[str, Shell]

    def __str__(self) -> str:
        parts = [f"{self.density_g_cm3:.4g} g/cm³"]
        if self.shell is not None:
            parts.append(f"{self.shell.coordination:.2f} neighbours within {self.shell.minimum_a:.2f} Å")
        if len(self.pairs) > 1:
            parts += [f"{pair} {shell.coordination:.2f}" for pair, shell in self.pairs.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class MeltQuenchResult(WorkflowResult):
    """A crystal, its melt, and what became of that. `atoms` is the last frame.

    `states` and `rdf` have the keys crystal, melt, quenched. Melted means that atoms moved further in the melt, root
    mean square, than their first neighbours are away.
    """

    settings: MeltQuenchSettings
    states: Mapping[str, State]
    rdf: Mapping[str, Table]
    thermo: Table
    melt: Atoms
    melted: bool = quantity("melted")
    melt_displacement_a: float = quantity("displacement in the melt (rms)", "Å", ".3g")
    cooling_rate_k_per_ps: float = quantity("cooling rate", "K/ps", ".4g")

    name: ClassVar[str] = "melt-quench"
    only_tables: ClassVar[tuple[str, ...]] = ("rdf", "thermo", "melt")

    @property
    def outcome(self) -> Outcome:
        """Whether it melted: what never did is no quenched melt."""
        return "done" if self.melted else "not converged"

    def rows(self) -> list[tuple[str, str]]:
        """The numbers, and a line per state."""
        return [*super().rows(), *((name, str(state)) for name, state in self.states.items())]

    @property
    def trajectory(self) -> str | None:
        """The whole run."""
        return self.settings.md.trajectory

    def structures(self) -> Mapping[str, Atoms]:
        """The last frames of the melt and of all."""
        return {"melt": self.melt, "quenched": self.atoms}

    def tables(self) -> Mapping[str, Table]:
        """The radial distributions."""
        return {f"rdf-{name}": table for name, table in self.rdf.items()}

    def plot(self) -> Figure:
        """Temperature over time, and the radial distributions."""
        from alignn_ff.reports.melt_quench import melt_quench_figure

        return melt_quench_figure(self.thermo, self.rdf)


def run_melt_quench(
    atoms: Atoms,
    settings: MeltQuenchSettings = MELT_QUENCH_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> MeltQuenchResult:
    """Hold a copy of `atoms`, heat it, hold the melt, cool it, and hold what it became, in one run of `run_md`.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Some hundred atoms: a small cell holds its crystal.
        folder: where the files of `run_md` grow and the result is saved; None writes nothing that stays.
        resume: go on with the run in `folder`, as `run_md` does; also after Ctrl-C.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: no calculator, no periodic cell, an ensemble the structure or calculator cannot have, or another
            run to go on with.
        CheckpointError, StructureError, RunawayError: as `run_md`.
    """
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise ConfigError(f"melting and quenching need a cell periodic in 3D, got pbc {atoms.pbc.tolist()}.")
    with _kept_or_temporary(folder) as place:
        run = run_md(atoms, settings.md, folder=place, resume=resume, progress=progress)
        if not run.completed:
            raise KeyboardInterrupt  # the state of md is in the folder
        frames = list(iread(place / str(settings.md.trajectory), ":"))
    result = _result(run, frames, settings)
    if folder is not None:
        result.save(folder)
    return result


@contextmanager
def _kept_or_temporary(folder: str | Path | None) -> Iterator[Path]:
    """The folder of the run; the trajectory stands in a file, not in memory, in either case."""
    if folder is not None:
        yield Path(folder)
        return
    with TemporaryDirectory() as place:
        yield Path(place)


def _result(run: MDResult, frames: Sequence[Atoms], settings: MeltQuenchSettings) -> MeltQuenchResult:
    stages = {name: _between(frames, *span) for name, span in settings.spans_fs.items()}
    halves = {name: stage[len(stage) // 2 :] for name, stage in stages.items()}
    rdf = {
        name: radial_distribution(half, reach_a=settings.rdf_reach_a, bin_a=settings.rdf_bin_a)
        for name, half in halves.items()
    }
    states = {name: _state(halves[name], rdf[name]) for name in stages}
    moved = unwrapped(stages["melt"])
    displacement = float(np.sqrt(((moved[-1] - moved[0]) ** 2).sum(axis=1).mean()))
    near = states["crystal"].shell
    quench_ps = settings.quench_steps * settings.timestep_fs / FS_PER_PS
    return MeltQuenchResult(
        atoms=run.atoms,
        settings=settings,
        states=states,
        rdf=rdf,
        thermo=run.thermo,
        melt=stages["melt"][-1],
        melted=near is not None and displacement > near.peak_a,
        melt_displacement_a=displacement,
        cooling_rate_k_per_ps=(settings.melt_temperature_k - settings.temperature_k) / quench_ps,
    )


def _between(frames: Sequence[Atoms], first_fs: float, last_fs: float) -> list[Atoms]:
    return [frame for frame in frames if first_fs - 1e-6 <= frame.info[TIME] <= last_fs + 1e-6]


def _state(frames: Sequence[Atoms], rdf: Table) -> State:
    density, error = block_mean(np.array([density_g_cm3(frame) for frame in frames]), BLOCKS)
    shell = first_shell(rdf)
    symbols = sorted(set(frames[0].symbols))
    pairs = {f"{a}-{b}": first_shell(rdf, (a, b)) for a in symbols for b in symbols}
    return State(density, error, shell, {pair: found for pair, found in pairs.items() if found is not None})
