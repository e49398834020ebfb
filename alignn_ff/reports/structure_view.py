"""Structures in 3-D on a page: drawn, turned and played by `structure_view.js`, which the page carries with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SCRIPT = "structure_view.js"


class Element(NamedTuple):
    """How atoms of an element are drawn: a colour such as #c88033, the covalent radius in Å, whether it is a metal."""

    colour: str
    radius_a: float
    metal: bool


class Frame(NamedTuple):
    """One structure: symbols [N], positions [N, 3] and cell [3, 3] in Å, of full rank.

    `box` [3] says which of the cell's vectors the structure has, `pbc` [3] along which of these it repeats.
    """

    symbols: Sequence[str]
    positions: NDArray
    cell: NDArray
    box: Sequence[bool]
    pbc: Sequence[bool]
    label: str


class FrameSet(NamedTuple):
    """Structures that belong together, at first shown at frame `shown`.

    `moving` are the same atoms on their way: images at faces of the cell follow them, where those of other structures
    are sought anew in each. `note` says what a reader should know, for example that some were left out.
    """

    name: str
    frames: Sequence[Frame]
    shown: int = 0
    note: str = ""
    moving: bool = False


def structure_view(sets: Sequence[FrameSet], elements: Mapping[str, Element]) -> str:
    """A view of the structures for a page whose script is `SCRIPT`.

    Args:
        sets: one or more, the first of which is shown at first.
        elements: every symbol in them.
    """
    content = json.dumps(_data(sets, elements), separators=(",", ":")).replace("<", "\\u003c")
    first = sets[0].frames[sets[0].shown]
    label = escape(f"{first.label}: {len(first.symbols)} atoms in three dimensions. {KEYS}")
    choices = "".join(f'<option value="{n}">{escape(one.name)}</option>' for n, one in enumerate(sets))
    legend = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="4.5" fill="{escape(how.colour)}"/>'
        f"</svg>{escape(symbol)}</li>"
        for symbol, how in elements.items()
    )
    return _VIEW.format(
        label=label,
        choices=choices,
        single=" hidden" if len(sets) < 2 else "",
        periodic="" if any(any(frame.pbc) for one in sets for frame in one.frames) else " hidden",
        legend=legend,
        keys=escape(KEYS),
        content=content,
    )


KEYS = "Drag or use the arrow keys to turn, Shift with them to move, + and − or the wheel after a click to zoom."

_VIEW = """<section class="structure-view" aria-label="Structures">
<div class="stage"><canvas tabindex="0" role="application" aria-roledescription="structure view" aria-label="{label}">
</canvas><div class="tip" hidden></div><ul class="legend">{legend}</ul></div>
<div class="controls"><label{single}>Structures <select name="set" autocomplete="off">{choices}</select></label>
<span class="frames"><button type="button" name="play" aria-label="Play">▶</button>
<input type="range" name="frame" min="0" step="1" aria-label="Frame" autocomplete="off"></span>
<output></output></div>
<div class="controls"><span role="group" aria-label="Seen along"><button type="button" name="a">a</button>
<button type="button" name="b">b</button> <button type="button" name="c">c</button>
<button type="button" name="reset">Reset</button></span>
<label><input type="checkbox" name="bonds" checked autocomplete="off"> Bonds</label>
<label{periodic}><input type="checkbox" name="faces" checked autocomplete="off"> Images at faces</label>
<label{periodic}><input type="checkbox" name="wrap" autocomplete="off"> Wrap</label></div>
<p class="note"></p><p class="hint">{keys}</p>
<noscript><p>This view needs JavaScript; the structures are in files beside the page, too.</p></noscript>
<script type="application/json">{content}</script>
</section>"""


def _data(sets: Sequence[FrameSet], elements: Mapping[str, Element]) -> dict[str, Any]:
    """What the script reads; frames of the same atoms share their symbols."""
    species = {tuple(frame.symbols): None for one in sets for frame in one.frames}
    number = {symbols: place for place, symbols in enumerate(species)}
    return {
        "elements": {
            symbol: {"colour": how.colour, "radius": how.radius_a, "metal": how.metal}
            for symbol, how in elements.items()
        },
        "species": list(species),
        "sets": [
            {
                "name": one.name,
                "shown": one.shown,
                "note": one.note,
                "moving": one.moving,
                "frames": [_frame(frame, number[tuple(frame.symbols)]) for frame in one.frames],
            }
            for one in sets
        ],
    }


def _frame(frame: Frame, species: int) -> dict[str, Any]:
    packed = np.ascontiguousarray(frame.positions, dtype="<f4").tobytes()
    return {
        "species": species,
        "positions": base64.b64encode(packed).decode("ascii"),
        "cell": np.round(frame.cell, 6).ravel().tolist(),
        "box": [bool(flag) for flag in frame.box],
        "pbc": [bool(flag) for flag in frame.pbc],
        "label": frame.label,
    }
