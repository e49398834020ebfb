"""How many atoms of each element a structure has, as formulas and as numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat

import numpy as np
from torch import Tensor

from alignn_ff.data.sources import Sample
from alignn_ff.errors import DataError
from alignn_ff.models.base import SYMBOLS

Composition = Mapping[str, int]
CompositionEnergy = tuple[Composition, float]
"""How many atoms of each element, and their total energy, eV."""


def composition_energies(
    samples: Iterable[Sample], energies: Iterable[float] | None = None
) -> Iterator[CompositionEnergy]:
    """Composition and total energy, eV, its label unless `energies` are given, of every sample that has one."""
    for sample, given in zip(samples, repeat(None) if energies is None else energies, strict=False):
        energy = float(sample.targets.energy) if given is None else given
        if math.isfinite(energy):
            yield composition_of(sample.graph.numbers), energy


def composition_of(numbers: Tensor) -> Counter[str]:
    """Numbers of atoms by element, from atomic numbers [N]."""
    return Counter(SYMBOLS[z] for z in numbers.tolist())


def parse_formula(formula: str) -> dict[str, int]:
    """Numbers of atoms in a formula without brackets: "Ti2O4".

    Raises:
        DataError: no such formula, or an unknown element.
    """
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if not parts or "".join(symbol + count for symbol, count in parts) != formula:
        raise DataError(f"{formula!r} is no formula; write symbols and counts, such as Ti2O4, without brackets.")
    strange = [symbol for symbol, _ in parts if symbol not in SYMBOLS[1:]]
    if strange:
        raise DataError(f"{formula!r}: there is no element {', '.join(strange)}.")
    counts: Counter[str] = Counter()
    for symbol, count in parts:
        counts[symbol] += int(count or 1)
    return dict(checked((counts, 0.0))[0])


def checked(sample: CompositionEnergy) -> CompositionEnergy:
    """The sample without elements of which it has none.

    Raises:
        DataError: a count that is no whole number of atoms, no atoms, or an energy that is not finite.
    """
    composition, energy = sample
    for element, count in composition.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
            raise DataError(f"a composition has {count!r} atoms of {element}; expected a whole number, 0 or more.")
    present = {element: int(count) for element, count in composition.items() if count}
    if not present:
        raise DataError("a composition has no atoms; expected at least one.")
    if not math.isfinite(energy):
        raise DataError(f"the energy of {formula_of(present)} is {energy}; expected a finite number, in eV.")
    return present, float(energy)


def formula_of(composition: Composition) -> str:
    """Elements in alphabetical order and how many there are of each: "Cu3Ni"."""
    return "".join(f"{e}{composition[e] if composition[e] > 1 else ''}" for e in sorted(composition))
