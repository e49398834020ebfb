"""What a training will cost, measured on a few of its steps before anything is spent."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from alignn_ff.data.dataset import Dataset
from alignn_ff.device import choose_device
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.metrics import predict
from alignn_ff.training.prepare import prepare
from alignn_ff.training.record import Record
from alignn_ff.training.run import Run, start
from alignn_ff.training.step import step
from alignn_ff.training.warm_start import settled

_STEPS = 4
_MIB = float(1 << 20)


class Size(NamedTuple):
    """Structures and what they are made of, in all."""

    structures: int
    atoms: int
    edges: int
    angles: int


class Estimate(NamedTuple):
    """Size and cost of a training.

    Attributes:
        train, val: of the parts that every epoch goes through.
        parameters: that are learned.
        steps: of an epoch.
        seconds_per_epoch: training and validation of one member.
        epochs: of all members of a committee together.
        peak_memory_mb: MiB; of the device where it is a GPU, else of the whole process.
    """

    train: Size
    val: Size
    parameters: int
    steps: int
    seconds_per_epoch: float
    epochs: int
    peak_memory_mb: float


def estimate(config: TrainConfig) -> Estimate:
    """Prepare a training and measure a few steps, the largest batch among them; nothing is written.

    An epoch is taken to cost what these steps cost for each edge, so it counts graphs as found already.

    Raises:
        ConfigError, DataError: as training would.
    """
    config = settled(config)
    data = prepare(config)
    run = start(config, data, Record(Path(config.output_dir), config), choose_device(config.device))
    batches = data.train.pack(run.sampler.order(0), run.budget)
    training = _seconds_per_edge(run, batches) * sum(_edges(data.train, batch) for batch in batches)
    validation = _validation_seconds(run)
    return Estimate(
        train=size_of(data.train),
        val=size_of(data.val),
        parameters=sum(p.numel() for p in data.potential.parameters() if p.requires_grad),
        steps=len(batches),
        seconds_per_epoch=training + validation,
        epochs=config.epochs * config.committee_size,
        peak_memory_mb=_peak_memory_mb(run.device),
    )


def size_of(data: Dataset) -> Size:
    """Totals over a data set, every structure connected once."""
    atoms = edges = angles = 0
    for index in range(len(data)):
        graph = data.graph(index)
        atoms, edges = atoms + len(graph.numbers), edges + len(graph.edge_src)
        angles += 0 if graph.angle_in is None else len(graph.angle_in)
    return Size(len(data), atoms, edges, angles)


def _seconds_per_edge(run: Run, batches: Sequence[list[int]]) -> float:
    """Of the largest batch and some others; the first step of all, which is slower, is not counted."""
    by_size = sorted(batches, key=lambda batch: -_edges(run.data.train, batch))
    chosen = [by_size[0], *by_size[:: max(1, len(by_size) // _STEPS)][:_STEPS]]
    seconds, edges = 0.0, 0
    for place, batch in enumerate(chosen):
        started = _now(run.device)
        step(run, batch)
        if place:
            seconds += _now(run.device) - started
            edges += _edges(run.data.train, batch)
    return seconds / max(edges, 1)


def _validation_seconds(run: Run) -> float:
    """Of the whole validation part, from its first batch."""
    if len(run.data.val) == 0:
        return 0.0
    started = _now(run.device)
    first = next(predict(run.data.potential, run.data.val, run.budget, run.device))
    spent = _now(run.device) - started
    edges = _edges(run.data.val, range(len(run.data.val)))
    return spent * edges / max(1, _edges(run.data.val, first.indices))


def _edges(data: Dataset, batch: Iterable[int]) -> int:
    return sum(data.edge_count(index) for index in batch)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _peak_memory_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MIB if sys.platform == "darwin" else peak / 1024.0  # bytes there, KiB here
