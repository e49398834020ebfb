"""Errors of a potential on labelled structures, in the units people compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import intern
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.evaluate import Prediction, Want, evaluate
from alignn_ff.graph import AtomGraph, atom_counts, to_device
from alignn_ff.io import Targets
from alignn_ff.models.base import SYMBOLS, Potential
from alignn_ff.training.ranks import Ranks
from alignn_ff.units import GPA_PER_EV_A3, MEV


class Errors(NamedTuple):
    """Labels beside predictions as plain arrays; what has no label is absent.

    Attributes:
        energy: [n, 2] label and prediction, eV/atom.
        forces: [m, 2] components, eV/Å.
        stress: [k, 2] components, GPa.
        atomwise, additional: [j, 2] other values of atoms and of structures, in the units of their labels.
        energy_group, …: group (`config_type`) of each row.
        energy_element, …: elements of the structure, or element of the atom.
    """

    energy: np.ndarray
    forces: np.ndarray
    stress: np.ndarray
    atomwise: np.ndarray
    additional: np.ndarray
    energy_group: np.ndarray
    forces_group: np.ndarray
    stress_group: np.ndarray
    atomwise_group: np.ndarray
    additional_group: np.ndarray
    energy_element: np.ndarray
    forces_element: np.ndarray
    stress_element: np.ndarray
    atomwise_element: np.ndarray
    additional_element: np.ndarray


class Score(NamedTuple):
    """Mean absolute error, root mean square error, R² and how many values there were."""

    mae: float
    rmse: float
    r2: float
    values: int


class Predicted(NamedTuple):
    """One batch with its prediction; `indices` into the dataset."""

    indices: list[int]
    graph: AtomGraph
    targets: Targets
    prediction: Prediction


def predict(potential: Potential, data: Dataset, budget: Budget, device: torch.device) -> Iterator[Predicted]:
    """Energies, forces and stresses of every sample, batch by batch."""
    yield from _predicted(potential, data, data.batches(budget), device)


def predict_together(
    potential: Potential, data: Dataset, budget: Budget, device: torch.device, ranks: Ranks
) -> Iterator[Predicted]:
    """As `predict`; of several processes each predicts its share of the batches and is told those of the others."""
    if ranks.size == 1:
        return predict(potential, data, budget, device)
    own = data.batches(budget)[ranks.rank :: ranks.size]
    shares = ranks.gather([_without_edges(each) for each in _predicted(potential, data, own, device)])
    longest = len(shares[0])  # dealt in turn
    return (share[k] for k in range(longest) for share in shares if k < len(share))


def blame(seen: Predicted, data: Dataset) -> str:
    """Which structures of a batch have a prediction that is not finite, or else the largest error of the energy."""
    keys = [data.outline.key[i] for i in seen.indices]
    sound = _finite(seen.prediction.energy, seen.graph)
    if seen.prediction.forces is not None:
        sound &= _finite(seen.prediction.forces, seen.graph)
    wrong = [key for key, fine in zip(keys, sound.tolist(), strict=True) if not fine]
    if wrong:
        return f"predictions are not finite for {', '.join(wrong[:5])}{', …' if len(wrong) > 5 else ''}"
    errors = (seen.prediction.energy - seen.targets.energy).detach().abs() / atom_counts(seen.graph)
    worst = int(torch.nan_to_num(errors).argmax())
    return f"the largest error is that of {keys[worst]}, {float(errors[worst]):.3g} eV/atom"


def collect(batches: Iterable[Predicted], data: Dataset) -> Errors:
    """Every label of `data` beside the prediction for it."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in Errors._fields}
    for indices, graph, targets, prediction in batches:
        counts = atom_counts(graph)
        groups = np.array([data.outline.group[i] for i in indices], dtype=object)  # of each name one in memory
        sizes = counts.tolist()
        elements = np.array([_elements(numbers) for numbers in graph.numbers.cpu().split(sizes)], dtype=object)
        owner = graph.graph_index.cpu().numpy()
        symbols = np.array(SYMBOLS, dtype=object)[graph.numbers.cpu().numpy()]
        _add(parts, "energy", targets.energy / counts, prediction.energy / counts, groups, elements)
        if prediction.forces is not None:
            _add(parts, "forces", targets.forces, prediction.forces, groups[owner], symbols)
        if prediction.stress is not None:
            stresses = (targets.stress * GPA_PER_EV_A3, prediction.stress * GPA_PER_EV_A3)
            _add(parts, "stress", *stresses, groups, elements)
        if prediction.atomwise is not None and targets.atomwise.numel():
            _add(parts, "atomwise", targets.atomwise, prediction.atomwise, groups[owner], symbols)
        if prediction.additional is not None and targets.additional.numel():
            _add(parts, "additional", targets.additional, prediction.additional, groups, elements)
    return Errors(**{name: _joined(name, pieces) for name, pieces in parts.items()})


