"""Which structures an epoch draws, and in which order.

Source of the weighted policies: the public documentation of aenet's trainer ("energy_weighted", "error_weighted").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignn_ff.data.dataset import Dataset
from alignn_ff.errors import DataError
from alignn_ff.graph import atom_counts
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.metrics import Predicted
from alignn_ff.training.ranks import ALONE, Ranks
from alignn_ff.training.references import energies_above_references
from alignn_ff.training.replay import PREFIX, epoch_order

_LEAST_SCORE = 1e-12
"""eV/atom; below it errors count alike, so that no structure is lost for good."""


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Random numbers as a function of seed and epoch alone, so that a resumed epoch is the same epoch."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def energy_weights(energies: Tensor) -> Tensor:
    """w = 1 / (1 + D/D_max), D = e - min e: from 1, lowest energy, to 1/2, highest; eV/atom [n] -> [n]."""
    above = energies - energies.min()
    highest = above.max()
    return 1.0 / (1.0 + above / highest) if highest > 0 else torch.ones_like(above)


def error_weights(scores: Tensor) -> Tensor:
    """Weights as the errors, of mean one where all are sound; what is not finite weighs next to nothing; [n] -> [n]."""
    sound = torch.where(torch.isfinite(scores), scores, 0.0).clamp(min=0.0)
    if not bool((sound > 0).any()):
        return torch.ones_like(sound)
    floored = sound.clamp(min=_LEAST_SCORE)
    return floored / floored.mean()


class Sampler:
    """Every structure once an epoch, shuffled."""

    def __init__(self, config: TrainConfig, data: Dataset, ranks: Ranks = ALONE) -> None:
        self._seed = config.random_seed
        self._count = len(data)
        self._ranks = ranks

    def order(self, epoch: int) -> list[int]:
        """Indices of the structures of `epoch` (from 0), as they follow."""
        return torch.randperm(self._count, generator=epoch_generator(self._seed, epoch)).tolist()

    def observe(self, *seen: Predicted) -> None:
        """Take note of how well a batch was predicted, whose share of this process comes in one part or several."""

    def close_epoch(self) -> None:
        """Let what was noted in an epoch bear on the next."""

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


class EnergyWeighted(Sampler):
    """As many draws as structures, with replacement; low energies up to twice as often as high ones.

    Raises:
        DataError: a structure without an energy.
    """

    def __init__(self, config: TrainConfig, data: Dataset, ranks: Ranks = ALONE) -> None:
        super().__init__(config, data, ranks)
        energies = energies_above_references(data.samples, config.reference_energies)
        _check_all_labelled(energies, data)
        self._weights = energy_weights(energies)

    def order(self, epoch: int) -> list[int]:
        return _draw(self._weights, epoch_generator(self._seed, epoch))


class ErrorWeighted(Sampler):
    """As many draws as structures, with replacement; each as often as its last energy error per atom is large.

    Every score is 1 eV/atom at first, so a structure not drawn yet soon outweighs all others: the first epochs go
    through nearly all of them.
    """

    def __init__(self, config: TrainConfig, data: Dataset, ranks: Ranks = ALONE) -> None:
        super().__init__(config, data, ranks)
        self._scores = torch.ones(self._count, dtype=torch.float64)
        self._clear()

    def order(self, epoch: int) -> list[int]:
        return _draw(error_weights(self._scores), epoch_generator(self._seed, epoch))

    def observe(self, *seen: Predicted) -> None:
        own = [_energy_errors(part) for part in seen]
        for indices, errors in (part for shares in self._ranks.gather(own) for part in shares):
            sound = torch.isfinite(errors)
            self._sums.index_add_(0, indices[sound], errors[sound])
            self._draws.index_add_(0, indices[sound], torch.ones_like(errors[sound]))

    def close_epoch(self) -> None:
        drawn = self._draws > 0
        self._scores[drawn] = self._sums[drawn] / self._draws[drawn]
        self._clear()

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self._scores, "sums": self._sums, "draws": self._draws}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._scores, self._sums, self._draws = state["scores"], state["sums"], state["draws"]

    def _clear(self) -> None:
        self._sums, self._draws = torch.zeros_like(self._scores), torch.zeros_like(self._scores)


class Replaying(Sampler):
    """Every new structure once an epoch, and old ones in turn; see `replay`."""

    def __init__(self, config: TrainConfig, data: Dataset, ranks: Ranks = ALONE) -> None:
        super().__init__(config, data, ranks)
        self._old = sum(sample.key.startswith(PREFIX) for sample in data.samples)
        self._share = config.replay_share

    def order(self, epoch: int) -> list[int]:
        return epoch_order(self._count - self._old, self._old, self._share, self._seed, epoch)


POLICIES: dict[str, type[Sampler]] = {
    "uniform": Sampler,
    "energy_weighted": EnergyWeighted,
    "error_weighted": ErrorWeighted,
}
"""Values of `sampling_policy`."""


def build_sampler(config: TrainConfig, data: Dataset, ranks: Ranks = ALONE) -> Sampler:
    """The sampler of a run over its training part, the same in each of the processes that train together."""
    if config.replay_data:
        return Replaying(config, data, ranks)
    return POLICIES[config.sampling_policy](config, data, ranks)


def _energy_errors(seen: Predicted) -> tuple[Tensor, Tensor]:
    """Indices of structures, and how far their energies are off, eV/atom."""
    errors = (seen.prediction.energy.detach() - seen.targets.energy).abs() / atom_counts(seen.graph)
    return torch.tensor(seen.indices), errors.cpu()


def _draw(weights: Tensor, generator: torch.Generator) -> list[int]:
    return torch.multinomial(weights, len(weights), replacement=True, generator=generator).tolist()


def _check_all_labelled(energies: Tensor, data: Dataset) -> None:
    without: Sequence[int] = torch.nonzero(~torch.isfinite(energies)).squeeze(1).tolist()
    if without:
        raise DataError(
            f"sampling_policy energy_weighted needs the energy of every training structure; {len(without)} have none, "
            f"{data.outline.key[without[0]]} for one. Leave these out or choose another policy."
        )
