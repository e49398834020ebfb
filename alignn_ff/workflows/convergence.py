"""The way of a relaxation: energy, largest force and largest stress of every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.frames import any_stress, max_norm, snapshot, stored_energy
from alignn_ff.workflows.runaway import fault_of_frame, runaway

VOLUME_RATIO = 10.0
"""A cell this many times larger or smaller than at the start has flown apart or caved in."""

ADVICE = "Check the start for atoms too close, or whether the model knows such structures."


class Convergence:
    """Rows of numbers, first and last frame of a relaxation under way; no frames before the first `add`.

    Args:
        start: the structure before the first step; its constraints go onto every frame kept.
        pressure_gpa: target from which the stress is measured.
        with_stress: take the stress of every step; where the cell stays as it is that could cost extra.
        folder: where the last good frame goes if the relaxation runs away.
    """

    def __init__(self, start: Atoms, pressure_gpa: float, with_stress: bool, folder: str | Path | None) -> None:
        self._constraints = list(start.constraints)
        self._pressure_gpa = pressure_gpa
        self._with_stress = with_stress
        self._folder = folder
        self.rows: list[tuple[float, ...]] = []

    def add(self, work: Atoms) -> Atoms:
        """Take down the present step and give back its frame.

        Raises:
            RunawayError: energy or forces are not finite, or the volume changed more than tenfold.
        """
        stress = any_stress(work) if self._with_stress else None
        frame = snapshot(work, stress=stress, constraints=self._constraints)
        self._require_sound(frame)
        row = [stored_energy(frame), max_norm(work.get_forces())]
        if stress is not None:
            row += [stress_off_target_gpa(stress, self._pressure_gpa), frame.get_volume()]
        if not self.rows:
            self.first = frame
        self.rows.append(tuple(map(float, row)))
        self.last = frame
        return frame

    def note(self) -> str:
        """Energy and largest force of the last step, for a progress bar."""
        return f"{self.rows[-1][0]:.4f} eV, largest force {self.rows[-1][1]:.3g} eV/Å"

    def columns(self) -> dict[str, NDArray]:
        """The rows as columns [steps + 1]; no stress and volume where steps had none."""
        names = ("energy_ev", "max_force_ev_per_a", "max_stress_gpa", "volume_a3")
        table = np.array(self.rows)
        return {"step": np.arange(len(self.rows))} | dict(zip(names, table.T, strict=False))

    def _require_sound(self, frame: Atoms) -> None:
        fault = fault_of_frame(frame)
        if fault is None and self.rows and frame.cell.rank == 3:
            ratio = frame.get_volume() / self.first.get_volume()
            if not 1 / VOLUME_RATIO < ratio < VOLUME_RATIO:
                fault = f"the volume is {ratio:.3g} times that of the start"
        if fault is not None:
            raise runaway(
                fault,
                f"relaxation, step {len(self.rows)}",
                self.last if self.rows else None,
                self._folder,
                ADVICE,
            )


def stress_off_target_gpa(stress: NDArray, pressure_gpa: float) -> float:
    """Largest component of stress + pressure in GPa, from Voigt stress [6] in eV/Å³."""
    diagonal = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    return float(np.abs(stress * GPA_PER_EV_A3 + pressure_gpa * diagonal).max())
