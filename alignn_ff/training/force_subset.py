"""Forces of a part of the structures: the others teach energies alone and cost no derivative.

Source of the rules: the public documentation of aenet's trainer (`force_fraction` and the fields beside it).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property

import torch

from alignn_ff.data.dataset import Dataset
from alignn_ff.data.loading import Loader
from alignn_ff.device import reduced_precision
from alignn_ff.evaluate import Prediction, Want, evaluate
from alignn_ff.graph import concat
from alignn_ff.io import join_targets
from alignn_ff.models import Potential
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loss import LossConfig
from alignn_ff.training.metrics import Predicted
from alignn_ff.training.stages import loss_at
from alignn_ff.training.storage import loading_of


class ForceSubset:
    """Which training structures have their forces and stress learned in an epoch.

    All of them where `force_fraction` is 1; else k = int(M · fraction) of the M that have forces, but
    `force_min_structures_per_epoch` at least. Validation always sees all forces.
    """

    def __init__(self, config: TrainConfig, data: Dataset) -> None:
        self.config = config
        self._data = data
        self.loader = Loader(data, loading_of(config))
        self._drawn_at = -1
        self._chosen: frozenset[int] = frozenset(range(len(data)))

    @cached_property
    def _atoms(self) -> list[int]:
        """Atoms with forces, of each structure."""
        return [int(torch.isfinite(s.targets.forces).all(1).sum()) for s in self._data.samples]

    def chosen(self, epoch: int) -> frozenset[int]:
        """Indices of the structures whose forces are learned in `epoch` (from 0)."""
        config = self.config
        if config.force_fraction >= 1.0:
            return self._chosen
        every = config.force_resample_num_epochs if config.force_sampling == "random" else 0
        draw = epoch // every if every else 0
        if draw != self._drawn_at:  # a function of seed and epoch alone: a resumed run draws the same
            labelled = [i for i, atoms in enumerate(self._atoms) if atoms]
            rng = random.Random(config.random_seed * 1_000_003 + draw)
            self._chosen = frozenset(rng.sample(labelled, self._size(len(labelled))))
            self._drawn_at = draw
        return self._chosen

    def plan(self, batches: Sequence[Sequence[int]], epoch: int) -> None:
        """Say which batches `predict` will be asked for, in which order."""
        self.loader.plan([part for batch in batches for part in self._parted(batch, epoch) if part])

    def predict(
        self, potential: Potential, indices: Sequence[int], epoch: int, device: torch.device, *, learn: bool = True
    ) -> Predicted:
        """The batch of `indices`, those without forces to learn put last, with a prediction to learn from.

        Args:
            learn: False for a prediction to look at alone, which takes less memory.
        """
        wants = (Want.TRAINING, Want.TRAINING_ENERGY) if learn else (Want.FORCES, Want.ENERGY)
        parts = [
            self._part(potential, part, want, device)
            for part, want in zip(self._parted(indices, epoch), wants, strict=True)
            if part
        ]
        return parts[0] if len(parts) == 1 else _join(*parts)

    def loss(self, indices: Sequence[int], epoch: int) -> LossConfig:
        """The loss of a batch in `epoch`; with `force_scale_unbiased` its force weight over √f.

        f: atoms whose forces are learned over atoms that have any, where it is neither 0 nor 1.
        """
        loss = loss_at(self.config, epoch)
        if not self.config.force_scale_unbiased:
            return loss
        chosen = self.chosen(epoch)
        there = sum(self._atoms[i] for i in indices)
        learned = sum(self._atoms[i] for i in indices if i in chosen)
        if not 0 < learned < there:
            return loss
        return loss.model_copy(update={"force_weight": loss.force_weight / (learned / there) ** 0.5})

    def _size(self, labelled: int) -> int:
        least = self.config.force_min_structures_per_epoch or 0
        return min(max(int(labelled * self.config.force_fraction), least), labelled)

    def _parted(self, indices: Sequence[int], epoch: int) -> tuple[list[int], list[int]]:
        """Those of a batch whose forces or stress are learned, and the others."""
        chosen, loss = self.chosen(epoch), loss_at(self.config, epoch)
        wanted = bool(loss.force_weight or loss.stress_weight)
        first = [i for i in indices if wanted and i in chosen]
        return first, [i for i in indices if not (wanted and i in chosen)]

    def _part(self, potential: Potential, indices: list[int], want: Want, device: torch.device) -> Predicted:
        graph, targets = self.loader.batch(indices, device)
        with reduced_precision(device, self.config.use_amp):
            return Predicted(indices, graph, targets, evaluate(potential, graph, want=want))


def _join(first: Predicted, rest: Predicted) -> Predicted:
    """One batch of two; the second has no derivatives, and its labels of these are hidden from the loss."""
    assert first.prediction.forces is not None  # it was asked for them
    nothing = rest.targets._replace(
        forces=torch.full_like(rest.targets.forces, torch.nan), stress=torch.full_like(rest.targets.stress, torch.nan)
    )
    a, b = first.prediction, rest.prediction
    prediction = Prediction(
        energy=torch.cat([a.energy, b.energy]),
        atom_energy=torch.cat([a.atom_energy, b.atom_energy]),
        forces=torch.cat([first.prediction.forces, torch.zeros_like(rest.targets.forces)]),
        stress=None if a.stress is None else torch.cat([a.stress, torch.zeros_like(rest.targets.stress)]),
        atomwise=None if a.atomwise is None or b.atomwise is None else torch.cat([a.atomwise, b.atomwise]),
        additional=None if a.additional is None or b.additional is None else torch.cat([a.additional, b.additional]),
    )
    targets = join_targets([first.targets, nothing])
    return Predicted([*first.indices, *rest.indices], concat([first.graph, rest.graph]), targets, prediction)
