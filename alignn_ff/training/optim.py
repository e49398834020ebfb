"""Optimizer, schedule and moving average of the weights: built once, returned together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from alignn_ff.training.shared_fields import Steering
from alignn_ff.training.soap import Soap

_WARMUP = 0.03
"""Share of the steps over which a cosine schedule rises to its peak."""
_FLOOR = 0.005
"""Last learning rate of a cosine schedule over its peak."""
_SWING, _MOST_MOMENTUM = 0.05, 0.99
"""How far onecycle moves the momentum of sgd either way, and where it ends."""


class Average:
    """Exponential moving average of a model's parameters, with a shorter memory at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the model's present weights."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, p in model.named_parameters():
            self.weights[name].lerp_(p, 1.0 - decay)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"steps": self.steps, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.steps = state["steps"]
        for name, value in state["weights"].items():
            self.weights[name].copy_(value)


class Optim(NamedTuple):
    """What steers the weights. `schedule` is None for a constant rate."""

    optimizer: torch.optim.Optimizer
    schedule: lr_scheduler.LRScheduler | None
    average: Average

    def state_dict(self) -> dict[str, Any]:
        """All of it, for `load_state_dict` of a resumed run."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "average": self.average.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` told; other entries of `state` are left alone."""
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.average.load_state_dict(state["average"])


def build_optim(config: Steering, model: nn.Module, steps_per_epoch: int) -> Optim:
    """The configured optimizer, its schedule, and an average of the weights."""
    optimizer = _optimizer(config, model)
    total = (config.lr_total_epochs or config.epochs) * steps_per_epoch
    return Optim(optimizer, _schedule(config, optimizer, total), Average(model, config.ema_decay))


def step_schedule(schedule: lr_scheduler.LRScheduler | None, *, validation_loss: float | None = None) -> None:
    """Advance by one step, or, with a validation loss, by one epoch; each schedule listens to one of the two."""
    if schedule is None:
        return
    if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        if validation_loss is not None:
            schedule.step(validation_loss)
    elif validation_loss is None and schedule.last_epoch < _last_step(schedule):
        schedule.step()


def _last_step(schedule: lr_scheduler.LRScheduler) -> float:
    """OneCycleLR fails beyond its end, and batches sized by atoms may make a run a little longer than planned."""
    return schedule.total_steps - 1 if isinstance(schedule, lr_scheduler.OneCycleLR) else math.inf


def swap_in(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give `model` these weights; returns a copy of those it had."""
    with torch.no_grad():
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        for name, p in model.named_parameters():
            p.copy_(weights[name])
    return before


def cosine_rate(done: float) -> float:
    """Learning rate over its peak once a share `done` of the training is over: a quick rise, then half a cosine."""
    return min(1.0, (done + 1e-3) / _WARMUP) * (_FLOOR + (1 - _FLOOR) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _optimizer(config: Steering, model: nn.Module) -> torch.optim.Optimizer:
    how: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=config.momentum, **how)
    return (Soap if config.optimizer == "soap" else torch.optim.AdamW)(model.parameters(), **how)


def _schedule(config: Steering, optimizer: torch.optim.Optimizer, total: int) -> lr_scheduler.LRScheduler | None:
    if config.scheduler == "onecycle":
        low, high = _momenta(config)
        return lr_scheduler.OneCycleLR(
            optimizer, max_lr=config.learning_rate, total_steps=total + 1, base_momentum=low, max_momentum=high
        )
    if config.scheduler == "cosine":
        return lr_scheduler.LambdaLR(optimizer, lambda step: cosine_rate(step / total))
    if config.scheduler == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=config.plateau_patience)
    return None


def _momenta(config: Steering) -> tuple[float, float]:
    """Momentum where the rate is highest, and where it is lowest: of first moments torch's habit."""
    if config.optimizer != "sgd":
        return 0.85, 0.95
    return max(0.0, config.momentum - _SWING), min(config.momentum + _SWING, _MOST_MOMENTUM)
