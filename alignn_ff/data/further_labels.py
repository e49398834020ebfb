"""Values of atoms and structures beside energies, and what is told of structures: how many there are, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from alignn_ff.data.sources import Keys, Sample

NAMES = {"atomwise": "values of atoms", "additional": "values of structures", "extra_features": "extra features"}
"""What they are, by their field in `Keys`."""


class Widths(NamedTuple):
    """How many values structures have.

    Attributes:
        usual: how many most have that have any; 0 where none has.
        missing, other: keys of the structures without any, and with another number of them.
    """

    usual: int
    missing: tuple[str, ...]
    other: tuple[str, ...]


def values_of(sample: Sample, of: str) -> Tensor | None:
    """Values of one kind [rows, K], missing ones NaN; None where there are none at all."""
    found = sample.graph.extra_features if of == "extra_features" else getattr(sample.targets, of)
    return None if found is None or not bool(torch.isfinite(found).any()) else found


def widths(samples: Sequence[Sample], of: str) -> Widths:
    """How many values of one kind there are, and which structures differ."""
    counts = {s.key: 0 if (found := values_of(s, of)) is None else found.shape[1] for s in samples}
    present = Counter(count for count in counts.values() if count)
    usual = present.most_common(1)[0][0] if present else 0
    return Widths(
        usual,
        tuple(key for key, count in counts.items() if not count),
        tuple(key for key, count in counts.items() if count not in (0, usual)),
    )


def columns(samples: Sequence[Sample], of: str, keys: Keys) -> dict[str, Tensor]:
    """The values of one kind by their names, or numbered, of all structures that have as many as most."""
    usual = widths(samples, of).usual
    found = [values for s in samples if (values := values_of(s, of)) is not None and values.shape[1] == usual]
    return dict(zip(column_names(of, keys, usual), torch.cat(found).T, strict=True)) if found else {}


def column_names(of: str, keys: Keys, count: int) -> tuple[str, ...]:
    """A name for each of `count` values of one kind: those in `keys`, or the one there with numbers behind."""
    told = getattr(keys, of)
    names = (told,) if isinstance(told, str) else told
    if len(names) == count:
        return names
    stem = names[0] if len(names) == 1 else of
    return tuple(f"{stem}_{place}" for place in range(count))
