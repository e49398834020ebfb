"""Sections of the page `report.html` that every kind of training shares."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from alignn_ff._version import __version__
from alignn_ff.reports.html import figure, folded, heading, paragraph, table
from alignn_ff.reports.learning_curve import learning_curve_figure

WORST = 10
"""Structures that a list of the worst names."""


def curves(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Loss and errors over the epochs; nothing where there were none."""
    if not rows:
        return []
    return [heading("Learning curves"), figure(learning_curve_figure(rows), "Loss and errors, epoch by epoch.")]


def timing(rows: Sequence[Mapping[str, Any]], structures: int, atoms: int) -> list[str]:
    """How long the steps took.

    Args:
        rows: of the history, with `epoch` and `seconds` since its start.
        structures, atoms: that an epoch goes through.
    """
    if not rows:
        return []
    seconds, epochs = rows[-1]["seconds"], rows[-1]["epoch"]
    rate = epochs / max(seconds, 1e-9)
    numbers = [
        ("Training steps, in all", f"{seconds:.1f} s"),
        ("An epoch", f"{seconds / epochs:.2f} s"),
        ("Structures", f"{rate * structures:.1f} a second"),
        ("Atoms", f"{rate * atoms:.0f} a second"),
    ]
    return [heading("Timing"), table(("", ""), numbers), paragraph("Validation and reports are not counted.")]


def settings(config: BaseModel, title: str = "Config") -> list[str]:
    """Every field with its value; those that are not at their default come first."""
    lines = list(_flat(config.model_dump(mode="json")))
    default = dict(
        _flat({name: field.get_default(call_default_factory=True) for name, field in type(config).model_fields.items()})
    )
    own = [(name, value) for name, value in lines if default.get(name) != value]
    rest = [line for line in lines if line not in own]
    header = ("Field", "Value")
    return [heading(title), table(header, own), folded("The others", "at their defaults", table(header, rest))]


def versions(device: str) -> list[str]:
    """The software and the machine behind the numbers."""
    names = [(name, version(name)) for name in ("torch", "numpy", "ase")]
    machine = [("Python", platform.python_version()), ("System", platform.platform())]
    return [heading("Versions"), table(("", ""), [("alignn-ff", __version__), *names, *machine, ("Device", device)])]


def number(value: float, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    return "–" if value != value else f"{value:.{digits}g}"


def _flat(fields: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        inner = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{place}{name}.")
        else:
            yield f"{place}{name}", _text(inner)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
