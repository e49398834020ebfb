"""Several structures, one after the other: one that fails does not keep the others from their turn."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def run_each(jobs: Sequence[Job], do: Callable[[Job], WorkflowResult], *, table: Path | None) -> int:
    """Do every job, say how they went, and give the gravest exit code.

    Args:
        table: folder of a table of all results, which is replaced after each; None writes none.
    """
    rows: list[dict[str, Any]] = []
    for job in jobs:
        rows.append({"structure": job.task.options["structure"], "folder": str(job.folder)} | _ending(job, do))
        if table is not None:
            write_text(prepare_folder(table, reuse=True) / TABLE, _csv(rows))
        if rows[-1]["outcome"] == "interrupted":
            break
    outcomes = Counter(row["outcome"] for row in rows)
    say(f"{len(jobs)} structures: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    codes = {EXIT_CODES.get(outcome, BAD_INPUT) for outcome in outcomes}
    return next(code for code in GRAVEST_FIRST if code in codes)


def _ending(job: Job, do: Callable[[Job], WorkflowResult]) -> dict[str, Any]:
    """Outcome and numbers of a job, or why it was refused."""
    try:
        result = do(job)
    except FOR_ALL:
        raise
    except AlignnFFError as error:
        say(f"error: {job.task.options['structure']}: {error}", style="red")
        return {"outcome": REFUSED, "error": str(error)}
    numbers = {key: value for key, value in result.to_dict().items() if isinstance(value, (bool, int, float, str))}
    return {"outcome": result.outcome} | numbers


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
