"""From a config to what the loop needs: data in parts, and a potential that starts sensibly."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from alignn_ff.checkpoint import file_sha256
from alignn_ff.data.dataset import Budget, Dataset, elements_of
from alignn_ff.data.filters import Bounds, Filtered, report, within
from alignn_ff.data.lint import missing_label_note, stress_unit_warning, zero_stress_warning
from alignn_ff.data.sources import Sample
from alignn_ff.data.split import Shares, Split, load_split, make_split
from alignn_ff.data.streamed import Outline, outline_of, select, weighed
from alignn_ff.device import DTYPES
from alignn_ff.errors import ConfigError
from alignn_ff.graph import AtomGraph, edge_vectors
from alignn_ff.models import Potential, Sum, build
from alignn_ff.models.base import SYMBOLS, check_elements
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.core import with_core
from alignn_ff.training.domain import domain_of
from alignn_ff.training.freeze import freeze
from alignn_ff.training.labels import (
    check_extra_features,
    check_labels,
    check_outputs,
    check_widths,
    extra_features_of,
    keys_of,
    warn_of_constant_features,
)
from alignn_ff.training.references import compound_energies, force_scales, least_squares_energies
from alignn_ff.training.replay import aligned, replay_facts, replay_samples
from alignn_ff.training.storage import datasets, storage_of, training_samples
from alignn_ff.training.warm_start import large_enough, origin, refitted_energies, started_core, started_network

log = logging.getLogger(__name__)

_CALIBRATION = Budget(structures=1024, atoms=4096)


class Prepared(NamedTuple):
    """Data in parts, the potential to train, and the facts its checkpoint will state."""

    train: Dataset
    val: Dataset
    test: Dataset
    split: Split
    potential: Potential
    facts: dict[str, Any]


def prepare(config: TrainConfig, *, progress: bool = False) -> Prepared:
    """Read, check and split the data; build the potential from the statistics of the training part.

    Data too large for memory stay on disk: everything here goes through them one structure after the other.

    Raises:
        CacheError: what lies in `cache_dir` is of other data and is not to be replaced.
        DataError, ConfigError: see `read_all`, `make_split`; a loss weight without any label or output to apply it to;
            or structures without the extra features that the model wants.
    """
    check_outputs(config)
    keys = keys_of(config)
    storage = storage_of(config, progress)
    samples, removed = _within_bounds(config, remarked(training_samples(config.data, keys, storage, "data")))
    outline = outline_of(samples)
    split = _split(config, outline, removed)
    place = {key: index for index, key in enumerate(outline.key)}
    parts = [select(samples, [place[key] for key in part]) for part in split]
    if config.validation_data:
        parts[1] = remarked(training_samples(config.validation_data, keys, storage, "validation"))
    parts = [weighed(part, config.group_weights) for part in parts]
    check_labels(parts[0], config)
    torch.manual_seed(config.random_seed)
    replay = replay_samples(config, keys)
    for told in (*parts, replay):
        check_extra_features(told, config.model.get("extra_features", 0))
    if keys.extra_features:
        warn_of_constant_features(extra_features_of(parts[0]))
    potential = initial_potential(parts[0], config, replay)
    if "smooth_cutoff" not in potential.claims:
        log.warning(
            "energies of model %s jump as neighbours come and go: dynamics will drift, relaxations may not converge",
            config.model["name"],
        )
    for samples_of_part, what in zip(parts, Split._fields, strict=True):
        _check_elements(potential, samples_of_part, what)
        check_widths(samples_of_part, potential, keys)
    learned = [*parts[0], *aligned(replay, potential)] if replay else parts[0]
    train, val, test = datasets([learned, *parts[1:]], potential, config.graph_cache_mb, storage)
    typical = _typical(train, config.random_seed)
    calibrate = potential.calibrate if config.start_from is None else potential.recalibrate
    calibrate(typical, edge_vectors(typical).to(potential.dtype))
    domain = domain_of(train)
    if config.core:
        potential = with_core(potential, domain, started_core(config.start_from))
    facts = {
        "data": {
            "files": {
                Path(f).name: file_sha256(f) for f in (*config.data, *config.validation_data) if Path(f).is_file()
            },
            "structures": {name: len(part) for name, part in zip(Split._fields, parts, strict=True)},
            "atoms": {name: sum(outline_of(part).atoms) for name, part in zip(Split._fields, parts, strict=True)},
        },
        **({"removed": {name: len(keys) for name, keys in removed.items()}} if removed else {}),
        "domain": domain.facts(),
    }
    if config.start_from is not None:
        facts["started_from"] = origin(config.start_from)
    if replay:
        facts["replay"] = replay_facts(config, replay)
    return Prepared(train, val, test, split, potential, facts)


def remarked(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples, after a warning of what looks wrong with them or is missing."""
    for remark in (stress_unit_warning(samples), zero_stress_warning(samples), missing_label_note(samples)):
        if remark:
            log.warning(remark)
    return samples


