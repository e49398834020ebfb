"""From the config of a property model to its data in parts and the model that starts sensibly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alignn_ff.checkpoint import file_sha256
from alignn_ff.data.dataset import Budget, Dataset, elements_of
from alignn_ff.data.properties import Labelled, PropertyKeys, read_properties
from alignn_ff.data.split import Shares, Split, make_split
from alignn_ff.device import DTYPES
from alignn_ff.errors import DataError
from alignn_ff.graph import AtomGraph, concat, to_device
from alignn_ff.models import PropertyModel, build_property
from alignn_ff.models.base import SYMBOLS, check_elements
from alignn_ff.training.labels import check_extra_features, extra_features_of, warn_of_constant_features
from alignn_ff.training.property_config import PropertyTrainConfig


class Part(NamedTuple):
    """Structures with edges and labels [n, K]."""

    data: Dataset
    labels: Tensor

    def batch(self, indices: Sequence[int], device: torch.device) -> tuple[AtomGraph, Tensor]:
        """Graph and labels of some structures, in that order."""
        graph = concat([self.data.graph(i) for i in indices])
        return to_device(graph, device), self.labels[list(indices)].to(device)

    def batches(self, budget: Budget, generator: torch.Generator | None = None) -> list[list[int]]:
        """As `Dataset.batches`; a structure left over is put to the batch before: BatchNorm needs two."""
        batches = self.data.batches(budget, generator)
        if generator is not None and len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [batches[-2] + batches[-1]]
        return batches


class PreparedProperty(NamedTuple):
    """Data in parts, the model to train, the facts its checkpoint will state, and statistics of the training labels.

    Attributes:
        baseline: [K] mean label, or share of each class.
        scale: [K] spread of the labels; 1 for classes.
    """

    train: Part
    val: Part
    test: Part
    split: Split
    model: PropertyModel
    facts: dict[str, Any]
    baseline: Tensor
    scale: Tensor


def prepare_property(config: PropertyTrainConfig) -> PreparedProperty:
    """Read, check and split the data; build the model from the statistics of the training part.

    Raises:
        DataError, ConfigError: see `read_properties`, `make_split`; or labels that do not fit the model.
    """
    keys = PropertyKeys(config.target, config.extra_features_key)
    found = read_properties(config.data, keys)
    shares = Shares(
        config.n_train, config.n_val, config.n_test, config.train_ratio, config.val_ratio, config.test_ratio
    )
    if config.validation_data:
        shares = shares.beside_validation_data()
    names = [one.sample.key for one in found]
    split = make_split(names, shares, seed=config.random_seed, shuffle=not config.keep_data_order)
    by_name = dict(zip(names, found, strict=True))
    parts = [[by_name[name] for name in part] for part in split]
    if config.validation_data:
        parts[1] = read_properties(config.validation_data, keys)
    labels = torch.stack([_label(one, config) for one in parts[0]])
    baseline, scale = _statistics(labels, config)
    torch.manual_seed(config.random_seed)
    model = _model(config, parts[0], baseline, scale)
    training = [one.sample for one in parts[0]]
    check_extra_features(training, model.extra_features)
    warn_of_constant_features(training)
    model.standardize_extra_features(extra_features_of(training))
    train, val, test = (_part(part, model, config, what) for part, what in zip(parts, Split._fields, strict=True))
    files = {Path(f).name: file_sha256(f) for f in (*config.data, *config.validation_data) if Path(f).is_file()}
    counts = {name: len(part) for name, part in zip(Split._fields, parts, strict=True)}
    facts = {"data": {"files": files, "structures": counts}}
    return PreparedProperty(train, val, test, split, model, facts, baseline, scale)


def _model(config: PropertyTrainConfig, samples: Sequence[Labelled], baseline: Tensor, scale: Tensor) -> PropertyModel:
    elements = [SYMBOLS[int(z)] for z in elements_of([one.sample for one in samples])]
    constants = {"shift": baseline.tolist(), "scale": scale.tolist()} if _is_plain(config.model) else {}
    about = {"elements": elements, "target": config.target, "unit": config.unit}
    return build_property({**config.model, **about, **constants}).to(DTYPES[config.dtype])


def _is_plain(model: dict[str, Any]) -> bool:
    return not (model["classification"] or model["zero_inflated"]) and model["link"] == "identity"


def _part(samples: Sequence[Labelled], model: PropertyModel, config: PropertyTrainConfig, what: str) -> Part:
    for one in samples:
        check_elements(model.elements, one.sample.graph.numbers, f"{what} structure {one.sample.key}")
    check_extra_features([one.sample for one in samples], model.extra_features)
    data = Dataset([one.sample for one in samples], **model.wants, memory_mb=config.graph_cache_mb)
    if not samples:
        return Part(data, torch.zeros(0, 1))
    return Part(data, torch.stack([_label(one, config) for one in samples]))


def _label(one: Labelled, config: PropertyTrainConfig) -> Tensor:
    """The label of a structure as the model is to predict it, [K]."""
    model, where = config.model, f"structure {one.sample.key}"
    expected = 1 if model["classification"] else model["output_features"]
    if len(one.values) != expected:
        raise DataError(
            f"{where}: its label holds {len(one.values)} numbers; the model has {expected}. Set output_features of the "
            "model to how many there are."
        )
    label = one.values * config.target_multiplication_factor
    if config.classification_threshold is not None:
        return (label > config.classification_threshold).to(label.dtype)
    if model["classification"] and float(label) not in range(model["num_classes"]):
        raise DataError(
            f"{where}: its label is {float(label):g}; expected a class from 0 to {model['num_classes'] - 1}. Set "
            "model.num_classes, or classification_threshold to make two classes of values."
        )
    if config.criterion == "poisson":
        if bool((label < 0).any()):
            raise DataError(f"{where}: its label is {label.tolist()}; criterion poisson is for counts, 0 or more.")
        return label
    least = {"log": "positive", "logit": "between 0 and 1"}.get(model["link"])
    inside = bool(((label > 0) & ((label < 1) | (model["link"] == "log"))).all())
    if (least and not inside) or (model["zero_inflated"] and bool((label < 0).any())):
        raise DataError(f"{where}: its label is {label.tolist()}; the model predicts {least or 'no negative'} values.")
    return label


def _statistics(labels: Tensor, config: PropertyTrainConfig) -> tuple[Tensor, Tensor]:
    """Baseline and scale of the training labels."""
    if config.model["classification"]:
        count = torch.bincount(labels[:, 0].to(torch.int64), minlength=config.model["num_classes"])
        if int((count > 0).sum()) < 2:
            raise DataError("all training structures are of one class; there is nothing to learn.")
        return count.to(torch.float64) / len(labels), torch.ones(1, dtype=torch.float64)
    spread = labels.std(0, correction=0)
    if bool((spread == 0).any()):
        raise DataError("a label is the same for all training structures; there is nothing to learn.")
    return labels.mean(0), spread
