"""What a command leaves behind: `summary.json` for machines, a table for people."""

from __future__ import annotations

import json
import logging
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from alignn_ff._version import __version__
from alignn_ff.files import write_text

PACKAGES = ("ase", "numpy", "torch", "phonopy", "phono3py")


def versions() -> dict[str, str | None]:
    """Versions of what the numbers depend on; None for what is not installed."""
    return {"alignn_ff": __version__, "python": platform.python_version()} | {
        package: _installed(package) for package in PACKAGES
    }


def write_summary(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """`summary.json` in `folder` with `content`, the command line and the versions; all of it is given back."""
    frame = {"command_line": ["alignn-ff", *sys.argv[1:]], "versions": versions()}
    summary = frame | dict(content)
    write_text(folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    return summary


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """A list that fills with the warnings of the block, from logging and from Python, once each."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage().strip()
            if message not in messages:
                messages.append(message)

    handler = Collector(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("alignn_ff", "py.warnings")]
    logging.captureWarnings(True)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield messages
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        logging.captureWarnings(False)


def show_result(console: Console, title: str, rows: Sequence[tuple[str, str]], folder: Path) -> None:
    """The result as a compact table, and the files it went to."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for label, value in rows:
        table.add_row(f"[dim]{label}[/dim]", value)
    console.print(table)
    files = ", ".join(sorted(path.name for path in folder.iterdir()))
    console.print(f"[dim]files in[/dim] {folder}[dim]: {files}[/dim]", soft_wrap=True, highlight=False)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
