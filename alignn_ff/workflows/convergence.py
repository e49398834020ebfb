"""The way of a relaxation: energy, largest force and largest stress of every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.workflows.frames import any_stress, max_norm, snapshot, stored_energy
from alignn_ff.workflows.runaway import fault_of_cell, fault_of_frame, runaway

OffTarget = Callable[[NDArray], float]

ADVICE = "Check the start for atoms too close, or whether the model knows such structures."


class Convergence:
    """Rows of numbers, first and last frame of a relaxation under way; no frames before the first `add`.

    Args:
        start: the structure before the first step; its constraints go onto every frame kept.
        off_target: largest stress in GPa that is left, from Voigt stress [6] in eV/Å³; None takes no stress, which
            could cost extra where the cell stays as it is.
        folder: where the last good frame goes if the relaxation runs away.
    """

    def __init__(self, start: Atoms, off_target: OffTarget | None, folder: str | Path | None) -> None:
        self._constraints = list(start.constraints)
        self._off_target = off_target
        self._folder = folder
        self.rows: list[tuple[float, ...]] = []

    def add(self, work: Atoms) -> Atoms:
        """Take down the present step and give back its frame.

        Raises:
            RunawayError: energy or forces are not finite, or the volume changed more than tenfold.
        """
        stress = None if self._off_target is None else any_stress(work)
        frame = snapshot(work, stress=stress, constraints=self._constraints)
        self._require_sound(frame)
        row = [stored_energy(frame), max_norm(work.get_forces())]
        if self._off_target is not None and stress is not None:
            row += [self._off_target(stress), frame.get_volume()]
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
        fault = fault_of_frame(frame) or (fault_of_cell(self.first, frame) if self.rows else None)
        if fault is not None:
            raise runaway(
                fault,
                f"relaxation, step {len(self.rows)}",
                self.last if self.rows else None,
                self._folder,
                ADVICE,
            )
