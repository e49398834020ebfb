"""Structures that a network was trained on before, learned again beside new ones so that it does not forget them.

The rule of mixing: an epoch takes every new structure once and as many of the old ones as make up `replay_share` of it,
the next in an order of their own that is shuffled anew each time all were taken; both are shuffled together. Energies
of the old ones are shifted, element by element, onto the scale of the new: what another functional or other
pseudopotentials say of isolated atoms would otherwise fight the new labels, and means nothing.

Source of the idea: Robins, Connection Science 7, 123 (1995); for potentials, Batatia et al., arXiv:2401.00096.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from alignn_ff.data.dataset import elements_of
from alignn_ff.data.sources import Keys, Sample, read_all
from alignn_ff.models import Potential
from alignn_ff.models.base import SYMBOLS
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.warm_start import residual_energies

PREFIX = "replay/"
"""Before the names of old structures, which may be those of new ones."""


def replay_samples(config: TrainConfig, keys: Keys) -> list[Sample]:
    """The structures to be learned again, as they are in `replay_data`; none where there is none.

    Raises:
        DataError: see `read_all`.
    """
    if not config.replay_data:
        return []
    samples = read_all(config.replay_data, keys._replace(family=None, weight=None))
    return [s._replace(key=PREFIX + s.key, weight=config.replay_weight) for s in samples]


def aligned(samples: Sequence[Sample], potential: Potential) -> list[Sample]:
    """The samples with energies on the scale of `potential`: shifted by what fits best for each element."""
    shifts = torch.zeros(len(SYMBOLS), dtype=torch.float64)
    shifts[[SYMBOLS.index(e) for e in potential.elements]] = torch.tensor(
        residual_energies(potential, samples), dtype=torch.float64
    )
    return [_shifted(sample, shifts[sample.graph.numbers]) for sample in samples]


def epoch_order(new: int, old: int, share: float, seed: int, epoch: int) -> list[int]:
    """Indices of an epoch, from 0: all `new` ones, and of the `old` ones, which follow them, their share."""
    drawn = round(new * share / (1.0 - share))
    places = range(epoch * drawn, (epoch + 1) * drawn)
    rounds = {place // old for place in places}
    shuffled = {r: torch.randperm(old, generator=_generator(seed, r)).tolist() for r in rounds}
    mixed = [*range(new), *(new + shuffled[place // old][place % old] for place in places)]
    order = torch.randperm(len(mixed), generator=_generator(seed + 1, epoch)).tolist()
    return [mixed[place] for place in order]


def replay_facts(config: TrainConfig, samples: Sequence[Sample]) -> dict[str, object]:
    """What a checkpoint states of the structures learned again."""
    elements = [SYMBOLS[int(z)] for z in elements_of(samples)]
    return {
        "structures": len(samples),
        "elements": elements,
        "share": config.replay_share,
        "weight": config.replay_weight,
    }


def _shifted(sample: Sample, shifts: torch.Tensor) -> Sample:
    targets = sample.targets
    return sample._replace(
        targets=targets._replace(energy=targets.energy - shifts.sum(), atom_energy=targets.atom_energy - shifts)
    )


def _generator(seed: int, count: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + count)
