"""Structures left out for labels beyond a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from alignn_ff.data.sources import Sample
from alignn_ff.data.streamed import select
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.models.base import SYMBOLS


class Bounds(NamedTuple):
    """Largest energy per atom, eV, and largest force on an atom, eV/Å; None bounds nothing.

    Attributes:
        reference_energies: eV per atom of each element, taken off the energy first; None takes labels as they are.
    """

    max_energy: float | None = None
    max_forces: float | None = None
    reference_energies: Mapping[str, float] | None = None


class Filtered(NamedTuple):
    """Samples within bounds, and the keys of those beyond each bound (the first that they break)."""

    kept: Sequence[Sample]
    removed: dict[str, list[str]]


def within(samples: Sequence[Sample], bounds: Bounds) -> Filtered:
    """Part `samples` by `bounds`; a label that is missing breaks none.

    Raises:
        ConfigError: an element without a reference energy where others have one.
        DataError: nothing is left.
    """
    if bounds.max_energy is None and bounds.max_forces is None:
        return Filtered(samples, {})
    kept: list[int] = []
    removed: dict[str, list[str]] = {"max_energy": [], "max_forces": []}
    for index, sample in enumerate(samples):
        broken = _broken(sample, bounds)
        if broken is None:
            kept.append(index)
        else:
            removed[broken].append(sample.key)
    if not kept:
        raise DataError(
            f"max_energy {bounds.max_energy} and max_forces {bounds.max_forces} leave none of {len(samples)} "
            "structures; raise them."
        )
    return Filtered(select(samples, kept), {name: keys for name, keys in removed.items() if keys})


def report(removed: Mapping[str, Sequence[str]], bounds: Bounds) -> str:
    """One sentence that says what was left out; empty where nothing was."""
    parts = [
        f"{len(keys)} beyond {name} {getattr(bounds, name)} ({', '.join(keys[:5])}{', …' if len(keys) > 5 else ''})"
        for name, keys in removed.items()
    ]
    return f"structures left out: {'; '.join(parts)}." if parts else ""


def _broken(sample: Sample, bounds: Bounds) -> str | None:
    if bounds.max_energy is not None and _energy(sample, bounds.reference_energies) > bounds.max_energy:
        return "max_energy"
    if bounds.max_forces is not None:
        sizes = sample.targets.forces.norm(dim=1)
        if bool((sizes[torch.isfinite(sizes)] > bounds.max_forces).any()):
            return "max_forces"
    return None


def _energy(sample: Sample, references: Mapping[str, float] | None) -> float:
    """eV/atom; NaN, which is beyond nothing, where there is no label."""
    return (float(sample.targets.energy) - _reference(sample, references)) / len(sample.graph.numbers)


def _reference(sample: Sample, references: Mapping[str, float] | None) -> float:
    if references is None:
        return 0.0
    symbols = [SYMBOLS[z] for z in sample.graph.numbers.tolist()]
    absent = sorted(set(symbols) - set(references))
    if absent:
        raise ConfigError(f"`reference_energies` has no {' '.join(absent)}, which structure {sample.key} holds.")
    return sum(references[symbol] for symbol in symbols)
