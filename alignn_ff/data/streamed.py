"""Samples that stay on disk: a sequence like any other, of which only names, weights and sizes are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alignn_ff.data.packing import pack_sample, unpack_sample
from alignn_ff.data.records import Records
from alignn_ff.data.sources import Sample


@dataclass
class Outline:
    """What a training knows of all its samples at any time; the fields of `Sample`, and atoms of each."""

    key: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    family: list[str] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    atoms: list[int] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """One more sample."""
        self.key.append(sample.key)
        self.group.append(sample.group)
        self.family.append(sample.family)
        self.weight.append(sample.weight)
        self.atoms.append(len(sample.graph.numbers))

    def of(self, indices: Sequence[int]) -> Outline:
        """That of some of the samples."""
        return Outline(*([values[i] for i in indices] for values in vars(self).values()))


class StreamedSamples(Sequence[Sample]):
    """Samples packed in `records`, read when they are asked for.

    Attributes:
        rows: number of each sample's record.
        outline: of the samples; its groups and weights are theirs.
    """

    def __init__(self, records: Records, rows: np.ndarray, outline: Outline) -> None:
        self.records = records
        self.rows = rows
        self.outline = outline

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        sample = unpack_sample(self.records[int(self.rows[index])])
        return sample._replace(weight=self.outline.weight[index])

    def select(self, indices: Sequence[int]) -> StreamedSamples:
        """Some of the samples, in the order asked for."""
        return StreamedSamples(self.records, self.rows[np.asarray(indices, dtype=np.int64)], self.outline.of(indices))


def opened(records: Records) -> StreamedSamples:
    """All samples of a file whose notes are their outline."""
    return StreamedSamples(records, np.arange(len(records)), Outline(**records.notes))


def packed(samples: Iterable[Sample], outline: Outline) -> Iterator[bytes]:
    """Records of samples; fills in their outline on the way."""
    for sample in samples:
        outline.add(sample)
        yield pack_sample(sample)


def outline_of(samples: Sequence[Sample]) -> Outline:
    """The outline of samples on disk or in memory."""
    if isinstance(samples, StreamedSamples):
        return samples.outline
    outline = Outline()
    for sample in samples:
        outline.add(sample)
    return outline


def select(samples: Sequence[Sample], indices: Sequence[int]) -> Sequence[Sample]:
    """Some of the samples, on disk or in memory as they are."""
    return samples.select(indices) if isinstance(samples, StreamedSamples) else [samples[i] for i in indices]


def weighed(samples: Sequence[Sample], factors: Mapping[str, float]) -> Sequence[Sample]:
    """The samples with the factors of their groups on their weights."""
    if isinstance(samples, StreamedSamples):
        outline = samples.outline
        weights = [w * factors.get(g, 1.0) for w, g in zip(outline.weight, outline.group, strict=True)]
        return StreamedSamples(samples.records, samples.rows, Outline(**{**vars(outline), "weight": weights}))
    return [s._replace(weight=s.weight * factors[s.group]) if s.group in factors else s for s in samples]
