"""Sums over the edges that lead into an atom, and what their ends tell them, in plain torch.

Edges come sorted by the atom that receives them, so they can be laid out as a table [N, M] with M the largest number
of edges into one atom. A sum of outer products over edges is then a batched matrix product: on a CPU several times
faster, forward and backward, than forming the [E, C, S] products and scattering them.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Slots(NamedTuple):
    """Where each edge stands in the table: row-major place [E], rows N, columns M."""

    place: Tensor
    rows: int
    columns: int


class Links(Protocol):
    """How the nodes of a graph, or of its line graph, are linked, and what nodes and links tell each other.

    Attributes:
        src, dst: ends of each link [E], sorted by dst.
        envelope: weight of each link [E, 1], zero at the cutoff; None for the published form, which has none.
    """

    @property
    def src(self) -> Tensor: ...

    @property
    def dst(self) -> Tensor: ...

    @property
    def envelope(self) -> Tensor | None: ...

    def meet(self, from_src: Tensor, from_dst: Tensor) -> Tensor:
        """a_src + b_dst of each link: [N, F], [N, F] -> [E, F]."""

    def heard(self, values: Tensor, weights: Tensor) -> Tensor:
        """Σ_{e→i} w_e ⊙ v_src: [N, F], [E, F] -> [N, F]."""

    def total(self, weights: Tensor) -> Tensor:
        """Σ_{e→i} w_e: [E, F] -> [N, F]."""


class Spokes(NamedTuple):
    """Edges in the table of the atoms that receive them, N rows of M places; places without an edge count nothing.

    Attributes:
        src: sender in each place [N M]; atom 0 where there is none.
        basis: of the edge [N, M, K].
        weighted: basis times envelope [N, M, K], zero where there is no edge.
    """

    src: Tensor
    basis: Tensor
    weighted: Tensor

    def heard(self, values: Tensor) -> Tensor:
        """What the senders say, in the places: [N, F] -> [N, M, F]; anything where there is no edge."""
        return values.index_select(0, self.src).view(*self.basis.shape[:2], values.shape[1])


def spokes(src: Tensor, basis: Tensor, envelope: Tensor, where: Slots) -> Spokes:
    """The table of edges with senders `src` [E], basis [E, K] and envelope [E, 1]."""
    senders = src.new_zeros(where.rows * where.columns).index_copy_(0, where.place, src)
    table = to_table(basis, where)
    return Spokes(senders, table, to_table(envelope, where) * table)


def slots(dst: Tensor, rows: int) -> Slots:
    """Places of edges sorted by `dst` [E] in a table of `rows` rows."""
    count = torch.bincount(dst, minlength=rows)
    columns = int(count.max()) if len(dst) else 0
    first = torch.cumsum(count, 0) - count
    rank = torch.arange(len(dst), device=dst.device) - first[dst]
    return Slots(dst * columns + rank, rows, columns)


class TorchLinks(NamedTuple):
    """`Links` in plain torch; `where` are their places in the table."""

    src: Tensor
    dst: Tensor
    envelope: Tensor | None
    where: Slots

    def meet(self, from_src: Tensor, from_dst: Tensor) -> Tensor:
        return from_src.index_select(0, self.src) + from_dst.index_select(0, self.dst)

    def heard(self, values: Tensor, weights: Tensor) -> Tensor:
        return edge_sum(weights * values.index_select(0, self.src), self.where)

    def total(self, weights: Tensor) -> Tensor:
        return edge_sum(weights, self.where)


def link(src: Tensor, dst: Tensor, nodes: int, envelope: Tensor | None) -> Links:
    """Links between `nodes` nodes, with ends `src` and `dst` [E], sorted by `dst`, and envelope [E, 1]."""
    return TorchLinks(src, dst, envelope, slots(dst, nodes))


def edge_sum(values: Tensor, where: Slots) -> Tensor:
    """Σ_{e→i} v_e: [E, F] -> [N, F]."""
    return to_table(values, where).sum(1)


def edge_outer_sum(left: Tensor, right: Tensor, where: Slots) -> Tensor:
    """Σ_{e→i} l_e ⊗ r_e: [E, S], [E, C] -> [N, S, C]."""
    return torch.bmm(to_table(left, where).transpose(1, 2), to_table(right, where))


def to_table(values: Tensor, where: Slots) -> Tensor:
    """[E, F] -> [N, M, F], zero where there is no edge."""
    table = values.new_zeros(where.rows * where.columns, values.shape[1])
    return table.index_copy_(0, where.place, values).view(where.rows, where.columns, values.shape[1])
