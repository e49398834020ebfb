"""Structures and edges as bytes: exact, an order of magnitude smaller than in memory, and quick to read."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from struct import Struct

import numpy as np
import torch
from torch import Tensor

from alignn_ff.data.sources import Sample
from alignn_ff.graph import AtomGraph
from alignn_ff.io import NO_VALUES, Targets

PACKING = 3
"""Version of what is written here; a cache of another one is refused."""

_HEAD = Struct("<I8H4x")
"""Atoms, periodic directions and labels (bits), values of atoms and of structures, extra features, bytes of key, group
and family; 24 bytes, so that numbers align."""
_LABELS = ("forces", "stress", "atom_energy")
_FIXED = 11
"""Energy, weight and cell stand before what depends on the number of atoms."""

_EDGES = Struct("<2q5B3x")
_KINDS = tuple(np.dtype(name) for name in ("u1", "u2", "u4", "i1", "i2", "i4", "i8", "f8"))
_NO_ANGLES = -1

_NONE = torch.zeros(0, dtype=torch.int64)
_NOT_TOLD = torch.zeros((1, 0), dtype=torch.float64)
_NO_SHIFT = torch.zeros((0, 3), dtype=torch.float64)


def pack_sample(sample: Sample) -> bytes:
    """A sample as bytes; labels that are missing altogether take no room."""
    graph, targets = sample.graph, sample.targets
    there = [not bool(torch.isnan(getattr(targets, name)).all()) for name in _LABELS]
    names = [text.encode() for text in (sample.key, sample.group, sample.family)]
    told = _NOT_TOLD if graph.extra_features is None else graph.extra_features
    widths = targets.atomwise.shape[1], targets.additional.shape[1], told.shape[1]
    head = _HEAD.pack(len(graph.numbers), _bits(graph.pbc[0].tolist()), _bits(there), *widths, *map(len, names))
    labels = [getattr(targets, name) for name, has in zip(_LABELS, there, strict=True) if has]
    labels += [targets.atomwise, targets.additional, told]
    fixed = torch.cat([targets.energy, torch.tensor([sample.weight], dtype=torch.float64), graph.cell.reshape(-1)])
    numbers = graph.numbers.numpy().astype(np.uint8)
    parts = (fixed, graph.positions, *labels)
    return b"".join([head, *(p.numpy().tobytes() for p in parts), numbers.tobytes(), *names])


def unpack_sample(record: bytes) -> Sample:
    """The sample that `pack_sample` was given, bit for bit."""
    own = bytearray(record)  # tensors on it may be written to
    n, pbc, there, wide, more, told, *lengths = _HEAD.unpack_from(own)
    shapes: dict[str, tuple[int, ...]] = {"forces": (n, 3), "stress": (1, 3, 3), "atom_energy": (n,)}
    has = dict(zip(_LABELS, _flags(there), strict=True))
    shapes |= {"atomwise": (n, wide), "additional": (1, more)}
    has |= {"atomwise": wide > 0, "additional": more > 0}
    count = _FIXED + 3 * n + sum(math.prod(shape) for name, shape in shapes.items() if has[name]) + told
    values = torch.frombuffer(own, dtype=torch.float64, offset=_HEAD.size, count=count)
    place = _FIXED + 3 * n
    labels = {}
    for name, shape in shapes.items():
        size = math.prod(shape)
        if has[name]:
            labels[name], place = values[place : place + size].reshape(shape), place + size
        else:
            labels[name] = NO_VALUES if size == 0 else torch.full(shape, torch.nan, dtype=torch.float64)
    start = _HEAD.size + 8 * count
    graph = AtomGraph(
        numbers=torch.frombuffer(own, dtype=torch.uint8, offset=start, count=n).to(torch.int64),
        positions=values[_FIXED : _FIXED + 3 * n].reshape(n, 3),
        cell=values[2:_FIXED].reshape(1, 3, 3),
        pbc=torch.tensor([_flags(pbc)]),
        graph_index=torch.zeros(n, dtype=torch.int64),
        edge_src=_NONE,
        edge_dst=_NONE,
        edge_shift=_NO_SHIFT,
        extra_features=values[count - told :].reshape(1, told) if told else None,
    )
    ends = list(accumulate(lengths, initial=start + n))
    key, group, family = (record[a:b].decode() for a, b in pairwise(ends))
    return Sample(graph, Targets(values[:1], **labels), key, group, family, float(values[1]))


def pack_edges(graph: AtomGraph) -> bytes:
    """Edges and angles of a graph as bytes, in the smallest integers that hold them."""
    angles = [] if graph.angle_in is None or graph.angle_out is None else [graph.angle_in, graph.angle_out]
    arrays = [_smallest(t.numpy()) for t in (graph.edge_src, graph.edge_dst, graph.edge_shift, *angles)]
    kinds = [_KINDS.index(a.dtype) for a in arrays] + [0] * (5 - len(arrays))
    n_angles = len(angles[0]) if angles else _NO_ANGLES
    return _EDGES.pack(len(graph.edge_src), n_angles, *kinds) + b"".join(a.tobytes() for a in arrays)


def with_edges(graph: AtomGraph, record: bytes) -> AtomGraph:
    """`graph` with the edges and angles that `pack_edges` was given, bit for bit."""
    n_edges, n_angles, *kinds = _EDGES.unpack_from(record)
    found: list[Tensor] = []
    start = _EDGES.size
    shapes = [(n_edges,), (n_edges,), (n_edges, 3)] + [(n_angles,), (n_angles,)] * (n_angles != _NO_ANGLES)
    for shape, kind in zip(shapes, kinds, strict=False):
        count = math.prod(shape)
        array = np.frombuffer(record, _KINDS[kind], count, start).reshape(shape)
        start += array.nbytes
        found.append(torch.from_numpy(array.astype(np.float64 if len(shape) == 2 else np.int64)))
    src, dst, shift, *angles = found
    angle_in, angle_out = angles or (None, None)
    return graph._replace(edge_src=src, edge_dst=dst, edge_shift=shift, angle_in=angle_in, angle_out=angle_out)


def _smallest(values: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest type that holds them exactly; zero has no sign."""
    if values.size == 0:
        return values.astype(_KINDS[0])
    low, high = values.min(), values.max()
    for kind in _KINDS[:-1]:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            small = values.astype(kind)
            if np.array_equal(small, values):
                return small
    return values.astype(_KINDS[-1])


def _bits(flags: list[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _flags(bits: int) -> list[bool]:
    return [bool(bits & 1 << place) for place in range(3)]
