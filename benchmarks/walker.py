"""A contender of `md_step` in a process of its own: what one package does to its process, no other feels."""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import process_time

from alignn_ff.errors import ConfigError, RunawayError, UnknownElementError
from benchmarks import md_step
from benchmarks.contenders import STRUCTURES, thermal


@dataclass
class Walker:
    """The other end of a contender that waits for its turns.

    Attributes:
        run_calls: evaluations that one step of `VelocityVerlet.run` asks of this calculator.
        seconds: s per step, one entry per round.
        temperature: K, after the last round.
        cpu_seconds: that its turns took so far.
    """

    process: BaseProcess
    pipe: Connection
    run_calls: int
    seconds: list[float] = field(default_factory=list)
    temperature: float = 0.0
    cpu_seconds: float = 0.0

    def turn(self) -> None:
        """One more entry of `seconds`.

        Raises:
            RunawayError: its trajectory has left the numbers, or its process has ended.
        """
        seconds, cpu_seconds, self.temperature, failure = self._asked()
        if failure:
            raise RunawayError(failure)
        self.seconds.append(seconds)
        self.cpu_seconds += cpu_seconds

    def dismiss(self) -> None:
        self.process.terminate()
        self.process.join()

    def _asked(self) -> tuple[float, float, float, str]:
        try:
            self.pipe.send("turn")
            return self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise RunawayError(f"{self.process.name}: its process ended. Name the others with --contender.") from error


def hire(name: str, args: argparse.Namespace) -> Walker | str:
    """A contender built and warmed up, or the reason why it cannot take part."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, name, args), name=name, daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except (EOFError, ConnectionError):
        return "broken: its process ended while it was built"
    return answer if isinstance(answer, str) else Walker(process, ours, answer)


def _serve(pipe: Connection, name: str, args: argparse.Namespace) -> None:
    """The life of a contender: says its `run_calls`, or why there is none; then a turn for every request."""
    walk = _built(name, args)
    if isinstance(walk, str):
        pipe.send(walk)
        return
    pipe.send(walk.run_calls)
    while pipe.recv() == "turn":
        begin, seconds = process_time(), md_step.time_turn(walk, args.steps)
        pipe.send((seconds, process_time() - begin, walk.atoms.get_temperature(), md_step.failure(name, walk)))


def _built(name: str, args: argparse.Namespace) -> md_step.Walk | str:
    try:
        return md_step.start(name, thermal(STRUCTURES[args.structure]()), args)
    except ImportError as error:
        return "not installed" if isinstance(error, ModuleNotFoundError) else f"broken: {error}"
    except UnknownElementError:
        return "element unknown"
    except ConfigError as error:
        return f"not set up: {error}"
