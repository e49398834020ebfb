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


class LossConfig(Strict):
    """Weights and form of the loss. Each term is a mean over labelled numbers; units eV/atom, eV/Å, eV/Å³."""

    criterion: Literal["l1", "mse", "huber"] = "huber"
    energy_weight: float = Field(default=1.0, ge=0, description="weight of the energy per atom")
    force_weight: float = Field(default=1.0, ge=0, description="weight of the force components")
    stress_weight: float = Field(default=0.0, ge=0, description="weight of the stress components")
    atom_energy_weight: float = Field(
        default=0.0, ge=0, description="weight of the energies of atoms, where the labels share the energy among them"
    )
    energy_delta: float = Field(default=0.02, gt=0, description="eV/atom; where huber turns from square to linear")
    force_delta: float = Field(default=0.1, gt=0, description="eV/Å; the same for forces")
    stress_delta: float = Field(default=0.01, gt=0, description="eV/Å³; the same for stress")


class LossTerms(NamedTuple):
    """Weighted total and unweighted terms; a term without labels or weight is zero."""

    total: Tensor
    energy: Tensor
    forces: Tensor
    stress: Tensor
    atom_energy: Tensor


def loss(prediction: Prediction, targets: Targets, graph: AtomGraph, config: LossConfig) -> LossTerms:
    """How far `prediction` is from `targets`; NaN labels do not count."""
    counts = atom_counts(graph)
    energy = _term(prediction.energy / counts, targets.energy / counts, config.criterion, config.energy_delta)
    forces = stress = atom_energy = energy.new_zeros(())
    if config.force_weight and prediction.forces is not None:
        forces = _term(prediction.forces, targets.forces, config.criterion, config.force_delta)
    if config.stress_weight and prediction.stress is not None:
        stress = _term(prediction.stress, targets.stress, config.criterion, config.stress_delta)
    if config.atom_energy_weight:
        atom_energy = _term(prediction.atom_energy, targets.atom_energy, config.criterion, config.energy_delta)
    total = config.energy_weight * energy + config.force_weight * forces + config.stress_weight * stress
    return LossTerms(total + config.atom_energy_weight * atom_energy, energy, forces, stress, atom_energy)


def _term(predicted: Tensor, label: Tensor, criterion: str, delta: float) -> Tensor:
    """Mean over what has a label; huber is scaled to slope one, so that l1 and huber weigh alike."""
    labelled = torch.isfinite(label)  # of the label alone: a prediction that is not finite must cost
    size = (predicted[labelled] - label[labelled]).abs()
    if size.numel() == 0:
        return size.sum()  # zero, yet part of the gradient graph: a batch may hold no label at all
    if criterion == "l1":
        return size.mean()
    if criterion == "mse":
        return (size * size).mean()
    return torch.where(size < delta, 0.5 * size * size / delta, size - 0.5 * delta).mean()
