"""The one loss: named terms of a prediction against its labels."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from alignn_ff.evaluate import Prediction
from alignn_ff.graph import AtomGraph, atom_counts
from alignn_ff.io import Targets
from alignn_ff.schema import Strict

_TINY = 1e-24
"""Under a root, so that it has a slope where everything fits exactly."""


class LossConfig(Strict):
    """Weights and form of the loss. Each term is a mean over labelled numbers; units eV/atom, eV/Å, eV/Å³."""

    criterion: Literal["l1", "mse", "rmse", "huber"] = "huber"
    energy_weight: float = Field(default=1.0, ge=0, description="weight of the energy per atom")
    force_weight: float = Field(default=1.0, ge=0, description="weight of the force components")
    stress_weight: float = Field(default=0.0, ge=0, description="weight of the stress components")
    atom_energy_weight: float = Field(
        default=0.0, ge=0, description="weight of the energies of atoms, where the labels share the energy among them"
    )
    atomwise_weight: float = Field(default=0.0, ge=0, description="weight of the other values of atoms")
    additional_output_weight: float = Field(default=0.0, ge=0, description="weight of the other values of structures")
    energy_delta: float = Field(default=0.02, gt=0, description="eV/atom; where huber turns from square to linear")
    force_delta: float = Field(default=0.1, gt=0, description="eV/Å; the same for forces")
    stress_delta: float = Field(default=0.01, gt=0, description="eV/Å³; the same for stress")
    atomwise_delta: float = Field(default=0.1, gt=0, description="the same for other values of atoms, in their unit")
    additional_output_delta: float = Field(default=0.1, gt=0, description="the same for other values of structures")


class LossStage(Strict):
    """Weights of the loss from an epoch on; those left out stay as they were."""

    start_epoch: int = Field(ge=2, description="first epoch of the stage, counted from 1")
    energy_weight: float | None = Field(default=None, ge=0)
    force_weight: float | None = Field(default=None, ge=0)
    stress_weight: float | None = Field(default=None, ge=0)
    atom_energy_weight: float | None = Field(default=None, ge=0)
    atomwise_weight: float | None = Field(default=None, ge=0)
    additional_output_weight: float | None = Field(default=None, ge=0)


class LossTerms(NamedTuple):
    """Weighted total and unweighted terms; a term without labels or weight is zero."""

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor
    atom_energy: Tensor
    atomwise: Tensor
    additional: Tensor


class Sums(NamedTuple):
    """What a loss is made of: those of parts of a batch add up to those of the batch.

    Attributes:
        costs: of every labelled number, added up, one row a term of `LossTerms` [K].
        counts: labelled numbers [K].
    """

    costs: Tensor
    counts: Tensor


def loss(
    prediction: Prediction, targets: Targets, graph: AtomGraph, config: LossConfig, weights: Tensor | None = None
) -> LossTerms:
    """How far `prediction` is from `targets`; NaN labels do not count.

    Args:
        weights: factor [G] of what each structure adds to the means; None for ones. They are not normalised, so that
            they mean the same in a batch of one.
    """
    return mean_loss(summed_loss(prediction, targets, graph, config, weights), config)


def summed_loss(
    prediction: Prediction, targets: Targets, graph: AtomGraph, config: LossConfig, weights: Tensor | None = None
) -> Sums:
    """The sums that `mean_loss` makes a loss of; arguments as of `loss`."""
    sizes = atom_counts(graph)
    atom_weights = None if weights is None else weights[graph.graph_index]
    form = config.criterion
    none = _Sum(targets.energy.new_zeros(()), 0)
    energy = _sum(prediction.energy / sizes, targets.energy / sizes, form, config.energy_delta, weights)
    forces = stress = atom_energy = none
    if config.force_weight and prediction.forces is not None:
        forces = _sum(prediction.forces, targets.forces, form, config.force_delta, atom_weights)
    if config.stress_weight and prediction.stress is not None:
        stress = _sum(prediction.stress, targets.stress, form, config.stress_delta, weights)
    if config.atom_energy_weight:
        labels = targets.atom_energy
        atom_energy = _sum(prediction.atom_energy, labels, form, config.energy_delta, atom_weights)
    atomwise = additional = none
    if config.atomwise_weight and prediction.atomwise is not None and targets.atomwise.numel():
        atomwise = _sum(prediction.atomwise, targets.atomwise, form, config.atomwise_delta, atom_weights)
    if config.additional_output_weight and prediction.additional is not None and targets.additional.numel():
        delta = config.additional_output_delta
        additional = _sum(prediction.additional, targets.additional, form, delta, weights)
    terms = (energy, forces, stress, atom_energy, atomwise, additional)
    return Sums(torch.stack([t.cost for t in terms]), energy.cost.new_tensor([t.labels for t in terms]))


def mean_loss(sums: Sums, config: LossConfig) -> LossTerms:
    """Means over what has a label, their roots where `config` asks for them, and the weighted total."""
    means = sums.costs / sums.counts.clamp(min=1)
    if config.criterion == "rmse":
        means = torch.where(sums.counts > 0, (means + _TINY).sqrt(), means)
    weights = (
        *(config.energy_weight, config.force_weight, config.stress_weight, config.atom_energy_weight),
        *(config.atomwise_weight, config.additional_output_weight),
    )
    total = sum((weight * mean for weight, mean in zip(weights, means, strict=True)), means.new_zeros(()))
    return LossTerms(total, *means.unbind())


class _Sum(NamedTuple):
    cost: Tensor
    labels: int


def _sum(predicted: Tensor, label: Tensor, criterion: str, delta: float, weights: Tensor | None) -> _Sum:
    """Cost of what has a label; huber is scaled to slope one, so that l1 and huber weigh alike."""
    labelled = torch.isfinite(label)  # of the label alone: a prediction that is not finite must cost
    cost = _cost((predicted[labelled] - label[labelled]).abs(), criterion, delta)
    if weights is not None:
        cost = cost * weights.reshape(-1, *[1] * (label.dim() - 1)).expand_as(label)[labelled]
    return _Sum(cost.sum(), cost.numel())  # of nothing: zero, yet part of the gradient graph


def _cost(size: Tensor, criterion: str, delta: float) -> Tensor:
    if criterion == "l1":
        return size
    if criterion in ("mse", "rmse"):
        return size * size
    return torch.where(size < delta, 0.5 * size * size / delta, size - 0.5 * delta)
