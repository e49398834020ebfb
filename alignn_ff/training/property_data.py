"""From the config of a property model to its data in parts and the model that starts sensibly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alignn_ff.checkpoint import file_sha256
from alignn_ff.data.dataset import Budget, Dataset, elements_of
from alignn_ff.data.loading import Loader
from alignn_ff.data.properties import Labelled, PropertyKeys, each_property, labelled
from alignn_ff.data.sources import Sample
from alignn_ff.data.split import Shares, Split, make_split
from alignn_ff.data.streamed import outline_of, select
from alignn_ff.device import DTYPES
from alignn_ff.errors import DataError
from alignn_ff.graph import AtomGraph
from alignn_ff.models import PropertyModel, build_property
from alignn_ff.models.base import SYMBOLS, check_elements
from alignn_ff.training.labels import check_extra_features, extra_features_of, warn_of_constant_features
from alignn_ff.training.property_config import PropertyTrainConfig
from alignn_ff.training.storage import datasets, storage_of, training_samples


class Part(NamedTuple):
    """Structures with edges and labels [n, K]."""

    data: Dataset
    labels: Tensor

    def batch(
        self, indices: Sequence[int], device: torch.device, loader: Loader | None = None
    ) -> tuple[AtomGraph, Tensor]:
        """Graph and labels of some structures, in that order.

        Args:
            loader: of `data`, which may have made the graph ahead.
        """
        graph, _ = self.data.batch(indices, device) if loader is None else loader.batch(indices, device)
        return graph, self.labels[list(indices)].to(device)

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


def prepare_property(config: PropertyTrainConfig, *, progress: bool = False) -> PreparedProperty:
    """Read, check and split the data; build the model from the statistics of the training part.

    Structures too many for memory stay on disk; labels are held.

    Raises:
        CacheError: what lies in `cache_dir` is of other data and is not to be replaced.
        DataError, ConfigError: see `each_property`, `make_split`; or labels that do not fit the model.
    """
    keys = PropertyKeys(config.target, config.extra_features_key)
    storage = storage_of(config, progress)
    samples = training_samples(config.data, keys, storage, "data", each_property)
    shares = Shares(
        config.n_train, config.n_val, config.n_test, config.train_ratio, config.val_ratio, config.test_ratio
    )
    if config.validation_data:
        shares = shares.beside_validation_data()
    names = outline_of(samples).key
    split = make_split(names, shares, seed=config.random_seed, shuffle=not config.keep_data_order)
    place = {name: index for index, name in enumerate(names)}
    parts = [select(samples, [place[name] for name in part]) for part in split]
    if config.validation_data:
        parts[1] = training_samples(config.validation_data, keys, storage, "validation", each_property)
    labels = [_labels(part, config) for part in parts]
    baseline, scale = _statistics(labels[0], config)
    torch.manual_seed(config.random_seed)
    model = _model(config, parts[0], baseline, scale)
    for part, what in zip(parts, Split._fields, strict=True):
        for sample in part:
            check_elements(model.elements, sample.graph.numbers, f"{what} structure {sample.key}")
        check_extra_features(part, model.extra_features)
    if model.extra_features:
        told = extra_features_of(parts[0])
        warn_of_constant_features(told)
        model.standardize_extra_features(told)
    connected = datasets(parts, model, config.graph_cache_mb, storage)
    train, val, test = (Part(*both) for both in zip(connected, labels, strict=True))
    files = {Path(f).name: file_sha256(f) for f in (*config.data, *config.validation_data) if Path(f).is_file()}
    counts = {name: len(part) for name, part in zip(Split._fields, parts, strict=True)}
    facts = {"data": {"files": files, "structures": counts}}
    return PreparedProperty(train, val, test, split, model, facts, baseline, scale)


def _model(config: PropertyTrainConfig, samples: Sequence[Sample], baseline: Tensor, scale: Tensor) -> PropertyModel:
    elements = [SYMBOLS[int(z)] for z in elements_of(samples)]
    constants = {"shift": baseline.tolist(), "scale": scale.tolist()} if _is_plain(config.model) else {}
    about = {"elements": elements, "target": config.target, "unit": config.unit}
    return build_property({**config.model, **about, **constants}).to(DTYPES[config.dtype])


def _is_plain(model: dict[str, Any]) -> bool:
    return not (model["classification"] or model["zero_inflated"]) and model["link"] == "identity"


def _labels(samples: Sequence[Sample], config: PropertyTrainConfig) -> Tensor:
    """Labels of a part, [n, K]."""
    found = [_label(labelled(sample), config) for sample in samples]
    return torch.stack(found) if found else torch.zeros(0, 1)


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
