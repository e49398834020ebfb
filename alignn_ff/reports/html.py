"""Pages that need nothing beside themselves: text, tables, figures and structures in one HTML file, no network."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from alignn_ff.files import write_text
from alignn_ff.reports.figure import DOTS_PER_INCH

CSS_PIXELS_PER_INCH = 110
"""A little more than the 96 of the standard: figures are made for paper."""

WIDE_COLUMNS, WIDE_PIXELS = 3, 560
"""Columns of a table and width of a figure beyond which they want the whole width of the page."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{parts}
{script}</body>
</html>
"""


def write_page(path: str | Path, title: str, parts: Sequence[str], *, script: str = "") -> Path:
    """Write a page of `parts`, which come from the functions below, whole or not at all.

    The page tells the browser to load nothing and to run nothing but `script`.

    Args:
        script: name of a script of this package that the parts need.
    Raises:
        OutputWriteError: the file could not be written.
    """
    code = f"\n{_own(script)}" if script else ""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if code:
        policy += f"; script-src 'sha256-{_base64(hashlib.sha256(code.encode()).digest())}'"
    page = _PAGE.format(
        policy=policy,
        title=escape(title),
        style=_own("page.css"),
        parts="\n".join(parts),
        script=f"<script>{code}</script>\n" if code else "",
    )
    write_text(path, page)
    return Path(path)


def heading(text: str) -> str:
    """A heading of second rank."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def status(text: str, verdict: str, lead: str = "") -> str:
    """How it ended, for all to see: a `verdict` of pass, warn or fail gives the colour; `lead` stands beside it."""
    beside = f' <span class="lead">{escape(lead)}</span>' if lead else ""
    return f'<p><span class="status {escape(verdict)}">{escape(text)}</span>{beside}</p>'


def notes(texts: Sequence[str], verdict: str = "warn") -> str:
    """Warnings, or errors where the verdict is fail, in a list that stands out."""
    lines = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<ul class="notes {escape(verdict)}">{lines}</ul>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, marked: int | None = None) -> str:
    """A table of plain texts; the first of each row is its name. Runs of blanks align columns of numbers.

    Args:
        header: one name a column; all empty for a list of names and values.
        marked: the column whose cells have their text as style class, e.g. "fail".
    """
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    head = f"<thead><tr>{names}</tr></thead>\n" if any(header) else ""
    lines = "\n".join(_row(row, marked) for row in rows)
    wide = ' class="wide"' if len(header) > WIDE_COLUMNS else ""
    return f'<div class="scroll"><table{wide}>\n{head}<tbody>\n{lines}\n</tbody></table></div>'


def figure(drawn: Figure, caption: str) -> str:
    """A figure as a picture within the page."""
    buffer = BytesIO()
    drawn.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return picture(buffer.getvalue(), caption)


def picture(png: bytes, caption: str) -> str:
    """A figure that was saved as PNG with `save_figure`, within the page."""
    data, text = _base64(png), escape(caption)
    width, height = (round(pixels * CSS_PIXELS_PER_INCH / DOTS_PER_INCH) for pixels in struct.unpack(">II", png[16:24]))
    image = f'<img alt="{text}" width="{width}" height="{height}" src="data:image/png;base64,{data}">'
    wide = ' class="wide"' if width > WIDE_PIXELS else ""
    return f"<figure{wide}>{image}<figcaption>{text}</figcaption></figure>"


def beside(parts: Sequence[str]) -> str:
    """Parts in two columns where the window is wide enough; a wide table or figure takes both."""
    inner = "\n".join(f"<div>\n{part}\n</div>" for part in parts)
    return f'<div class="beside">\n{inner}\n</div>'


def folded(title: str, note: str, part: str) -> str:
    """A part that opens when its title is clicked; a `note` stands behind the title."""
    return f"<details><summary>{escape(title)} <small>{escape(note)}</small></summary>\n{part}</details>"


def _row(row: Sequence[str], marked: int | None) -> str:
    cells = []
    for place, cell in enumerate(row):
        style = cell if place == marked else "aligned" if "  " in cell else ""
        attribute = f' class="{escape(style)}"' if style else ""
        named = place == 0 and place != marked
        begin, end = (f'th scope="row"{attribute}', "th") if named else (f"td{attribute}", "td")
        cells.append(f"<{begin}>{escape(cell)}</{end}>")
    return f"<tr>{''.join(cells)}</tr>"


def _own(name: str) -> str:
    return files("alignn_ff.reports").joinpath(name).read_text(encoding="utf-8")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
