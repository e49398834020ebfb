"""A molecular-dynamics run under way: steps, samples, frames, and the watch over them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import reduce
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.elastic_moduli import density_g_cm3
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.frames import offered_stress, snapshot, stored_energy, with_results
from alignn_ff.workflows.journal import Journal
from alignn_ff.workflows.restart import State
from alignn_ff.workflows.runaway import (
    fault_of_cell,
    fault_of_distances,
    fault_of_extent,
    fault_of_frame,
    fault_of_step,
    runaway,
)
from alignn_ff.workflows.velocities import degrees_of_freedom, temperature

if TYPE_CHECKING:
    from alignn_ff.workflows.md_settings import MDSettings

ADVICE = "Try a shorter timestep, relax the start first, or check that the model knows such structures."

FS_PER_NS = 1e6
SECONDS_PER_DAY = 86400.0

SAME_FORCES_EV_PER_A = 1e-3
"""Forces of one model at one geometry differ by less, also in single precision on other hardware."""

RESULTS = ("energy", "forces", "stress")
_VARIABLE = "integrator."


class Simulation:
    """Where a run stands: `last` is the last whole step, `good` the last sample or kept state that passed all checks.

    Args:
        atoms: the start, with momenta and a calculator; it is moved.
        settings: of the run.
        rng: all random numbers still to come.
    Raises:
        ConfigError: an ensemble that the structure or its calculator cannot have.
    """

    last: Atoms

    def __init__(self, atoms: Atoms, settings: MDSettings, rng: np.random.Generator) -> None:
        self._ensemble = ENSEMBLES[settings.ensemble]
        self.dof = degrees_of_freedom(atoms, momentum_conserved=self._ensemble.conserves_momentum)
        self._start, self._settings, self._rng = atoms.copy(), settings, rng
        self._dynamics = self._ensemble.build(atoms, settings, self.dof, rng)
        self._limit_k = settings.max_temperature_k or default_limit_k(atoms, settings, self.dof)
        self._began, self._seconds_before, self._first = time.perf_counter(), 0.0, 0
        self.step = -1
        self.good: Atoms | None = None
        self.rows: list[dict[str, float]] = []

    @property
    def finished(self) -> bool:
        """Whether the last step was taken."""
        return self.step == self._settings.schedule.steps

    @property
    def seconds(self) -> float:
        """Time spent on the run, before it was broken off and since."""
        return self._seconds_before + time.perf_counter() - self._began

    def restore(self, state: State, rows: Sequence[dict[str, float]]) -> None:
        """Go back to `state`, which came with samples `rows`.

        Raises:
            ConfigError: the calculator gives other forces than the state holds.
        """
        atoms, arrays = self._dynamics.atoms, state.arrays
        atoms.set_cell(arrays["cell"], apply_constraint=False)
        atoms.set_positions(arrays["positions"], apply_constraint=False)
        atoms.set_momenta(arrays["momenta"], apply_constraint=False)
        for name in self._ensemble.variables:
            _remember(self._dynamics, name, arrays[_VARIABLE + name])
        self._rng.bit_generator.state = dict(state.random)
        self.step, self.rows = state.step, list(rows)
        self._first, self._seconds_before = state.step, state.seconds
        results = {name: arrays[name] for name in RESULTS if name in arrays}
        self.last = self.good = with_results(atoms, results | {"energy": float(arrays["energy"])})
        if not self.finished:
            _require_forces(atoms, arrays["forces"])
            _forget(atoms.calc)

    def advance(self, journal: Journal) -> None:
        """Take the next step, check it, and write what is due.

        Raises:
            RunawayError: it left the regime of physics.
        """
        if self.step >= 0:
            self._move()
        self._observe(journal)
        if self._kept(self.step) and journal.folder is not None:
            journal.keep(self.step, self._arrays(), self._rng.bit_generator.state, self.seconds)
            if not self.finished:
                _forget(self._dynamics.atoms.calc)

    def failure(self, fault: str, folder: Path | None) -> RunawayError:
        """The error for a `fault` in the step after the last."""
        time_fs = (self.step + 1) * self._settings.timestep_fs
        when = f"molecular dynamics, step {self.step + 1} ({time_fs:g} fs)"
        return runaway(fault, when, self.good, folder, ADVICE)

    def note(self) -> str:
        """Temperature and energy of the last sample and the speed, for a progress bar."""
        row, seconds = self.rows[-1], time.perf_counter() - self._began
        speed = ns_per_day((self.step - self._first) * self._settings.timestep_fs, seconds)
        return f"{row['temperature_k']:.0f} K, {row['potential_energy_ev']:.3f} eV, {speed:.3g} ns/day"

    def columns(self) -> dict[str, NDArray]:
        """Samples as columns [samples]; a quantity that does not exist has none."""
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def _move(self) -> None:
        schedule, heat = self._settings.schedule, self._ensemble.heat
        if heat is not None and not schedule.constant:
            heat(self._dynamics, schedule.temperature_k(self.step), self.dof)
        self._dynamics.step()

    def _observe(self, journal: Journal) -> None:
        step, settings = self.step + 1, self._settings
        sampled, written = self._due(step, settings.stats_every), self._due(step, settings.traj_every)
        atoms = self._dynamics.atoms
        frame = snapshot(atoms, stress=offered_stress(atoms) if sampled else None)
        whole = sampled or self._kept(step)
        fault = self._fault(frame) or (self._fault_of_sample(frame) if whole else None)
        if fault is not None:
            raise self.failure(fault, journal.folder)
        self.step, self.last = step, frame
        self.good = frame if whole else self.good
        if sampled:
            self.rows.append(self._row(frame))
            journal.add_row(self.rows[-1])
        if written:
            journal.add_frame(frame, step, step * settings.timestep_fs)

    def _due(self, step: int, every: int) -> bool:
        return every > 0 and (step % every == 0 or step == self._settings.schedule.steps)

    def _kept(self, step: int) -> bool:
        return step > 0 and self._due(step, self._settings.restart_every)

    def _fault(self, frame: Atoms) -> str | None:
        fault = fault_of_frame(frame)
        if fault is None and self.step >= 0:
            fault = fault_of_step(self.last, frame, self._settings.timestep_fs)
        now_k = temperature(frame, self.dof)
        if fault is None and not now_k <= self._limit_k:
            fault = f"the temperature is {now_k:.4g} K, above max_temperature_k = {self._limit_k:.4g}"
        return fault

    def _fault_of_sample(self, frame: Atoms) -> str | None:
        return fault_of_distances(frame) or fault_of_cell(self._start, frame) or fault_of_extent(self._start, frame)

    def _row(self, frame: Atoms) -> dict[str, float]:
        potential, kinetic = stored_energy(frame), frame.get_kinetic_energy()
        stress = offered_stress(self._dynamics.atoms, ideal_gas=True)
        schedule = self._settings.schedule
        row = {
            "step": self.step,
            "time_fs": self.step * self._settings.timestep_fs,
            "temperature_k": temperature(frame, self.dof),
            "target_temperature_k": None if schedule.constant else schedule.temperature_k(self.step),
            "potential_energy_ev": potential,
            "kinetic_energy_ev": float(kinetic),
            "total_energy_ev": float(potential + kinetic),
            "conserved_energy_ev": self._ensemble.conserved(self._dynamics) if schedule.constant else None,
            "pressure_gpa": None if stress is None else float(-stress[:3].mean() * GPA_PER_EV_A3),
            "volume_a3": None if stress is None else float(frame.get_volume()),
            "density_g_cm3": None if stress is None else density_g_cm3(frame),
        }
        return {name: value for name, value in row.items() if value is not None}

    def _arrays(self) -> dict[str, NDArray]:
        """What `restore` needs, by name."""
        frame = self.last
        arrays: dict[str, Any] = {"positions": frame.positions, "momenta": frame.get_momenta(), "cell": frame.cell[:]}
        arrays |= {name: frame.calc.results[name] for name in RESULTS if name in frame.calc.results}
        arrays |= {_VARIABLE + name: attrgetter(name)(self._dynamics) for name in self._ensemble.variables}
        return {name: np.array(value) for name, value in arrays.items()}


def default_limit_k(atoms: Atoms, settings: MDSettings, dof: int) -> float:
    """Ten times the highest target (or the start, if hotter) plus 1000 K: out of reach of a sound run."""
    return 10.0 * max(*settings.schedule.temperatures_k, temperature(atoms, dof)) + 1000.0


def ns_per_day(time_fs: float, seconds: float) -> float:
    """Speed of a simulation of `time_fs` that took `seconds`."""
    return time_fs / FS_PER_NS * SECONDS_PER_DAY / seconds


def _remember(dynamics: Any, name: str, value: NDArray) -> None:
    *owners, attribute = name.split(".")
    setattr(reduce(getattr, owners, dynamics), attribute, value.copy() if value.ndim else float(value))


def _forget(calculator: Any) -> None:
    """Let the next evaluation be as that of a new calculator.

    Neighbour lists of the past may give sums in another order, so other last digits, and a run that goes on from this
    state in another process does not have them.
    """
    if hasattr(calculator, "reset"):
        calculator.reset()


def _require_forces(atoms: Atoms, then: NDArray) -> None:
    off = float(np.abs(atoms.get_forces(apply_constraint=False) - then).max())
    if not off <= SAME_FORCES_EV_PER_A:
        raise ConfigError(
            f"forces of the calculator are {off:.3g} eV/Å off those that the run had in the same place. Go on with the "
            "model it was begun with."
        )
