"""What is taken from the training data before the first step: energies of the elements and scales of their forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from alignn_ff.data.dataset import elements_of
from alignn_ff.data.sources import Sample
from alignn_ff.models.base import SYMBOLS


def least_squares_energies(samples: Sequence[Sample], elements: Sequence[str]) -> list[float]:
    """Energy per atom of each element, eV, that fits the total energies best (least norm where they do not say)."""
    numbers = torch.tensor([SYMBOLS.index(e) for e in elements])
    labelled = [s for s in samples if bool(torch.isfinite(s.targets.energy).all())]
    if not labelled:
        return [0.0] * len(elements)
    counts = torch.stack([(s.graph.numbers[:, None] == numbers).sum(0).to(torch.float64) for s in labelled])
    energies = torch.cat([s.targets.energy for s in labelled])
    weight = 1.0 / counts.sum(1)  # per atom, so that large cells do not rule
    solution = torch.linalg.lstsq(counts * weight[:, None], (energies * weight)[:, None], driver="gelsd").solution
    return solution[:, 0].tolist()


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
    parts = [(s.targets.energy - table[s.graph.numbers].sum()) / len(s.graph.numbers) for s in samples]
    return torch.cat(parts)


def force_scales(samples: Sequence[Sample], elements: Sequence[str]) -> list[float]:
    """RMS force component on the atoms of each element, as a number in eV; 1 where there are no forces."""
    numbers = torch.cat([s.graph.numbers for s in samples])
    forces = torch.cat([s.targets.forces for s in samples])
    scales = []
    for element in elements:
        own = forces[numbers == SYMBOLS.index(element)]
        rms = float(own[torch.isfinite(own)].square().mean().sqrt())
        scales.append(rms if rms > 1e-6 else 1.0)  # NaN (no labels) and zero (perfect crystals) say nothing
    return scales
