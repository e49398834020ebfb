"""Pages that need nothing beside themselves: text, tables and figures in one HTML file, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from alignn_ff.files import write_text

DOTS_PER_INCH = 110

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
tr { border-bottom: 1px solid #e4e4e4; } td.pass { color: #2f6fa8; } td.skipped { color: #8a8a8a; }
td.warn { color: #b8741a; font-weight: 600; } td.fail { color: #b3261e; font-weight: 600; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { color: #555; font-size: .9rem; }
"""


def write_page(path: str | Path, title: str, parts: Sequence[str]) -> Path:
    """Write a page of `parts`, which come from the functions below, whole or not at all.

    Raises:
        OutputWriteError: the file could not be written.
    """
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    body = "\n".join([f"<h1>{escape(title)}</h1>", *parts])
    write_text(path, f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n')
    return Path(path)


def heading(text: str) -> str:
    """A heading of second rank."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, marked: int | None = None) -> str:
    """A table of plain texts.

    Args:
        marked: the column whose cells have their text as style class, e.g. "fail".
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = [f"<tr>{head}</tr>"]
    for row in rows:
        cells = (
            f'<td class="{escape(cell)}">{escape(cell)}</td>' if place == marked else f"<td>{escape(cell)}</td>"
            for place, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def figure(drawn: Figure, caption: str) -> str:
    """A figure as a picture within the page."""
    buffer = BytesIO()
    drawn.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    text = escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
