"""What tests ask of graphs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def alike(one: Iterable[Tensor | None], other: Iterable[Tensor | None]) -> bool:
    """Whether two graphs, or other tuples of tensors, are the same; what is None must be None in both."""
    pairs = zip(one, other, strict=True)
    return all(a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)
