"""What validation and test share with the training part, and so do not test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from alignn_ff.data.findings import fingerprint
from alignn_ff.data.overview import composition
from alignn_ff.data.sources import Sample
from alignn_ff.data.split import Split

SHARED: dict[str, Callable[[Sample], object]] = {
    "the very structure": fingerprint,
    "the same atoms in the same order": lambda sample: tuple(sample.graph.numbers.tolist()),
    "the composition": composition,
    "the group": lambda sample: sample.group,
}
"""What two structures can have in common, closest first."""


class Leak(NamedTuple):
    """How many structures of a part share something with one that is trained on."""

    part: str
    shared: str
    structures: int
    of: int


def leaks(samples: Sequence[Sample], split: Split) -> list[Leak]:
    """Counts for validation and test, for all of `SHARED`."""
    # Of what they have in common the hash alone: the structures may be too many for memory.
    marks = {sample.key: {shared: hash(mark(sample)) for shared, mark in SHARED.items()} for sample in samples}
    found = []
    for shared in SHARED:
        trained = {marks[key][shared] for key in split.train}
        for part in ("val", "test"):
            keys = getattr(split, part)
            count = sum(marks[key][shared] in trained for key in keys)
            found.append(Leak(part, shared, count, len(keys)))
    return found
