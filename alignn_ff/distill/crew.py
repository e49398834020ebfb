"""Families made by several processes, each with a teacher of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from alignn_ff.distill.family import make_family
from alignn_ff.distill.harvest import Family
from alignn_ff.distill.label import label
from alignn_ff.distill.start import Material
from alignn_ff.distill.teacher import make_teacher
from alignn_ff.errors import TeacherError

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def families_from_processes(
    numbers: Iterable[int], material: Material, teacher: str, workers: int
) -> Generator[Family]:
    """Families of these numbers as they are done, in any order.

    `numbers` is drawn from as processes become free; once it ends, what is under way is finished.

    Args:
        teacher: as `make_teacher` takes it; each process makes its own, on one thread.
        workers: processes.
    Raises:
        TeacherError: a process died.
    """
    queue = iter(numbers)
    with _crew(workers, material, teacher) as crew:
        busy = [member for member in crew if _give(member, queue)]
        while busy:
            ready = wait(busy)
            for member in [each for each in busy if each in ready]:
                yield _take(member, crew[member])
                if not _give(member, queue):
                    busy.remove(member)


@contextmanager
def _crew(workers: int, material: Material, teacher: str) -> Iterator[dict[Connection, BaseProcess]]:
    """Processes by the connection to each; none outlives the block."""
    context = get_context("spawn")  # a forked process inherits threads and locks that torch does not survive
    crew: dict[Connection, BaseProcess] = {}
    try:
        with _one_thread():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process: BaseProcess = context.Process(target=_serve, args=(theirs, material, teacher), daemon=True)
                process.start()
                theirs.close()  # so that the end of either side is seen by the other
                crew[ours] = process
        yield crew
    finally:
        for connection, process in crew.items():
            connection.close()
            process.kill()
            process.join()


def _give(member: Connection, queue: Iterator[int]) -> bool:
    """Hand out the next number; False where there is none left."""
    number = next(queue, None)
    if number is not None:
        with suppress(ConnectionError):  # one that died is found out when its family is taken
            member.send(number)
    return number is not None


def _take(member: Connection, process: BaseProcess) -> Family:
    try:
        return member.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        raise TeacherError(
            f"a labelling process ended with exit code {process.exitcode}; its own message, if any, stands above. "
            "What was labelled is kept. Out of memory? Try fewer workers."
        ) from error


def _serve(member: Connection, material: Material, teacher: str) -> None:
    """Make families as long as someone asks for them."""
    for number in (signal.SIGINT, signal.SIGTERM):  # both reach all of a group; the parent decides what they mean
        signal.signal(number, signal.SIG_IGN)
    ask = partial(label, calculator=make_teacher(teacher))
    try:
        while True:
            member.send(make_family(member.recv(), material, ask))
    except (EOFError, ConnectionError):  # nobody is there any more
        return


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started in the block compute on one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
