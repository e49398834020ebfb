"""Weights of the loss that change as a training goes on: for instance forces first, energies later."""

from __future__ import annotations

from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loss import LossConfig


def loss_at(config: TrainConfig, epoch: int) -> LossConfig:
    """The loss of `epoch`, counted from 0."""
    found = config.loss
    for stage in config.loss_stages:
        if epoch + 1 >= stage.start_epoch:
            found = found.model_copy(update=stage.model_dump(exclude={"start_epoch"}, exclude_none=True))
    return found


def begins_at(config: TrainConfig, epoch: int) -> bool:
    """Whether a stage begins with `epoch`, counted from 0: losses before and after it do not compare."""
    return any(stage.start_epoch == epoch + 1 for stage in config.loss_stages)


def last_start(config: TrainConfig) -> int:
    """Epochs before the last stage."""
    return config.loss_stages[-1].start_epoch - 1 if config.loss_stages else 0


def largest_weights(config: TrainConfig) -> LossConfig:
    """The loss with the largest value that each weight ever has."""
    losses = [loss_at(config, epoch) for epoch in (0, *(stage.start_epoch - 1 for stage in config.loss_stages))]
    weights = [name for name in LossConfig.model_fields if name.endswith("_weight")]
    return config.loss.model_copy(update={name: max(getattr(each, name) for each in losses) for name in weights})