def initial_potential(samples: Sequence[Sample], config: TrainConfig, replay: Sequence[Sample] = ()) -> Sum:
    """Reference energies, a network, and ZBL unless switched off.

    The network is the one of `config.start_from`, or the configured one with scales from the data. Reference energies
    of elements that are in `replay` alone are fitted to that.
    """
    elements = [SYMBOLS[int(z)] for z in elements_of([*samples, *replay] if replay else samples)]
    energies = _given_energies(config, samples, elements)
    if config.start_from is not None:
        scales = force_scales(samples, elements) if config.fresh_elements else None
        network: Potential = large_enough(started_network(config.start_from, elements, scales), config)
        energies = energies or refitted_energies(Sum([network, *_repulsion(config, elements)]), samples, replay)
    else:
        network = build({**config.model, "elements": elements, "energy_scale": force_scales(samples, elements)})
        energies = energies or least_squares_energies(samples, elements, remark=True)
    references = build({"name": "reference_energies", "elements": elements, "energies": energies})
    potential = Sum([references, network, *_repulsion(config, elements)]).to(DTYPES[config.dtype])
    freeze(potential, config.freeze)
    return potential


def _repulsion(config: TrainConfig, elements: Sequence[str]) -> list[Potential]:
    return [build({"name": "zbl", "elements": elements})] if config.zbl else []


def _check_elements(potential: Potential, samples: Sequence[Sample], what: str) -> None:
    known = {SYMBOLS.index(element) for element in potential.elements}
    if set(elements_of(samples).tolist()) <= known:
        return
    for sample in samples:
        check_elements(potential.elements, sample.graph.numbers, f"{what} structure {sample.key}")


def _within_bounds(config: TrainConfig, samples: Sequence[Sample]) -> Filtered:
    bounds = Bounds(config.max_energy, config.max_forces, config.reference_energies)
    filtered = within(samples, bounds)
    if filtered.removed:
        log.warning(report(filtered.removed, bounds))
    return filtered


def _split(config: TrainConfig, outline: Outline, removed: Mapping[str, Sequence[str]]) -> Split:
    if config.split_file:
        out = {key for keys in removed.values() for key in keys}
        split = load_split(Path(config.split_file), [*outline.key, *out])
        return Split(*(tuple(key for key in part if key not in out) for part in split))
    shares = Shares(
        config.n_train, config.n_val, config.n_test, config.train_ratio, config.val_ratio, config.test_ratio
    )
    if config.validation_data:
        shares = shares.beside_validation_data()
    families = [family or key for family, key in zip(outline.family, outline.key, strict=True)]
    seed = config.random_seed if config.split_seed is None else config.split_seed
    groups = outline.group if config.stratify_split else None
    return make_split(
        outline.key, shares, seed=seed, shuffle=not config.keep_data_order, families=families, groups=groups
    )


def _typical(data: Dataset, seed: int) -> AtomGraph:
    """Structures drawn from all of the training set, for a potential to see before it learns."""
    (batch, *_) = data.batches(_CALIBRATION, torch.Generator().manual_seed(seed))
    return data.batch(batch).graph


def _given_energies(config: TrainConfig, samples: Sequence[Sample], elements: Sequence[str]) -> list[float] | None:
    if config.reference_compounds:
        return compound_energies(samples, elements, config.reference_compounds)
    given = config.reference_energies
    if given is None:
        return None
    absent = [e for e in elements if e not in given]
    if absent:
        raise ConfigError(f"`reference_energies` has no {' '.join(absent)}, which the training data hold.")
    return [given[e] for e in elements]
