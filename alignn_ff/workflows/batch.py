"""Many structures, one calculator: in batches where the calculator can, one by one where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from alignn_ff.workflows.frames import any_stress, snapshot
from alignn_ff.workflows.runaway import fault_of_frame, runaway

BATCH_ATOMS = 2000
"""Atoms handed over at once. The calculator bounds its memory itself; this bounds what a Ctrl-C can lose."""

ADVICE = "Check the structure for atoms too close, or whether the model knows such structures."


def evaluate_each(structures: Sequence[Atoms], calculator: Any, *, stress: bool = False) -> Iterator[Atoms]:
    """Copies of `structures`, in their order, with energy and forces as stored results.

    A calculator with a method `evaluate(list of Atoms) -> list of results`, such as `AlignnFFCalculator`, gets
    many at once; any other one after the other.

    Args:
        stress: store the stress too, where the calculator offers it.
    Raises:
        RunawayError: an energy or a force is not finite.
    """
    place = 0
    for batch in _batches(structures):
        for frame in _evaluated(batch, calculator, stress):
            fault = fault_of_frame(frame)
            if fault is not None:
                raise runaway(fault, f"structure {place} of {len(structures)}", None, None, ADVICE)
            yield frame
            place += 1


def _evaluated(batch: Sequence[Atoms], calculator: Any, stress: bool) -> Iterator[Atoms]:
    frames = [atoms.copy() for atoms in batch]
    if hasattr(calculator, "evaluate"):
        for frame, results in zip(frames, calculator.evaluate(frames), strict=True):
            frame.calc = SinglePointCalculator(frame, **results)
            yield frame
        return
    for frame in frames:
        frame.calc = calculator
        yield snapshot(frame, stress=any_stress(frame) if stress else None)


def _batches(structures: Sequence[Atoms]) -> Iterator[list[Atoms]]:
    batch: list[Atoms] = []
    for atoms in structures:
        if batch and sum(map(len, batch)) + len(atoms) > BATCH_ATOMS:
            yield batch
            batch = []
        batch.append(atoms)
    if batch:
        yield batch
