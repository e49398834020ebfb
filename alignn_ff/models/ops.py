"""Sums over the edges that lead into an atom, in plain torch.

Edges come sorted by the atom that receives them, so they can be laid out as a table [N, M] with M the largest number
of edges into one atom. A sum of outer products over edges is then a batched matrix product: on a CPU several times
faster, forward and backward, than forming the [E, C, S] products and scattering them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Slots(NamedTuple):
    """Where each edge stands in the table: row-major place [E], rows N, columns M."""

    place: Tensor
    rows: int
    columns: int


def slots(dst: Tensor, rows: int) -> Slots:
    """Places of edges sorted by `dst` [E] in a table of `rows` rows."""
    count = torch.bincount(dst, minlength=rows)
    columns = int(count.max()) if len(dst) else 0
    first = torch.cumsum(count, 0) - count
    rank = torch.arange(len(dst), device=dst.device) - first[dst]
    return Slots(dst * columns + rank, rows, columns)


def edge_sum(values: Tensor, where: Slots) -> Tensor:
    """Σ_{e→i} v_e: [E, F] -> [N, F]."""
    return _table(values, where).sum(1)


def edge_outer_sum(left: Tensor, right: Tensor, where: Slots) -> Tensor:
    """Σ_{e→i} l_e ⊗ r_e: [E, S], [E, C] -> [N, S, C]."""
    return torch.bmm(_table(left, where).transpose(1, 2), _table(right, where))


def _table(values: Tensor, where: Slots) -> Tensor:
    """[E, F] -> [N, M, F], zero where there is no edge."""
    table = values.new_zeros(where.rows * where.columns, values.shape[1])
    return table.index_copy_(0, where.place, values).view(where.rows, where.columns, values.shape[1])
