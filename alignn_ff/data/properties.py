"""Structures with a property as their label: numbers or a class of each, and numbers to be told beside the atoms."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from ase import Atoms
from torch import Tensor

from alignn_ff.data import id_prop, jarvis
from alignn_ff.data.sources import Sample, told_features
from alignn_ff.errors import DataError, StructureError
from alignn_ff.io import Targets, each_frame, from_ase

log = logging.getLogger(__name__)


class PropertyKeys(NamedTuple):
    """Names of the label and of the extra features in a source; a CSV file names neither."""

    target: str = "target"
    extra_features: str | None = None


class Labelled(NamedTuple):
    """One structure, with what is told beside it, and its label [K].

    Attributes:
        sample: the structure and its name; its energy and forces are missing.
    """

    sample: Sample
    values: Tensor


def read_properties(files: Sequence[str | Path], keys: PropertyKeys) -> list[Labelled]:
    """All that `each_property` reads."""
    return [labelled(sample) for sample in each_property(files, keys)]


def each_property(files: Sequence[str | Path], keys: PropertyKeys) -> Iterator[Sample]:
    """Every structure of some sources that has a label, one after the other, under keys that no two share.

    The label is the additional values of a sample, so that it is kept on disk as any other.

    Args:
        files: `id_prop.csv` (file,value[,value…] a line), `id_prop.json` (also zipped), a folder with one of them,
            `jarvis:NAME` for a data set of jarvis-tools, or any file that ASE reads, labels in its `info`.
        keys: names of the labels.
    Raises:
        DataError: no such file, unreadable, no labels, labels of different lengths, two structures of one name.
    """
    seen: set[str] = set()
    first: tuple[int, int] | None = None
    for file in files:
        for one in _read_one(Path(file), keys):
            told = one.sample.graph.extra_features
            lengths = len(one.values), 0 if told is None else told.shape[1]
            first = first or lengths
            _check_alike(first, lengths, one.sample.key)
            if one.sample.key in seen:
                raise DataError(
                    f"two structures are called {one.sample.key}; give files and records names of their own."
                )
            seen.add(one.sample.key)
            yield one.sample._replace(targets=one.sample.targets._replace(additional=one.values.unsqueeze(0)))


def labelled(sample: Sample) -> Labelled:
    """A sample of `each_property` with its label apart."""
    return Labelled(sample, sample.targets.additional[0].clone())  # not a piece of all that was read from disk


def _read_one(path: Path, keys: PropertyKeys) -> Iterator[Labelled]:
    path = id_prop.find(path)
    if not (path.is_file() or jarvis.is_named(path)):
        raise DataError(f"{path}: no such file. Expected {', '.join(id_prop.NAMES)}, a folder with one, or structures.")
    count = there = 0
    for row in _rows(path, keys):
        count += 1
        if not _is_absent(row[2]):
            there += 1
            yield _labelled(*row, path)
    if not there:
        raise DataError(f"{path}: no structure has a label called {keys.target!r}; set `target` to the right name.")
    if there < count:
        log.warning("%s: %d of %d structures have no label and are left out", path, count - there, count)


def _rows(path: Path, keys: PropertyKeys) -> Iterator[tuple[str, Atoms, Any, Any]]:
    """Name, structure, label and extra features of each."""
    if id_prop.is_csv(path):
        for key, atoms, values in id_prop.read_rows(path):
            yield key, atoms, values, None
    elif id_prop.is_json(path) or jarvis.is_named(path):
        records = jarvis.read_named(str(path)) if jarvis.is_named(path) else id_prop.read_records(path)
        for key, atoms, fields in records:
            yield key, atoms, *(_entry(fields, name) for name in keys)
    else:
        for place, atoms in enumerate(_frames(path)):
            yield f"{path.name}@{place}", atoms, *(_entry(atoms.info, name) for name in keys)


def _entry(record: Mapping[str, Any], name: str | None) -> Any:
    return None if name is None else record.get(name)


def _frames(path: Path) -> Iterator[Atoms]:
    try:
        yield from each_frame(path)
    except StructureError as error:
        raise DataError(str(error)) from error


def _is_absent(label: Any) -> bool:
    if isinstance(label, str) or label is None:
        return label in id_prop.ABSENT
    return isinstance(label, float) and math.isnan(label)


def _labelled(key: str, atoms: Atoms, label: Any, extra: Any, path: Path) -> Labelled:
    where = f"{path}: structure {key}"
    try:
        graph = from_ase(atoms)
    except StructureError as error:
        raise DataError(f"{where}: {error}") from error
    missing = torch.full((len(atoms), 3), torch.nan, dtype=torch.float64)
    targets = Targets(missing[:1, 0], missing, torch.full((1, 3, 3), torch.nan, dtype=torch.float64), missing[:, 0])
    if extra is not None:
        graph = graph._replace(extra_features=told_features(extra, where))
    return Labelled(Sample(graph, targets, key, "all"), _numbers(label, where))


def _numbers(value: Any, where: str) -> Tensor:
    try:
        listed = value if isinstance(value, list | tuple) else value.tolist() if hasattr(value, "tolist") else value
        numbers = [float(v) for v in (listed if isinstance(listed, list | tuple) else [listed])]
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: its label {value!r} is no number or list of numbers ({error}).") from error
    if not all(math.isfinite(v) for v in numbers):
        raise DataError(f"{where}: its label {value!r} holds what is not finite.")
    return torch.tensor(numbers, dtype=torch.float64)


def _check_alike(first: tuple[int, int], lengths: tuple[int, int], key: str) -> None:
    for what, expected, seen in zip(("labels", "extra features"), first, lengths, strict=True):
        if seen != expected:
            raise DataError(
                f"structures have {what} of {expected} and {seen} numbers ({key} is the first with other ones); "
                "expected as many of each."
            )
