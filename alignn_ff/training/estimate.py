"""What a training will cost, measured on a few of its steps before anything is spent."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from alignn_ff.data.dataset import Dataset
from alignn_ff.device import choose_device
from alignn_ff.evaluate import Want, evaluate
from alignn_ff.memory import keep_freed_memory
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.prepare import prepare
from alignn_ff.training.record import Record
from alignn_ff.training.run import Run, start
from alignn_ff.training.step import step
from alignn_ff.training.warm_start import settled

_EPOCHS = 10
"""In so many epochs the largest batch is looked for."""
_STEPS, _MOST_STEPS, _SECONDS = 4, 40, 4.0
"""Steps that are timed, fewest and most, and how long about."""
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
    keep_freed_memory()  # as a training does: time and memory depend on it
    config = settled(config)
    device = choose_device(config.device, config.gpu_memory_fraction)
    data = prepare(config)
    run = start(config, data, Record(Path(config.output_dir), config), device)
    batches = data.train.pack(run.sampler.order(0), run.budget)
    training = _training_seconds(run, batches)
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


def _training_seconds(run: Run, batches: Sequence[list[int]]) -> float:
    """Of an epoch, from some of its batches; the first steps of all are slower, and are not counted.

    The first is the largest batch of the first epochs, which takes the most memory.
    """
    data = run.data.train
    epochs = (data.pack(run.sampler.order(epoch), run.budget) for epoch in range(min(run.config.epochs, _EPOCHS)))
    largest = max((batch for epoch in epochs for batch in epoch), key=lambda batch: _edges(data, batch))
    spent, _ = _timed(run.device, [largest, *_spread(batches, data, 2)], lambda batch: step(run, batch))
    count = min(_MOST_STEPS, max(_STEPS, int(_SECONDS / max(spent / 3, 1e-9))))
    chosen = _spread(batches, data, count)
    seconds, edges = _timed(run.device, chosen, lambda batch: step(run, batch), data)
    return seconds / max(edges, 1) * sum(_edges(data, batch) for batch in batches)


def _validation_seconds(run: Run) -> float:
    """Of the whole validation part, from some of its batches; the first of all is not counted."""
    data = run.data.val
    if len(data) == 0:
        return 0.0
    batches = data.batches(run.budget)
    chosen = _spread(batches, data, _STEPS)
    look = partial(_look_at, run)
    look(chosen[0])
    seconds, edges = _timed(run.device, chosen, look, data)
    return seconds / max(edges, 1) * sum(_edges(data, batch) for batch in batches)


def _look_at(run: Run, batch: list[int]) -> None:
    graph, _ = run.data.val.batch(batch, run.device)
    evaluate(run.data.potential, graph, want=Want.FORCES)


def _spread(batches: Sequence[list[int]], data: Dataset, count: int) -> list[list[int]]:
    """So many of the batches, of all sizes alike."""
    by_size = sorted(batches, key=lambda batch: _edges(data, batch))
    places = [(2 * k + 1) * len(by_size) // (2 * count) for k in range(count)]
    return [by_size[place] for place in places]


def _timed(
    device: torch.device, batches: Sequence[list[int]], work: Callable[[list[int]], Any], data: Dataset | None = None
) -> tuple[float, int]:
    """Seconds that work on batches takes, and the edges of these."""
    started = _now(device)
    for batch in batches:
        work(batch)
    seconds = _now(device) - started
    return seconds, 0 if data is None else sum(_edges(data, batch) for batch in batches)


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
