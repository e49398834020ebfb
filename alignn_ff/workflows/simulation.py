"""A molecular-dynamics run under way: thermodynamic samples, frames, and the watch over both."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.md.md import MolecularDynamics
from numpy.typing import NDArray

from alignn_ff.errors import RunawayError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.frames import append_frame, append_line, offered_stress, snapshot, stored_energy
from alignn_ff.workflows.runaway import fault_of_distances, fault_of_frame, fault_of_step, runaway
from alignn_ff.workflows.velocities import temperature

if TYPE_CHECKING:
    from alignn_ff.workflows.md import MDSettings

ADVICE = "Try a shorter timestep, relax the start first, or check that the model knows such structures."


class Simulation:
    """What `observe` has seen: `last` is the last whole step, `good` the last sample that passed all checks.

    Args:
        dynamics: integrator whose atoms are watched.
        dof: degrees of freedom behind the temperature.
        folder: where the last good frame goes if the run runs away.
        thermo, trajectory: files to stream to, or None.
    """

    last: Atoms

    def __init__(
        self,
        dynamics: MolecularDynamics,
        settings: MDSettings,
        dof: int,
        *,
        folder: str | Path | None,
        thermo: IO[str] | None,
        trajectory: IO[str] | None,
    ) -> None:
        self._dynamics, self._settings, self._dof = dynamics, settings, dof
        self._folder, self._thermo, self._trajectory = folder, thermo, trajectory
        self._limit_k = settings.max_temperature_k or default_limit_k(dynamics.atoms, settings, dof)
        self.step = -1
        self.good: Atoms | None = None
        self.rows: list[dict[str, float]] = []

    def observe(self) -> None:
        """Check the step just taken; sample and write it if it is due.

        Raises:
            RunawayError: it left the regime of physics.
        """
        step = self.step + 1
        sampled, written = (
            self._due(step, self._settings.stats_every),
            self._due(step, self._settings.traj_every),
        )
        atoms = self._dynamics.atoms
        frame = snapshot(atoms, stress=offered_stress(atoms) if sampled else None)
        fault = self._fault(frame) or (fault_of_distances(frame) if sampled else None)
        if fault is not None:
            raise self.failure(fault)
        self.step, self.last = step, frame
        if sampled:
            self.good = frame
            self._sample(frame)
        if written:
            append_frame(self._trajectory, frame)

    def failure(self, fault: str) -> RunawayError:
        """The error for a `fault` in the step after the last."""
        time_fs = (self.step + 1) * self._settings.timestep_fs
        when = f"molecular dynamics, step {self.step + 1} ({time_fs:g} fs)"
        return runaway(fault, when, self.good, self._folder, ADVICE)

    def note(self) -> str:
        """Temperature and energy of the last sample, for a progress bar."""
        row = self.rows[-1]
        return f"{row['temperature_k']:.0f} K, {row['potential_energy_ev']:.3f} eV"

    def columns(self) -> dict[str, NDArray]:
        """Samples as columns [samples]; a quantity that does not exist has none."""
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def _due(self, step: int, every: int) -> bool:
        return every > 0 and (step % every == 0 or step == self._settings.steps)

    def _fault(self, frame: Atoms) -> str | None:
        fault = fault_of_frame(frame)
        if fault is None and self.step >= 0:
            fault = fault_of_step(self.last, frame, self._settings.timestep_fs)
        now_k = temperature(frame, self._dof)
        if fault is None and not now_k <= self._limit_k:
            fault = f"the temperature is {now_k:.4g} K, above max_temperature_k = {self._limit_k:.4g}"
        return fault

    def _sample(self, frame: Atoms) -> None:
        potential, kinetic = stored_energy(frame), frame.get_kinetic_energy()
        stress = offered_stress(self._dynamics.atoms, ideal_gas=True)
        row = {
            "step": self.step,
            "time_fs": self.step * self._settings.timestep_fs,
            "temperature_k": temperature(frame, self._dof),
            "potential_energy_ev": potential,
            "kinetic_energy_ev": float(kinetic),
            "total_energy_ev": float(potential + kinetic),
            "conserved_energy_ev": ENSEMBLES[self._settings.ensemble].conserved(self._dynamics),
            "pressure_gpa": None if stress is None else float(-stress[:3].mean() * GPA_PER_EV_A3),
            "volume_a3": None if stress is None else float(frame.get_volume()),
        }
        known = {name: value for name, value in row.items() if value is not None}
        if not self.rows:
            append_line(self._thermo, list(known))
        self.rows.append(known)
        append_line(self._thermo, list(known.values()))


def default_limit_k(atoms: Atoms, settings: MDSettings, dof: int) -> float:
    """Ten times the target (or the start, if hotter) plus 1000 K: out of reach of a sound run."""
    return 10.0 * max(settings.temperature_k, temperature(atoms, dof)) + 1000.0