def score(pairs: np.ndarray) -> Score:
    """Errors of [n, 2] label-prediction pairs; NaN where there is nothing to score."""
    if len(pairs) == 0:
        return Score(float("nan"), float("nan"), float("nan"), 0)
    error = pairs[:, 1] - pairs[:, 0]
    spread = ((pairs[:, 0] - pairs[:, 0].mean()) ** 2).sum()
    r2 = float(1 - (error**2).sum() / spread) if spread > 0 else float("nan")
    return Score(float(np.abs(error).mean()), float(np.sqrt((error**2).mean())), r2, len(pairs))


def summary(errors: Errors) -> dict[str, float]:
    """The row of a history: MAE and RMSE in meV/atom, meV/Å, GPa or units of the labels; what has none is absent."""
    row = {}
    for name, pairs, factor, unit in (
        ("energy", errors.energy, MEV, "_mev_per_atom"),
        ("force", errors.forces, MEV, "_mev_per_a"),
        ("stress", errors.stress, 1.0, "_gpa"),
        ("atomwise", errors.atomwise, 1.0, ""),
        ("additional_output", errors.additional, 1.0, ""),
    ):
        if len(pairs):
            s = score(pairs)
            row[f"{name}_mae{unit}"] = factor * s.mae
            row[f"{name}_rmse{unit}"] = factor * s.rmse
    return row


def _predicted(
    potential: Potential, data: Dataset, batches: Iterable[list[int]], device: torch.device
) -> Iterator[Predicted]:
    for indices in batches:
        graph, targets = data.batch(indices, device)
        yield Predicted(indices, graph, targets, evaluate(potential, graph, want=Want.FORCES))


def _without_edges(seen: Predicted) -> Predicted:
    """The same on the CPU and without the edges, to be sent to others."""
    graph, p = seen.graph, seen.prediction
    none = {"edge_src": graph.edge_src[:0], "edge_dst": graph.edge_dst[:0], "edge_shift": graph.edge_shift[:0]}
    bare = to_device(graph._replace(**none, angle_in=None, angle_out=None), torch.device("cpu"))
    prediction = p._replace(**{name: t.cpu() for name, t in p._asdict().items() if t is not None})
    return Predicted(seen.indices, bare, Targets(*(t.cpu() for t in seen.targets)), prediction)


def _finite(values: Tensor, graph: AtomGraph) -> Tensor:
    """Whether all values of each structure are finite [G]; `values` are of structures [G] or atoms [N, 3]."""
    if values.dim() == 1:
        return torch.isfinite(values)
    strange = torch.zeros(len(graph.cell), device=values.device)
    return strange.index_add(0, graph.graph_index, (~torch.isfinite(values)).sum(1).to(strange.dtype)) == 0


def _add(
    parts: dict[str, list[np.ndarray]],
    name: str,
    label: Tensor,
    prediction: Tensor,
    groups: np.ndarray,
    elements: np.ndarray,
) -> None:
    """Append the labelled numbers of each row, marked with the row's group and elements."""
    rows = len(label)
    pairs = torch.stack([label.reshape(rows, -1), prediction.reshape(rows, -1)], dim=-1).cpu().numpy()
    labelled = np.isfinite(pairs[..., 0])
    parts[name].append(pairs[labelled])
    for mark, values in (("group", groups), ("element", elements)):
        parts[f"{name}_{mark}"].append(np.broadcast_to(values[:, None], labelled.shape)[labelled])


def _joined(name: str, pieces: list[np.ndarray]) -> np.ndarray:
    if pieces:
        return np.concatenate(pieces)
    return np.zeros(0, dtype=object) if name.endswith(("_group", "_element")) else np.zeros((0, 2))


def _elements(numbers: Tensor) -> str:
    return intern("-".join(SYMBOLS[int(z)] for z in torch.unique(numbers)))
