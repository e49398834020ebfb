"""What a model was trained on, as a fact of its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.data.sources import DEFAULT_KEYS, Keys, read_all
from alignn_ff.data.split import load_split
from alignn_ff.domain import Domain, measure
from alignn_ff.errors import OutputExistsError
from alignn_ff.models.base import check_elements

_TOGETHER = Budget(structures=64, atoms=2000)
"""Structures looked at in one go, which costs a tenth of one after the other."""


def domain_of(data: Dataset) -> Domain:
    """What the structures of a data set span."""
    return measure((data.batch(indices).graph for indices in data.batches(_TOGETHER)), data.cutoff)


def add_domain(
    model: str | Path,
    data: Sequence[str | Path],
    out: str | Path,
    *,
    split_file: str | Path | None = None,
    keys: Keys = DEFAULT_KEYS,
) -> None:
    """Write a checkpoint trained by an earlier version once more, with what it was trained on; nothing else changes.

    Args:
        model: the checkpoint.
        data: files of the structures it was trained on.
        out: where to write; nothing may be there.
        split_file: `ids_train_val_test.json` of its training; without it every structure counts as trained on.
        keys: names of the labels in `data`.
    Raises:
        CheckpointError, DataError: see `load_checkpoint`, `read_all`, `load_split`.
        UnknownElementError: the data are not what the model was trained on.
        OutputExistsError: there is a file at `out`.
    """
    if Path(out).exists():
        raise OutputExistsError(f"{out} exists already. Choose another name, or remove it first.")
    potential, facts, _ = load_checkpoint(model)
    samples = read_all(data, keys)
    if split_file is not None:
        trained = set(load_split(Path(split_file), [sample.key for sample in samples]).train)
        samples = [sample for sample in samples if sample.key in trained]
    for sample in samples:
        check_elements(potential.elements, sample.graph.numbers, f"structure {sample.key}")
    domain = domain_of(Dataset(samples, **potential.wants, memory_mb=0.0))
    save_checkpoint(out, potential, {**facts, "domain": domain.facts()})
