"""Progress bars on standard error for long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def track(what: str, total: int | None, *, done: int = 0, show: bool = True) -> Iterator[Callable[..., None]]:
    """A bar with rate and time left; yields `advance(steps=1, note="")`.

    Args:
        what: said in front of the bar.
        total: steps in all, None where nobody knows; `done` of them lie behind (a resumed run).
        show: False draws nothing and costs nothing.
    """
    if not show:
        yield lambda steps=1, note="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        # where the terminal is narrow the note gives way, not the numbers before it
        TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as progress:
        task = progress.add_task(what, total=total, completed=done, note="", rate="")

        def advance(steps: int = 1, note: str = "") -> None:
            speed = progress.tasks[0].speed
            rate = "" if not speed else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each"
            progress.update(task, advance=steps, note=note, rate=rate)

        yield advance
