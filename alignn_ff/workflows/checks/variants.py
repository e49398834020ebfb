"""Other ways to the same answer, where a calculator offers them: batches, skins, float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms

from alignn_ff.probes import Properties
from alignn_ff.workflows.checks.bench import Bench, alone, measured
from alignn_ff.workflows.checks.criteria import Measurement, Part
from alignn_ff.workflows.checks.equality import differences

FRAMES, HOP_A = 6, 0.04
"""A random walk long enough that a skin of 0.5 Å is first reused and then outgrown."""


def variants(bench: Bench, label: str) -> Part:
    """A batch, a neighbour list without skin and the other precision against the plain answer.

    A calculator offers batches by a method `evaluate(list of Atoms)`, the others by `variant(skin=, dtype=)`, which
    returns the same model with another skin or precision; `AlignnFFCalculator` has both.
    """
    return Part(list(_variants(bench, label)))


def _variants(bench: Bench, label: str) -> Iterator[Measurement]:
    calculator, frames = bench.calculator, _walk(bench.rattled[label], bench.settings.seed)
    plain = [alone(calculator, atoms) for atoms in frames]
    if hasattr(calculator, "evaluate"):
        yield from _differences("batch", label, plain, measured(calculator, frames))
    else:
        yield Measurement("batch_energy", label, None, "the calculator has no batches")
    if hasattr(calculator, "variant"):
        bare = calculator.variant(skin=0.0)
        yield from _differences("skin", label, [alone(bare, atoms) for atoms in frames], plain)
        double, single = (measured(calculator.variant(dtype=name), frames) for name in ("float64", "float32"))
        yield from _differences("precision", label, double, single)
    else:
        yield Measurement("skin_energy", label, None, "the calculator has no skin")
        yield Measurement("precision_energy", label, None, "the calculator has no choice of precision")


def _differences(
    name: str, label: str, expected: Sequence[Properties], found: Sequence[Properties]
) -> Iterator[Measurement]:
    for pair in zip(expected, found, strict=True):
        yield from differences(name, label, *pair)


def _walk(atoms: Atoms, seed: int) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    frames = [atoms.copy()]
    while len(frames) < FRAMES:
        frames.append(frames[-1].copy())
        frames[-1].positions += rng.normal(scale=HOP_A, size=(len(atoms), 3))
    return frames
