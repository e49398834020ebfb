"""Labelled graphs with edges, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from alignn_ff.data.packing import with_edges
from alignn_ff.data.records import Records
from alignn_ff.data.sources import Sample
from alignn_ff.data.streamed import StreamedSamples, outline_of
from alignn_ff.graph import COMPLETE, AtomGraph, Topology, concat, to_device
from alignn_ff.io import Targets, join_targets
from alignn_ff.models.base import SYMBOLS
from alignn_ff.neighbors import connect


class Budget(NamedTuple):
    """How large a batch may grow: structures, and where given also atoms and edges."""

    structures: int
    atoms: int | None = None
    edges: int | None = None


class Batch(NamedTuple):
    """A graph of G structures and its labels."""

    graph: AtomGraph
    targets: Targets


class Dataset:
    """Samples connected as one potential wants them; cutoffs and topology as in `neighbors.connect`.

    Edges are found on first use and kept while they fit `memory_mb`; beyond that they are found anew each time. Of
    samples that stay on disk none are kept: they are read from `edges` (see `cache.stored_graphs`) or found anew.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        cutoff: float,
        angle_cutoff: float | None,
        memory_mb: float = 2000.0,
        topology: Topology = COMPLETE,
        edges: Records | None = None,
    ) -> None:
        streamed = isinstance(samples, StreamedSamples)
        self.samples: Sequence[Sample] = samples if streamed else list(samples)
        self.outline = outline_of(self.samples)
        self.cutoff = cutoff
        self.angle_cutoff = angle_cutoff
        self.topology = topology
        self._stored = edges
        self._alike = all(weight == 1.0 for weight in self.outline.weight)
        self._memory_left = 0.0 if streamed else memory_mb * 1e6
        self._kept: dict[int, AtomGraph] = {}
        self._edges: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def graph(self, index: int) -> AtomGraph:
        """The connected graph of one sample."""
        return self._graph(index, self.samples[index])

    def _graph(self, index: int, sample: Sample) -> AtomGraph:
        if index in self._kept:
            return self._kept[index]
        graph = self._connected(index, sample)
        self._edges[index] = len(graph.edge_src)
        size = sum(t.nbytes for t in graph if t is not None)
        if size <= self._memory_left:
            self._memory_left -= size
            self._kept[index] = graph
        return graph

    def _connected(self, index: int, sample: Sample) -> AtomGraph:
        if self._stored is not None and isinstance(self.samples, StreamedSamples):
            return with_edges(sample.graph, self._stored[int(self.samples.rows[index])])
        return connect(sample.graph, self.cutoff, angle_cutoff=self.angle_cutoff, topology=self.topology)

    def share_memory(self, processes: int) -> None:
        """Keep no more edges from now on than so many processes may together."""
        self._memory_left /= processes

    def edge_count(self, index: int) -> int:
        """Edges of one sample, counted once."""
        return self._edges[index] if index in self._edges else len(self.graph(index).edge_src)

    def batch(self, indices: Sequence[int], device: torch.device | None = None) -> Batch:
        """The samples of `indices` as one graph with labels, in that order."""
        samples = [self.samples[i] for i in indices]
        graph = concat([self._graph(i, sample) for i, sample in zip(indices, samples, strict=True)])
        targets = join_targets([sample.targets for sample in samples])
        if device is None:
            return Batch(graph, targets)
        return Batch(to_device(graph, device), Targets(*(t.to(device) for t in targets)))

    def weights(self, indices: Sequence[int], device: torch.device | None = None) -> Tensor | None:
        """Weight of each sample of `indices` in the loss [G], float64; None where all samples of the set weigh one."""
        if self._alike:
            return None
        return torch.tensor([self.outline.weight[i] for i in indices], dtype=torch.float64, device=device)

    def batches(self, budget: Budget, generator: torch.Generator | None = None) -> list[list[int]]:
        """Indices of every sample once, in order (shuffled where a generator is given), packed under `budget`."""
        order = range(len(self)) if generator is None else torch.randperm(len(self), generator=generator).tolist()
        return self.pack(order, budget)

    def pack(self, order: Sequence[int], budget: Budget) -> list[list[int]]:
        """The indices of `order`, as they follow, in batches under `budget`.

        A sample larger than the budget still gets a batch of its own; no sample is dropped.
        """
        return list(self._pack(order, budget))

    def _pack(self, order: Sequence[int], budget: Budget) -> Iterator[list[int]]:
        packed: list[int] = []
        atoms = edges = 0
        for i in order:
            n = self.outline.atoms[i]
            e = self.edge_count(i) if budget.edges else 0
            full = (
                len(packed) >= budget.structures
                or (budget.atoms is not None and atoms + n > budget.atoms)
                or (budget.edges is not None and edges + e > budget.edges)
            )
            if packed and full:
                yield packed
                packed, atoms, edges = [], 0, 0
            packed.append(i)
            atoms, edges = atoms + n, edges + e
        if packed:
            yield packed


def elements_of(samples: Sequence[Sample]) -> Tensor:
    """Atomic numbers that occur, ascending, int64."""
    present = torch.zeros(len(SYMBOLS), dtype=torch.bool)
    for sample in samples:
        present[sample.graph.numbers] = True
    return present.nonzero().squeeze(1)
