"""What is taken from the training data before the first step: energies of the elements and scales of their forces."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar

import torch
from torch import Tensor

from alignn_ff.data.compositions import composition_energies
from alignn_ff.data.dataset import elements_of
from alignn_ff.data.references import from_compounds, regression, undetermined_note
from alignn_ff.data.sources import Sample
from alignn_ff.errors import ConfigError
from alignn_ff.models.base import SYMBOLS

_CHUNK = 20_000
_Item = TypeVar("_Item")

log = logging.getLogger(__name__)


def least_squares_energies(
    samples: Sequence[Sample],
    elements: Sequence[str],
    *,
    energies: Sequence[float] | None = None,
    remark: bool = False,
) -> list[float]:
    """Energy per atom of each element, eV, that fits energies per atom best (least norm where they do not say).

    Args:
        energies: total energy of each sample, eV; their labels unless given.
        remark: warn of elements whose energies the samples leave open.
    """
    pairs = composition_energies(samples, energies)
    first = next(pairs, None)
    if first is None:
        return [0.0] * len(elements)
    found = regression(chain([first], pairs), weighting="per_atom")
    if remark and found.undetermined:
        log.warning(undetermined_note(found.undetermined))
    return [found.energies.get(element, 0.0) for element in elements]


def compound_energies(samples: Sequence[Sample], elements: Sequence[str], compounds: Sequence[str]) -> list[float]:
    """Energy per atom of each element, eV, by which the lowest sample of each compound has no formation energy.

    Raises:
        DataError: no sample of a compound.
        ConfigError: the compounds do not determine the energies of all elements.
    """
    found = from_compounds(composition_energies(samples), compounds)
    absent = [e for e in elements if e not in found.energies]
    if absent or found.undetermined:
        raise ConfigError(
            f"reference_compounds {', '.join(compounds)} do not determine the energies of "
            f"{' '.join([*absent, *found.undetermined])}. Name as many independent compounds as there are elements."
        )
    return [found.energies[e] for e in elements]


def energies_above_references(samples: Sequence[Sample], given: Mapping[str, float] | None) -> Tensor:
    """Energy per atom of each sample less those of its elements, eV/atom [n], float64; NaN without a label.

    Args:
        given: eV per atom of each element; None for those that fit the samples best.
    Raises:
        KeyError: an element that `given` lacks.
    """
    elements = [SYMBOLS[int(z)] for z in elements_of(samples)]
    references = least_squares_energies(samples, elements) if given is None else [given[e] for e in elements]
    table = torch.zeros(len(SYMBOLS), dtype=torch.float64)
    table[[SYMBOLS.index(e) for e in elements]] = torch.tensor(references, dtype=torch.float64)
    above = [float((s.targets.energy - table[s.graph.numbers].sum()) / len(s.graph.numbers)) for s in samples]
    return torch.tensor(above, dtype=torch.float64)


def force_scales(samples: Sequence[Sample], elements: Sequence[str]) -> list[float]:
    """RMS force component on the atoms of each element, as a number in eV; 1 where there are no forces."""
    squares, counts = [0.0] * len(elements), [0] * len(elements)
    for chunk in _chunks(samples):
        numbers = torch.cat([s.graph.numbers for s in chunk])
        forces = torch.cat([s.targets.forces for s in chunk])
        for place, element in enumerate(elements):
            own = forces[numbers == SYMBOLS.index(element)]
            own = own[torch.isfinite(own)]
            squares[place] += float(own.square().sum())
            counts[place] += own.numel()
    means = (math.sqrt(s / n) if n else math.nan for s, n in zip(squares, counts, strict=True))
    return [rms if rms > 1e-6 else 1.0 for rms in means]  # NaN (no labels), zero (perfect crystals) say nothing


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """The items in lists; data of fewer are treated at once."""
    source = iter(items)
    while chunk := list(islice(source, _CHUNK)):
        yield chunk
