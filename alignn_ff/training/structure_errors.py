"""Errors of a potential structure by structure: which ones it knows worst."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alignn_ff.data.compositions import composition_of, formula_of
from alignn_ff.data.dataset import Dataset
from alignn_ff.files import write_text
from alignn_ff.training.metrics import Predicted
from alignn_ff.units import GPA_PER_EV_A3, MEV


class StructureError(NamedTuple):
    """A structure and how far its prediction is off; NaN where it has no label.

    Attributes:
        key: by which the data name it.
        energy_ev_per_atom: its label.
        energy_error_mev_per_atom: prediction less label.
        force_components: how many are labelled; their MAE, RMSE and largest absolute error, meV/Å, follow.
        stress_mae_gpa, stress_rmse_gpa: of its nine components.
    """

    key: str
    group: str
    formula: str
    atoms: int
    energy_ev_per_atom: float
    energy_error_mev_per_atom: float
    force_components: int
    force_mae_mev_per_a: float
    force_rmse_mev_per_a: float
    force_max_mev_per_a: float
    stress_mae_gpa: float
    stress_rmse_gpa: float


def structure_errors(seen: Predicted, data: Dataset) -> Iterator[StructureError]:
    """The errors of every structure of one batch of `data`."""
    for place, index in enumerate(seen.indices):
        own = seen.graph.graph_index == place
        atoms = int(own.sum())
        sample = data.samples[index]
        label = float(seen.targets.energy[place]) / atoms
        forces = _known(seen.prediction.forces, seen.targets.forces, own, MEV)
        stress = _known(seen.prediction.stress, seen.targets.stress, place, GPA_PER_EV_A3)
        yield StructureError(
            key=sample.key,
            group=sample.group,
            formula=formula_of(composition_of(seen.graph.numbers[own])),
            atoms=atoms,
            energy_ev_per_atom=label,
            energy_error_mev_per_atom=MEV * (float(seen.prediction.energy[place]) / atoms - label),
            force_components=len(forces),
            force_mae_mev_per_a=_mean(forces),
            force_rmse_mev_per_a=math.sqrt(_mean(forces**2)),
            force_max_mev_per_a=float(forces.max()) if len(forces) else math.nan,
            stress_mae_gpa=_mean(stress),
            stress_rmse_gpa=math.sqrt(_mean(stress**2)),
        )


def worst(errors: Iterable[StructureError], quantity: str, count: int) -> list[StructureError]:
    """Those with the largest absolute `quantity`, largest first; what has no label is left out."""
    known = [error for error in errors if math.isfinite(getattr(error, quantity))]
    return sorted(known, key=lambda error: -abs(getattr(error, quantity)))[:count]


def means(errors: Sequence[StructureError]) -> dict[str, float]:
    """MAE and RMSE over all structures, all labelled force components and all stresses; NaN without any."""
    energy = np.array([e.energy_error_mev_per_atom for e in errors])
    known = [e for e in errors if e.force_components]
    components = np.array([e.force_components for e in known], float)
    stressed = [e for e in errors if math.isfinite(e.stress_mae_gpa)]
    ones = np.ones(len(stressed))
    return {
        "energy_mae": _mean(np.abs(energy[np.isfinite(energy)])),
        "energy_rmse": math.sqrt(_mean(energy[np.isfinite(energy)] ** 2)),
        "force_mae": _mean(np.array([e.force_mae_mev_per_a for e in known]), components),
        "force_rmse": math.sqrt(_mean(np.array([e.force_rmse_mev_per_a for e in known]) ** 2, components)),
        "stress_mae": _mean(np.array([e.stress_mae_gpa for e in stressed]), ones),
        "stress_rmse": math.sqrt(_mean(np.array([e.stress_rmse_gpa for e in stressed]) ** 2, ones)),
    }


def write_structure_errors(errors: Iterable[StructureError], path: Path) -> None:
    """A table with a line for each structure."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(StructureError._fields)
    writer.writerows(errors)
    write_text(path, text.getvalue())


def _known(prediction: Tensor | None, label: Tensor, rows: Tensor | int, factor: float) -> np.ndarray:
    """Absolute errors of the labelled components of one structure; [0] where nothing was predicted."""
    if prediction is None:
        return np.zeros(0)
    error = factor * (prediction[rows] - label[rows]).abs()
    return error[torch.isfinite(label[rows])].cpu().numpy()


def _mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
    return float(np.average(values, weights=weights)) if len(values) else math.nan
