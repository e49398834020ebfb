"""Several structures: one that fails does not keep the others from their turn."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from alignn_ff.cli.main import BAD_INPUT, EXIT_CODES, FAILED, INTERRUPTED, NOT_CONVERGED, say
from alignn_ff.errors import AlignnFFError, DownloadError, ModelNotFoundError, OutputWriteError
from alignn_ff.files import prepare_folder, write_text
from alignn_ff.workflows.result import WorkflowResult

if TYPE_CHECKING:
    from alignn_ff.cli.workflow import Job

REFUSED = "refused"
"""Outcome of a structure that could not be worked on."""

GRAVEST_FIRST = (INTERRUPTED, BAD_INPUT, FAILED, NOT_CONVERGED, 0)

FOR_ALL = (ModelNotFoundError, DownloadError, OutputWriteError)
"""What befalls every structure alike, and ends the work."""

TABLE = "results.csv"


Ending: TypeAlias = WorkflowResult | AlignnFFError
"""Of a job: its result, or why there is none."""


def see_off(
    jobs: Sequence[Job],
    endings: Iterable[tuple[int, Ending]],
    show: Callable[[Job, WorkflowResult], None],
    *,
    table: Path | None,
) -> int:
    """Await the endings of jobs, say how they went in the order of the jobs, and give the gravest exit code.

    Args:
        endings: with the places of the jobs, as they come; there are none of jobs that Ctrl-C kept from any result.
        table: folder of a table of all results, which is replaced after each; None writes none.
    """
    rows: list[dict[str, Any]] = []
    for place, ending in _in_order(endings):
        job = jobs[place]
        rows.append({"structure": job.task.options["structure"], "folder": str(job.folder)} | _row(ending))
        if isinstance(ending, AlignnFFError):
            say(f"error: {job.task.options['structure']}: {ending}", style="red")
        else:
            show(job, ending)
        if table is not None:
            write_text(prepare_folder(table, reuse=True) / TABLE, _csv(rows))
    outcomes = Counter(row["outcome"] for row in rows)
    if len(rows) < len(jobs):
        outcomes["interrupted"] += len(jobs) - len(rows)
    say(f"{len(jobs)} structures: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    codes = {EXIT_CODES.get(outcome, BAD_INPUT) for outcome in outcomes}
    return next(code for code in GRAVEST_FIRST if code in codes)


def _in_order(endings: Iterable[tuple[int, Ending]]) -> Iterator[tuple[int, Ending]]:
    """Endings by their places, each as soon as those before it are there; after the last of all, whatever is left."""
    held: dict[int, Ending] = {}
    following = 0
    for place, ending in endings:
        if isinstance(ending, FOR_ALL):
            raise ending
        held[place] = ending
        while following in held:
            yield following, held.pop(following)
            following += 1
    yield from sorted(held.items(), key=lambda item: item[0])


def _row(ending: Ending) -> dict[str, Any]:
    """Outcome and numbers of a job, or why it was refused."""
    if isinstance(ending, AlignnFFError):
        return {"outcome": REFUSED, "error": str(ending)}
    numbers = {key: value for key, value in ending.to_dict().items() if isinstance(value, (bool, int, float, str))}
    return {"outcome": ending.outcome} | numbers


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
