"""Batches made ahead of their use, by other processes if wanted; the same batches in the same order in any case."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader

from alignn_ff.data.dataset import Batch, Dataset
from alignn_ff.graph import to_device
from alignn_ff.io import Targets


class Loading(NamedTuple):
    """How batches are made; names and meanings are torch's.

    Attributes:
        num_workers: processes that make them; 0 makes them in this one.
        prefetch_factor: batches that each process makes ahead.
        pin_memory: hand them over in memory that a GPU copies from directly.
    """

    num_workers: int = 0
    prefetch_factor: int = 2
    pin_memory: bool = False


class Loader:
    """Batches of a data set, in the order of a plan; to be closed where it has workers."""

    def __init__(self, data: Dataset, loading: Loading) -> None:
        self.data = data
        self._plan: list[tuple[int, ...]] = []
        self._ahead: deque[tuple[int, ...]] = deque()
        self._batches: Iterator[Batch] | None = None
        self._pinned = loading.pin_memory
        apart = loading.num_workers > 0
        self._loader = DataLoader(
            _Batches(data),
            batch_size=None,
            sampler=self._plan,  # read anew by each iterator
            num_workers=loading.num_workers,
            collate_fn=_as_it_is,
            pin_memory=loading.pin_memory,
            prefetch_factor=loading.prefetch_factor if apart else None,
            persistent_workers=apart,
            worker_init_fn=_begin,
            generator=torch.Generator(),  # not the one that models draw from
        )

    def plan(self, wanted: Sequence[Sequence[int]]) -> None:
        """Say which batches will be asked for, in which order."""
        self._plan[:] = [tuple(indices) for indices in wanted]
        self._ahead = deque(self._plan)
        self._batches = iter(self._loader)

    def batch(self, indices: Sequence[int], device: torch.device) -> Batch:
        """The samples of `indices` as `Dataset.batch` gives them; what was not planned next is made now."""
        if self._batches is None or not self._ahead or self._ahead[0] != tuple(indices):
            return self.data.batch(indices, device)
        self._ahead.popleft()
        graph, targets = next(self._batches)
        early = self._pinned
        graph = to_device(graph, device, non_blocking=early)
        return Batch(graph, Targets(*(t.to(device, non_blocking=early) for t in targets)))

    def close(self) -> None:
        """End the workers."""
        batches, self._batches, self._loader._iterator = self._batches, None, None
        end = getattr(batches, "_shutdown_workers", None)
        if end is not None:  # left to garbage collection, they would live as long as any traceback
            end()


class _Batches(torch.utils.data.Dataset[Batch]):
    """What a worker is given."""

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def __getitem__(self, indices: tuple[int, ...]) -> Batch:
        return self.data.batch(indices)


def _begin(_: int) -> None:
    """A worker leaves Ctrl-C and the like to the process that it works for, and shares the memory for edges."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    info: Any = torch.utils.data.get_worker_info()
    info.dataset.data.share_memory(info.num_workers)


def _as_it_is(batch: Any) -> Any:
    return batch
