"""Pages stand alone: whole HTML, pictures and structures within, nothing fetched, no script but their own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from io import BytesIO

import numpy as np

from alignn_ff.reports.check import CURVES, check_parts, curves_figure, verdict_figure
from alignn_ff.reports.html import figure, folded, heading, notes, paragraph, status, table, write_page
from alignn_ff.reports.structure_view import SCRIPT, Element, Frame, FrameSet, structure_view

VOID = {"meta", "img", "br", "input"}


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

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def drawn():
    return verdict_figure(
        [("forces", "pass", 1e-3, 0.5), ("stress", "fail", None, 0.5), ("skin", "skipped", None, 1.0)]
    )


def png():
    buffer = BytesIO()
    drawn().savefig(buffer, format="png")
    return buffer.getvalue()


def values(page, name):
    return [value for _, attribute, value in page.attributes if attribute == name]


def test_a_page_needs_nothing_but_itself(tmp_path):
    rows = [("fail", "a <b> & c"), ("pass", "d")]
    parts = [heading("1 < 2"), paragraph("α & ω"), table(("verdict", "what"), rows, marked=0), figure(drawn(), "it")]
    path = write_page(tmp_path / "page.html", "Sound?", parts)
    page = Reader(path.read_text(encoding="utf-8"))
    assert {"a <b> & c", "1 < 2", "α & ω", "Sound?"} <= set(page.texts)
    assert {"fail", "pass"} <= set(values(page, "class")) and values(page, "alt") == ["it"]
    (source,) = values(page, "src")
    kind, _, data = source.partition(",")
    assert kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")
    assert not values(page, "href") and "://" not in path.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_names_of_rows_and_columns_are_headers_and_aligned_numbers_stay_aligned():
    page = Reader(table(("name", "value"), [("C", "  1.0  2.0"), ("D", "3")]))
    assert values(page, "scope") == ["col", "col", "row", "row"] and values(page, "class") == ["scroll", "aligned"]
    assert "<thead>" not in table(("", ""), [("a", "b")])
    assert 'class="wide"' in table(("a", "b", "c", "d"), [("1", "2", "3", "4")])


def test_whatever_comes_from_outside_is_text(tmp_path):
    evil = '"><script>alert(1)</script>'
    parts = [heading(evil), paragraph(evil), status(evil, evil, evil), notes([evil]), folded(evil, evil, "")]
    parts += [table((evil, evil), [(evil, evil)], marked=1), figure(drawn(), evil)]
    one = Frame([evil], np.zeros((1, 3)), np.eye(3), [True] * 3, [True] * 3, evil)
    parts.append(structure_view([FrameSet(evil, [one], note=evil)], {evil: Element(evil, 1.0, False)}))
    text = write_page(tmp_path / "page.html", evil, parts, script=SCRIPT).read_text(encoding="utf-8")
    assert "<script>alert" not in text and text.count("<script>") == 1 and text.count("</script>") == 2
    assert evil in Reader(text).texts


def view_of_two():
    one = Frame(["Cu", "Na"], [[0.0, 0, 0], [1.5, -2.25, 1e-3]], np.eye(3), [True] * 3, [True, True, False], "one")
    two = one._replace(positions=np.ones((2, 3)), label="two")
    elements = {"Cu": Element("#c88033", 1.32, True), "Na": Element("#ab5cf2", 1.66, True)}
    return structure_view([FrameSet("path", [one, two], 1, moving=True), FrameSet("end", [two])], elements)


def test_the_page_allows_its_own_script_alone(tmp_path):
    text = write_page(tmp_path / "page.html", "t", [view_of_two()], script=SCRIPT).read_text(encoding="utf-8")
    code = text.split("<script>")[1].split("</script>")[0]
    allowed = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in text and "default-src 'none'" in text
    bare = write_page(tmp_path / "bare.html", "t", [heading("h")]).read_text(encoding="utf-8")
    assert "script" not in bare and "default-src 'none'" in bare


def test_structures_arrive_as_they_are():
    text = view_of_two()
    page = Reader(text)
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL).group(1))
    path, end = data["sets"]
    assert [one["name"] for one in data["sets"]] == ["path", "end"] and len(path["frames"]) == 2
    assert path["shown"] == 1 and path["moving"] and not end["moving"] and end["shown"] == 0
    frame = path["frames"][0]
    found = np.frombuffer(base64.b64decode(frame["positions"]), "<f4").reshape(-1, 3)
    assert np.allclose(found, [[0, 0, 0], [1.5, -2.25, 1e-3]], atol=1e-6)
    assert data["species"] == [["Cu", "Na"]] and frame["pbc"] == [True, True, False]  # symbols once for all frames
    assert data["elements"]["Na"] == {"colour": "#ab5cf2", "radius": 1.66, "metal": True}
    assert {"path", "end", "Cu", "Na"} <= set(page.texts)
    (label,) = [value for tag, name, value in page.attributes if (tag, name) == ("canvas", "aria-label")]
    assert label.startswith("two: 2 atoms") and "arrow keys" in label


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
        png(),
        {"dimers": {"a": {"distance_a": np.arange(3.0), "energy_ev": np.arange(3.0)}}},
    )
    assert sum("<img" in part for part in parts) == 2


def luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_text_can_be_read_by_day_and_by_night():
    style = files("alignn_ff.reports").joinpath("page.css").read_text(encoding="utf-8")
    for palette in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", palette))
        pairs = [(ink, paper) for ink in ("text", "muted", "pass", "warn", "fail") for paper in ("paper", "card")]
        for ink, paper in [*pairs, ("text", "warn-paper"), ("text", "fail-paper")]:
            low, high = sorted(luminance(colours[name]) for name in (ink, paper))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)  # level AA
    assert style.count(":root {") == 2
