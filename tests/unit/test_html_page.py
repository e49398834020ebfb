"""Pages stand alone: whole HTML, pictures within, nothing fetched."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

import numpy as np

from alignn_ff.reports.check import CURVES, check_parts, curves_figure, verdict_figure
from alignn_ff.reports.html import figure, heading, paragraph, table, write_page

VOID = {"meta", "img", "br"}


class Reader(HTMLParser):
    """Tags that match, their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.texts = [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def drawn():
    return verdict_figure(
        [("forces", "pass", 1e-3, 0.5), ("stress", "fail", None, 0.5), ("skin", "skipped", None, 1.0)]
    )


def test_a_page_needs_nothing_but_itself(tmp_path):
    rows = [("fail", "a <b> & c"), ("pass", "d")]
    parts = [heading("1 < 2"), paragraph("α & ω"), table(("verdict", "what"), rows, marked=0), figure(drawn(), "it")]
    path = write_page(tmp_path / "page.html", "Sound?", parts)
    page = Reader(path.read_text(encoding="utf-8"))
    assert {"a <b> & c", "1 < 2", "α & ω", "Sound?"} <= set(page.texts)
    assert [value for tag, name, value in page.attributes if name == "class"] == ["fail", "pass"]
    (source,) = [value for tag, name, value in page.attributes if name in ("src", "href")]
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")
    assert "http" not in path.read_text(encoding="utf-8") and [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_verdicts_are_drawn_in_units_of_their_limits():
    (ax,) = drawn().axes
    places = [line.get_xdata()[0] for line in ax.lines]
    assert places == [2e-3, 1e6, 1.0]  # what is not finite stands at the end; the last line is the limit
    assert [label.get_text() for label in ax.get_yticklabels()] == ["forces", "stress"]


def test_every_kind_of_curve_has_a_panel_per_subject():
    for name, how in CURVES.items():
        curve = {how.x: np.linspace(0, 1, 5), how.y: np.array([np.nan, 900.0, 1.0, 0.5, 2.0])}
        figure_of_four = curves_figure(name, dict.fromkeys("abcd", curve))
        shown = [ax for ax in figure_of_four.axes if ax.get_visible()]
        assert [ax.get_title(loc="left") for ax in shown] == list("abcd")
        assert shown[0].get_ylim()[1] < 900  # a wall does not flatten the rest
    parts = check_parts(
        "1 fail",
        [("fail", "x", "1", "y", "z")],
        drawn(),
        {"dimers": {"a": {"distance_a": np.arange(3.0), "energy_ev": np.arange(3.0)}}},
    )
    assert sum("<img" in part for part in parts) == 2
