"""Members of a committee in training at the same time, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

from alignn_ff.errors import AlignnFFError, CommitteeError
from alignn_ff.progress import track
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.interrupt import interruptible
from alignn_ff.training.loop import TrainResult, train_one
from alignn_ff.training.ranks import ALONE, Ranks
from alignn_ff.training.record import Record

_GLANCE_S = 1.0
"""Between two looks at how far the members are."""

Ending = TrainResult | AlignnFFError
"""How the training of a member went."""


class Manner(NamedTuple):
    """How members are trained; see `train`."""

    overwrite: bool = False
    resume: bool = False
    progress: bool = False


class _Child(NamedTuple):
    place: int
    process: BaseProcess
    said: Connection


def train_member(config: TrainConfig, manner: Manner, ranks: Ranks = ALONE) -> TrainResult:
    """Train one member, or go on where a run of it stands."""
    begun = manner.resume and Record(Path(config.output_dir), config).is_started()
    own = manner._replace(overwrite=manner.overwrite or not begun, resume=begun)
    return train_one(config, **own._asdict(), ranks=ranks)


def train_at_once(members: Sequence[TrainConfig], at_once: int, manner: Manner) -> list[Ending]:
    """Train members, `at_once` of them at a time; one that fails does not stop the others.

    Ctrl-C or SIGTERM reaches all: each saves its state, and those that had not begun stay so.
    """
    waiting = list(range(len(members)))
    running: list[_Child] = []
    endings: dict[int, Ending] = {}
    total = sum(member.epochs for member in members)
    with interruptible() as interrupt, track("training members", total, show=manner.progress) as advance:
        told, shown = False, 0
        while waiting or running:
            while waiting and len(running) < at_once and not interrupt.requested:
                running.append(_start(waiting.pop(0), members, at_once, manner))
            if interrupt.requested and not told:
                told = _stop(running, waiting, endings, members)
            wait([child.said for child in running], timeout=_GLANCE_S)
            running = [child for child in running if not _ended(child, members, endings)]
            done = sum(_epochs(member) for member in members)
            advance(done - shown)
            shown = done
    return [endings[place] for place in range(len(members))]


def _start(place: int, members: Sequence[TrainConfig], at_once: int, manner: Manner) -> _Child:
    context = multiprocessing.get_context("spawn")  # a forked process could not use a GPU
    said, tell = context.Pipe(duplex=False)
    threads = max(1, torch.get_num_threads() // at_once)
    arguments = (members[place], manner._replace(progress=False), place, threads, tell)
    process = context.Process(target=_work, args=arguments, name=f"member_{place}")
    process.start()
    tell.close()  # so that the end of the process ends the pipe
    return _Child(place, process, said)


def _work(config: TrainConfig, manner: Manner, place: int, threads: int, tell: Connection) -> None:
    """The life of a member's process."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in a terminal reaches the parent alone, which passes it on once
    torch.set_num_threads(threads)
    if config.device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(place % torch.cuda.device_count())
    try:
        tell.send(train_member(config, manner))
    except AlignnFFError as error:
        tell.send(type(error)(str(error)))  # in a plain form, whatever it carried


def _stop(
    running: Sequence[_Child], waiting: list[int], endings: dict[int, Ending], members: Sequence[TrainConfig]
) -> bool:
    for child in running:
        child.process.terminate()  # each saves its state on SIGTERM
    for place in waiting:
        endings[place] = TrainResult(members[place].output_dir, {}, finished=False)
    waiting.clear()
    return True


def _ended(child: _Child, members: Sequence[TrainConfig], endings: dict[int, Ending]) -> bool:
    """Whether a member has said how it ended, or died without a word; noted in `endings`."""
    if not child.said.poll():
        return False
    try:
        endings[child.place] = child.said.recv()
    except EOFError:
        child.process.join()
        endings[child.place] = CommitteeError(
            f"its process ended with exit code {child.process.exitcode} and without a word: out of memory, or killed. "
            f"What it wrote is in {members[child.place].output_dir}."
        )
    child.process.join()
    return True


def _epochs(member: TrainConfig) -> int:
    """Epochs that a member has done."""
    path = Path(member.output_dir) / "history.jsonl"
    return path.read_text(encoding="utf-8").count("\n") if path.is_file() else 0
