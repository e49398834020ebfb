"""Ctrl-C as a request: the step at hand is finished, the state saved, the run left cleanly."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Interrupt:
    """Whether someone asked to stop."""

    requested: bool = False


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within the block the first Ctrl-C (or SIGTERM, as batch systems send) sets `requested`; a second one kills.

    Outside the main thread, where signals cannot be caught, nothing is changed.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def ask(number: int, frame: object) -> None:
        log.warning("stopping after this step; once more to stop at once")
        interrupt.requested = True
        for each in signals:
            signal.signal(each, before[each])

    for number in signals:
        signal.signal(number, ask)
    try:
        yield interrupt
    finally:
        for number in signals:
            signal.signal(number, before[number])
