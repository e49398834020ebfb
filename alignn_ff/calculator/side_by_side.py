"""The same work on many things, on all cores: each piece with one thread of torch, and as many pieces at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


def side_by_side(work: Callable[[Given], Made], pieces: Iterable[Given], *, threads: int) -> Iterator[Made]:
    """`work(piece)` of each piece, in their order; few pieces are made ahead of those that are worked on.

    Threads within one operation on some ten thousand numbers gain little, threads that have each a piece of their own
    nearly all there is.

    Args:
        threads: pieces at a time; what torch is allowed, for the time of this work each has one thread of it.
    """
    if threads == 1:
        yield from map(work, pieces)
        return
    pending: deque[Future[Made]] = deque()
    with _one_thread_each(threads), ThreadPoolExecutor(threads) as pool:
        for piece in pieces:
            pending.append(pool.submit(work, piece))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _one_thread_each(threads: int) -> Iterator[None]:
    """This thread, and those that begin within the block, have one thread of torch; afterwards `threads` again."""
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
