"""Processes that train one model together, as `torchrun` starts them: shares of a batch, sums over all, one writer."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch import distributed as dist

from alignn_ff.device import choose_device
from alignn_ff.errors import ConfigError
from alignn_ff.training.config import TrainConfig

_PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others; the slowest thing between two sums is the reading of the data."""
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process that it starts."""


_HOW_TO_START = (
    "data_parallel is true, but this process trains alone. Start several: torchrun --nproc-per-node {count} -m "
    "alignn_ff.cli train CONFIG, one for each GPU of the machine; or set data_parallel to false."
)


class Ranks(NamedTuple):
    """One of the processes that train together.

    Every process holds the whole model and all data, takes its share of each batch, and makes the same step by the sum
    of all gradients; what it is told of losses and errors is said of all shares. So all decide alike.

    Attributes:
        rank: of this process, from 0; rank 0 writes the files.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes, without a gradient, the same to the last bit in each."""
        found = values.detach().clone()
        if self.size > 1:
            dist.all_reduce(found)
        return found

    def any(self, here: bool) -> bool:
        """Whether it holds in any process."""
        return here if self.size == 1 else bool(self.sum(torch.tensor(int(here))))

    def gather(self, item: Any) -> list[Any]:
        """What each process has, in the order of ranks; tensors must lie on the CPU."""
        if self.size == 1:
            return [item]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, item)
        return found

    def from_writer(self, item: Any) -> Any:
        """What the writer has."""
        if self.size == 1:
            return item
        found = [item]
        dist.broadcast_object_list(found, src=0)
        return found[0]

    def make_alike(self, model: nn.Module) -> None:
        """Give the model the weights and buffers of the writer's."""
        if self.size > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, src=0)

    def add_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over all processes; one that no process has stays absent."""
        if self.size == 1:
            return
        learned = [p for p in model.parameters() if p.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
        there = parts[0].new_tensor([p.grad is not None for p in learned])
        total = self.sum(torch.cat([there, *(part.flatten() for part in parts)]))
        there, *sums = total.split([len(learned), *(p.numel() for p in learned)])
        for parameter, wanted, value in zip(learned, there.tolist(), sums, strict=True):
            parameter.grad = value.view_as(parameter) if wanted else None


ALONE = Ranks()
"""The only process."""


@contextmanager
def training_ranks(config: TrainConfig) -> Iterator[Ranks]:
    """The process that this is among those that torchrun started, connected to the others; else `ALONE`.

    NCCL carries sums between GPUs, gloo between CPUs.

    Raises:
        ConfigError: fewer GPUs than processes on this machine, or a single process where `data_parallel` is wanted.
    """
    size = started_processes()
    if size == 1:
        if config.data_parallel:
            raise ConfigError(_HOW_TO_START.format(count=max(2, torch.cuda.device_count())))
        yield ALONE
        return
    place = choose_device(config.device)
    if place.type == "cuda":
        _take_gpu(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    ranks = Ranks(dist.get_rank(), size)
    logger, level = logging.getLogger("alignn_ff"), logging.getLogger("alignn_ff").level
    if not ranks.writes:
        logger.setLevel(logging.ERROR)  # the writer says it
    try:
        yield ranks
    finally:
        logger.setLevel(level)
        dist.destroy_process_group()


def started_processes() -> int:
    """How many processes torchrun started to train together; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _VARIABLES) else 1


def is_writer() -> bool:
    """Whether this process is the one that writes and talks, also before it is connected to others."""
    return started_processes() == 1 or os.environ["RANK"] == "0"


def deal(items: Sequence[int], sizes: Sequence[int], hands: int) -> list[list[int]]:
    """`items` in `hands` shares of about equal size, each in its first order; the largest are dealt first."""
    shares: list[list[int]] = [[] for _ in range(hands)]
    loads = [0] * hands
    for place in sorted(range(len(items)), key=lambda k: -sizes[k]):
        hand = loads.index(min(loads))
        shares[hand].append(place)
        loads[hand] += sizes[place]
    return [[items[place] for place in sorted(share)] for share in shares]


def _take_gpu(local_rank: int) -> None:
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise ConfigError(
            f"process {local_rank} of this machine has no GPU of its own: there are {count}. Start as many processes, "
            f"torchrun --nproc-per-node {count}, or train on the CPU (--device=cpu)."
        )
    torch.cuda.set_device(local_rank)
