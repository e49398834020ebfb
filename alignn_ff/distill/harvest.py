"""Labelled frames of one family, as they come in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from alignn_ff.distill.duplicates import fingerprint
from alignn_ff.distill.label import LabelError, Labels
from alignn_ff.distill.settings import DistillSettings

Teacher = Callable[[Atoms], Labels]
"""Labels of a structure, or LabelError."""


class Family(NamedTuple):
    """What came of one family.

    Attributes:
        number: its number.
        frames: labelled structures with `tag`, `source` and `seed` (the family) in `info`.
        fingerprints: one of each frame.
        failures: messages of the teacher on structures it could not do.
        rejected: frames left out because their forces or stress were beyond the limits.
        evaluations: structures shown to the teacher.
    """

    number: int
    frames: tuple[Atoms, ...]
    fingerprints: tuple[str, ...]
    failures: tuple[str, ...]
    rejected: int
    evaluations: int


@dataclass
class Harvest:
    """Frames of a family as they are labelled, and what became of the others."""

    teacher: Teacher
    settings: DistillSettings
    info: dict[str, str]
    frames: list[Atoms] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    rejected: int = 0
    evaluations: int = 0

    def add(self, atoms: Atoms, tag: str, *, keep: bool = True) -> tuple[Atoms, Labels] | None:
        """Label `atoms`, rounded as they will be written, and keep the frame; None where the teacher failed."""
        atoms = _rounded(atoms)
        self.evaluations += 1
        try:
            labels = self.teacher(atoms)
        except LabelError as error:
            self.failures.append(f"{tag} {atoms.symbols} ({self.info['source']}): {error}")
            return None
        if keep and self._within_limits(labels):
            self.frames.append(_frame(atoms, labels, {"tag": tag, **self.info}))
        elif keep:
            self.rejected += 1
        return atoms, labels

    def family(self, number: int) -> Family:
        """All of it as family `number`."""
        prints = tuple(fingerprint(frame) for frame in self.frames)
        return Family(number, tuple(self.frames), prints, tuple(self.failures), self.rejected, self.evaluations)

    def _within_limits(self, labels: Labels) -> bool:
        stress = 0.0 if labels.stress is None else float(np.abs(labels.stress).max())
        return float(np.abs(labels.forces).max()) <= self.settings.max_force and stress <= self.settings.max_stress


def _rounded(atoms: Atoms) -> Atoms:
    """Numbers, positions, cell and pbc of `atoms`, to 1e-6 Å: what is written is what was labelled.

    Rounding also keeps the last bits of a teacher's sums, which depend on what it saw before, out of the structures.
    """
    return Atoms(atoms.numbers, positions=atoms.positions.round(6), cell=atoms.cell[:].round(6), pbc=atoms.pbc)


def _frame(atoms: Atoms, labels: Labels, info: dict[str, str]) -> Atoms:
    frame = atoms.copy()
    frame.info = dict(info)
    results = {"energy": round(labels.energy, 8), "forces": labels.forces.round(8)}
    if labels.stress is not None:
        results["stress"] = labels.stress.round(10)
    if labels.energies is not None:
        results["energies"] = labels.energies.round(8)
    frame.calc = SinglePointCalculator(frame, **results)
    return frame
