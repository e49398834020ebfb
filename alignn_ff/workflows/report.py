"""The page of a job: how it ended, what it found, its structures, and all that it was done with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from alignn_ff.reports.html import beside, folded, heading, notes, paragraph, status, table, write_page
from alignn_ff.reports.structure_view import SCRIPT, FrameSet, structure_view
from alignn_ff.workflows.scene import LARGEST, elements_of, structure_set, trajectory_set

if TYPE_CHECKING:
    from alignn_ff.workflows.result import Table, WorkflowResult

REPORT = "report.html"

LONGEST = 60
"""Rows of the longest table that the page repeats; of longer ones it names the file."""

VERDICTS = {"done": "pass", "failed": "fail", "run away": "fail"}
"""Status of a job -> its colour; the others are warnings."""


def write_report(folder: Path, result: WorkflowResult, summary: Mapping[str, Any], settings: Any) -> Path:
    """Write `report.html` into `folder`, one page that needs nothing else.

    Args:
        folder: where `result` was saved.
        summary: what `summary.json` says; read are command, status, error, warnings, inputs, model, command_line,
            versions and wall_time_s.
        settings: of the workflow; the page states every field with unit and meaning.
    Raises:
        OutputWriteError: the page cannot be written.
    """
    found, *more = result.findings(folder)
    parts = [
        *_ending(summary),
        beside([found, "".join(_structures(folder, result)), *more]),
        *_tables(result.tables()),
        *_origin(summary, settings),
    ]
    return write_page(folder / REPORT, f"{summary['command']} {result.subject}", parts, script=SCRIPT)


def write_failure(folder: Path, last_good: Atoms | None, summary: Mapping[str, Any], settings: Any) -> Path:
    """The same page of a job without a result; `last_good` is the frame before it ran away, if there is one."""
    frame = [] if last_good is None else _view([structure_set("last_good", [last_good])])
    parts = [*_ending(summary), *frame, *_origin(summary, settings)]
    return write_page(folder / REPORT, f"{summary['command']}: {summary['status']}", parts, script=SCRIPT)


def _ending(summary: Mapping[str, Any]) -> list[str]:
    """Status, error and warnings."""
    model = f"model {summary['model']['model']}, " if summary["model"] else ""
    lead = f"{model}{_duration(summary['wall_time_s'])}"
    errors = [summary["error"]] if summary["error"] else []
    return [
        status(summary["status"], VERDICTS.get(summary["status"], "warn"), lead),
        *([notes(errors, "fail")] if errors else []),
        *([notes(summary["warnings"])] if summary["warnings"] else []),
    ]


def _structures(folder: Path, result: WorkflowResult) -> list[str]:
    """Heading and view of the trajectory, where there is one, and of the structures saved."""
    sets = [trajectory_set(folder / result.trajectory)] if result.trajectory else []
    titles = result.titles()
    for name, found in result.structures().items():
        frames = [found] if isinstance(found, Atoms) else found
        sets.append(structure_set(name, frames, titles=titles.get(name, ()), shown=result.atoms))
    return _view(sets)


def _view(sets: Sequence[FrameSet | None]) -> list[str]:
    """Heading and view of those that can be drawn; None stands for one that cannot."""
    drawn = [one for one in sets if one is not None]
    view = [structure_view(drawn, elements_of(drawn))] if drawn else []
    missing = [] if len(drawn) == len(sets) else [paragraph(f"Structures of over {LARGEST} atoms are not drawn.")]
    return [heading("Structure"), *view, *missing]


def _tables(tables: Mapping[str, Table]) -> list[str]:
    """Short tables to unfold; of long ones the length."""
    parts = [heading("Tables")] if tables else []
    for name, columns in tables.items():
        values = [column.tolist() for column in columns.values()]
        rows = [[_text(value) for value in row] for row in zip(*values, strict=True)]
        size = f"{len(rows)} rows, {name}.csv"
        if len(rows) <= LONGEST:
            parts.append(folded(name, size, table(list(columns), rows)))
        else:
            parts.append(paragraph(f"{name}: {size}, with the columns {', '.join(columns)}."))
    return parts


def _origin(summary: Mapping[str, Any], settings: Any) -> list[str]:
    """Inputs and settings, then what ran: model, versions, command line."""
    given = {key: value for key, value in summary["inputs"].items() if key != "settings"}
    inputs = [(key, _text(value)) for key, value in given.items() if value is not None and value is not False]
    chosen = [item for item in fields(settings) if getattr(settings, item.name) != item.default]
    rest = [item for item in fields(settings) if item not in chosen]
    own = {key: _text(value) for key, value in (summary["model"] or {}).items() if value is not None}
    seed = {"seed": str(settings.seed)} if hasattr(settings, "seed") else {}
    run = {"command line": shlex.join(summary["command_line"]), "wall time": _duration(summary["wall_time_s"])} | seed
    versions = {name: version for name, version in summary["versions"].items() if version is not None}
    return [
        heading("Inputs"),
        table(("", ""), inputs),
        *([heading("Settings"), _settings(settings, chosen)] if chosen else []),
        *([folded("Settings at their defaults", f"{len(rest)}", _settings(settings, rest))] if rest else []),
        *([heading("Model"), table(("", ""), list(own.items()))] if own else []),
        heading("Run"),
        table(("", ""), [*run.items(), *versions.items()]),
    ]


def _settings(settings: Any, items: Sequence[Field]) -> str:
    """Name, value with unit, and meaning of some fields."""
    rows = [
        (item.name, f"{_text(getattr(settings, item.name))} {item.metadata['unit']}".rstrip(), item.metadata["help"])
        for item in items
    ]
    return table(("name", "value", "meaning"), rows)


def _text(value: Any) -> str:
    """A value for people: lists without brackets, numbers as short as they say the same to eight digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return "none" if value is None else str(value)


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.2f} h" if hours >= 1 else f"{minutes:.1f} min" if minutes >= 1 else f"{seconds:.1f} s"
