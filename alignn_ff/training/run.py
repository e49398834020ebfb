"""A training under way: what one step touches, and where it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from alignn_ff.data.dataset import Budget
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.force_subset import ForceSubset
from alignn_ff.training.optim import Optim, build_optim
from alignn_ff.training.prepare import Prepared
from alignn_ff.training.ranks import ALONE, Ranks
from alignn_ff.training.record import Record
from alignn_ff.training.sampling import Sampler, build_sampler

SUMS = (
    *("train_loss", "train_energy_loss", "train_force_loss", "train_stress_loss", "train_atom_energy_loss"),
    *("train_atomwise_loss", "train_additional_output_loss"),
)
"""What a history calls the terms of the loss, see `LossTerms`."""
NO_SUMS = (0.0,) * len(SUMS)


@dataclass
class Position:
    """Where a run stands; saved and restored whole, so that a resumed run goes on as if unbroken.

    Attributes:
        epoch: epochs completed; `batch` batches of the next are done.
        sums: loss terms of the epoch under way, means over its batches so far.
        best_loss, best_epoch: of the validation, or of the training where nothing is validated.
        seconds: spent on steps.
        halves: whether memory ran out, so that each batch is learned from in two halves since.
    """

    epoch: int = 0
    batch: int = 0
    sums: tuple[float, ...] = NO_SUMS
    best_loss: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    halves: bool = False

    def __post_init__(self) -> None:
        self.sums = (*self.sums, *NO_SUMS[len(self.sums) :])  # of a run begun before there were so many


class Run(NamedTuple):
    """Everything one step touches."""

    config: TrainConfig
    data: Prepared
    sampler: Sampler
    forces: ForceSubset
    optim: Optim
    budget: Budget
    device: torch.device
    position: Position
    record: Record
    ranks: Ranks


def start(config: TrainConfig, data: Prepared, record: Record, device: torch.device, ranks: Ranks = ALONE) -> Run:
    """A run before its first step, or before `Record.restore` puts it where it stood."""
    data.potential.to(device)
    ranks.make_alike(data.potential)
    budget = budget_of(config)
    # Packing by atoms or edges makes the number of batches vary a little from epoch to epoch.
    sampler = build_sampler(config, data.train, ranks)
    steps = len(data.train.pack(sampler.order(0), budget))
    optim = build_optim(config, data.potential, steps)
    return Run(config, data, sampler, ForceSubset(config, data.train), optim, budget, device, Position(), record, ranks)


def budget_of(config: TrainConfig) -> Budget:
    """How large the batches of a run may be."""
    return Budget(config.batch_size, config.batch_atoms, config.batch_edges)
