"""Sums over the edges that lead into an atom, and what their ends tell them, in plain torch.

Edges come sorted by the atom that receives them, so they can be laid out as a table [N, M] with M the largest number
of edges into one atom. A sum of outer products over edges is then a batched matrix product: on a CPU several times
faster, forward and backward, than forming the [E, C, S] products and scattering them. Where atoms differ much in their
number of edges, as in a batch of all sorts of structures, they share several tables, so that few places stay empty.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

_WIDTHS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Edges into one atom, at most, of the tables that differing atoms share."""
_SPARE, _SMALL = 1.5, 1000
"""One table serves all while it has so many times as many places as there are edges, and a few more."""


class Slots(NamedTuple):
    """Where each edge stands in tables that follow one another, P places in all.

    Attributes:
        dst: atom that receives each edge [E].
        place: of each edge [E], counted row by row through all tables.
        tables: rows and columns of each.
        order: of each atom [N] its row, counted through all tables; None where one table has all atoms in order.
    """

    dst: Tensor
    place: Tensor
    tables: tuple[tuple[int, int], ...]
    order: Tensor | None

    @property
    def places(self) -> int:
        """P."""
        return sum(rows * columns for rows, columns in self.tables)

    def total(self, values: Tensor) -> Tensor:
        """Sums over the edges into each atom, of values in the places: [P, F] -> [N, F]."""
        return self._joined([table.sum(1) for table in self._split(values)])

    def outer(self, left: Tensor, right: Tensor) -> Tensor:
        """Sums of outer products over the edges into each atom: [P, S], [P, C] -> [N, S, C]."""
        pairs = zip(self._split(left), self._split(right), strict=True)
        return self._joined([torch.bmm(one.transpose(1, 2), other) for one, other in pairs])

    def _split(self, values: Tensor) -> list[Tensor]:
        parts = values.split([rows * columns for rows, columns in self.tables])
        return [part.view(*shape, values.shape[1]) for part, shape in zip(parts, self.tables, strict=True)]

    def _joined(self, rows: list[Tensor]) -> Tensor:
        return rows[0] if self.order is None else torch.cat(rows).index_select(0, self.order)


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
    """Edges in their places; places without an edge count nothing.

    Attributes:
        src: sender in each place [P]; atom 0 where there is none.
        basis: of the edge [P, K].
        weighted: basis times envelope [P, K], zero where there is no edge.
        where: what the places are.
    """

    src: Tensor
    basis: Tensor
    weighted: Tensor
    where: Slots

    def heard(self, values: Tensor) -> Tensor:
        """What the senders say, in the places: [N, F] -> [P, F]; anything where there is no edge."""
        return values.index_select(0, self.src)

    def received(self, values: Tensor) -> Tensor:
        """What is so of the receivers, in the places: [N, F] -> [P, F]; anything where there is no edge."""
        return values.index_select(0, _placed(self.where.dst, self.where))


def spokes(src: Tensor, basis: Tensor, envelope: Tensor, where: Slots) -> Spokes:
    """Edges with senders `src` [E], basis [E, K] and envelope [E, 1] in their places."""
    table = to_table(basis, where)
    return Spokes(_placed(src, where), table, to_table(envelope, where) * table, where)


def slots(dst: Tensor, rows: int) -> Slots:
    """Places of edges sorted by `dst` [E], into `rows` atoms."""
    count = torch.bincount(dst, minlength=rows)
    columns = int(count.max()) if len(dst) else 0
    tables: tuple[tuple[int, int], ...] = ((rows, columns),)
    order, first = None, torch.arange(rows, device=dst.device) * columns
    if rows * columns > _SPARE * len(dst) + _SMALL:
        tables, order, first = _shared_tables(count)
    rank = torch.arange(len(dst), device=dst.device) - (torch.cumsum(count, 0) - count)[dst]
    return Slots(dst, first[dst] + rank, tables, order)


def _shared_tables(count: Tensor) -> tuple[tuple[tuple[int, int], ...], Tensor, Tensor]:
    """Tables for atoms with `count` [N] edges; of each atom its row through all of them, and its first place."""
    kind = torch.bucketize(count, torch.tensor(_WIDTHS, device=count.device))
    rows = torch.bincount(kind)
    columns = torch.zeros_like(rows).scatter_reduce(0, kind, count, "amax")
    order = torch.argsort(torch.argsort(kind, stable=True))
    starts = torch.cumsum(rows, 0) - rows
    first = (torch.cumsum(rows * columns, 0) - rows * columns)[kind] + (order - starts[kind]) * columns[kind]
    shapes = torch.stack([rows, columns], dim=1).tolist()
    return tuple((r, c) for r, c in shapes if r), order, first


def _placed(index: Tensor, where: Slots) -> Tensor:
    """An atom of each edge [E] in the places [P]; atom 0 where there is no edge."""
    return index.new_zeros(where.places).index_copy_(0, where.place, index)


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
    return where.total(to_table(values, where))


def edge_outer_sum(left: Tensor, right: Tensor, where: Slots) -> Tensor:
    """Σ_{e→i} l_e ⊗ r_e: [E, S], [E, C] -> [N, S, C]."""
    return where.outer(to_table(left, where), to_table(right, where))


def to_table(values: Tensor, where: Slots) -> Tensor:
    """[E, F] -> [P, F], zero where there is no edge."""
    return values.new_zeros(where.places, values.shape[1]).index_copy_(0, where.place, values)
