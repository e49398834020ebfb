"""Properties of structures by a trained or published property model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from alignn_ff.device import choose_device
from alignn_ff.errors import ConfigError
from alignn_ff.graph import AtomGraph, concat, edge_vectors, to_device
from alignn_ff.io import EXTRA_FEATURES, from_ase, with_extra_features
from alignn_ff.models import PropertyModel
from alignn_ff.models.base import check_elements
from alignn_ff.neighbors import connect
from alignn_ff.pretrained import load_property

_BATCH_ATOMS = 2048
"""Atoms that are predicted at once, unless one structure has more."""


def predict_property(
    model: str | Path | PropertyModel,
    structures: Sequence[Atoms],
    *,
    extra_features: np.ndarray | None = None,
    device: str = "auto",
) -> np.ndarray:
    """What a property model says of structures: values, or probabilities of classes, [n, K].

    Args:
        model: a name, a file, a published ALIGNN folder or zip, or a model itself.
        extra_features: [n, X], where the model wants them; those of `Atoms.info["extra_features"]` unless given.
        device: "auto", "cpu" or "cuda".
    Raises:
        StructureError, UnknownElementError: a structure that cannot be evaluated, or lacks extra features.
        CheckpointError: a force field, or no model at all.
        ConfigError: `extra_features` are of another shape.
    """
    place = choose_device(device)
    network = (model if isinstance(model, PropertyModel) else load_property(model).model).to(place).eval()
    if extra_features is not None:
        structures = _told(structures, np.asarray(extra_features, dtype=float), network.extra_features)
    found = []
    for batch in _batches(structures):
        graph = to_device(concat([_graph(network, structures[i], i) for i in batch]), place)
        check_elements(network.elements, graph.numbers)
        with torch.no_grad():
            scores = network(graph, edge_vectors(graph).to(network.dtype))
        found.append(scores.value.cpu().numpy())
    return np.concatenate(found) if found else np.zeros((0, 1))


def _told(structures: Sequence[Atoms], told: np.ndarray, width: int) -> list[Atoms]:
    """Copies of the structures that are told their rows."""
    if told.shape != (len(structures), width):
        raise ConfigError(
            f"extra_features are given an array of shape {told.shape}; the model wants {(len(structures), width)}."
        )
    copies = [atoms.copy() for atoms in structures]
    for atoms, row in zip(copies, told, strict=True):
        atoms.info[EXTRA_FEATURES] = row
    return copies


def _graph(network: PropertyModel, atoms: Atoms, place: int) -> AtomGraph:
    bare = with_extra_features(from_ase(atoms), atoms, network.extra_features, f"structure {place}")
    return connect(bare, **network.wants)


def _batches(structures: Sequence[Atoms]) -> list[list[int]]:
    batches: list[list[int]] = []
    atoms = _BATCH_ATOMS
    for index, structure in enumerate(structures):
        if atoms + len(structure) > _BATCH_ATOMS:
            batches.append([])
            atoms = 0
        batches[-1].append(index)
        atoms += len(structure)
    return batches
