"""Pages in headless Chromium: the structures are drawn, turned and played under the page's own rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write
from matplotlib.image import imread
from typer.testing import CliRunner

from alignn_ff.cli.main import app
from alignn_ff.reports.html import write_page
from alignn_ff.reports.structure_view import SCRIPT, structure_view
from alignn_ff.workflows.scene import elements_of, structure_set

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")

COPPER_RGB = (200, 128, 51)

DRIVER = """
const log = {}, canvas = document.querySelector("canvas"), named = (name) => document.querySelector(`[name=${name}]`);
const note = (what) => { log[what] = { ...canvas.dataset, said: document.querySelector("output").textContent }; };
const pointer = (kind, x, y, more) => canvas.dispatchEvent(
  new PointerEvent(kind, { pointerId: 1, clientX: x, clientY: y, bubbles: true, ...more }));
const choose = (part, value) => { part.value = value; part.dispatchEvent(new Event("input", { bubbles: true })); };
const tick = (name) => named(name).click();
const box = canvas.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
const colours = () => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, seen = {};
  for (let k = 0; k < data.length; k += 4) if (data[k + 3] > 250) {
    const [r, g, b] = data.slice(k, k + 3);
    const name = r > g + 20 && g > b + 20 ? "copper" : Math.abs(r - g) + Math.abs(g - b) < 30 ? "grey" : "other";
    seen[name] = (seen[name] ?? 0) + 1;
  }
  return seen;
};
note("start");
log.colours = colours();
tick("faces"); note("without images"); tick("faces");
tick("bonds"); note("without bonds"); tick("bonds");
pointer("pointerdown", x, y); pointer("pointermove", x + 50, y); pointer("pointerup", x + 50, y); note("dragged");
tick("c"); note("along c");
pointer("pointermove", x, y);
log.tip = document.querySelector(".tip").textContent;
canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" })); note("key");
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, cancelable: true })); note("wheel elsewhere");
canvas.focus();
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, cancelable: true })); note("wheel");
tick("reset"); note("reset");
choose(named("frame"), 2); note("third frame");
tick("wrap"); note("wrapped"); tick("wrap");
choose(named("frame"), 0);
const set = named("set");
set.value = 1;
set.dispatchEvent(new Event("change"));
note("other set");
log.hidden = document.querySelector(".frames").hidden;
set.value = 2;
set.dispatchEvent(new Event("change"));
note("apart");
set.value = 3;
set.dispatchEvent(new Event("change"));
note("oxide");
set.value = 0;
set.dispatchEvent(new Event("change"));
tick("play");
let tries = 0;
const watch = setInterval(() => {
  if (canvas.dataset.frame === "0" && ++tries < 300) return;
  clearInterval(watch);
  note("played");
  document.body.append(Object.assign(document.createElement("pre"), { id: "log", textContent: JSON.stringify(log) }));
}, 10);
"""


def browse(page, tmp_path, *options):
    """The page as the browser has it in the end."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--hide-scrollbars", "--window-size=1200,900", *(options or ["--dump-dom"]), page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return done.stdout


class Canvas(HTMLParser):
    """Attributes of the canvas, and the title."""

    def __init__(self, text):
        super().__init__()
        self.data, self.title, self._within = {}, "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._within = tag
        if tag == "canvas":
            self.data = {name.removeprefix("data-"): value for name, value in attrs}

    def handle_data(self, data):
        self.title += data if self._within == "title" else ""
        self._within = ""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """What a visitor's hands did to three frames of copper, and to another set of one molecule."""
    folder = tmp_path_factory.mktemp("driven")
    frames = [bulk("Cu", cubic=True) for _ in range(3)]
    frames[2].positions[0] += [0.0, 0.0, 4.0]  # out of the cell
    apart = structure_set("path", frames, titles=["one", "two", "three"], shown=frames[2])
    moving = apart._replace(moving=True, shown=0)
    oxide = structure_set("oxide", [bulk("MgO", "rocksalt", a=4.21, cubic=True)])
    sets = [moving, structure_set("gas", [molecule("H2O")]), apart, oxide]
    page = write_page(folder / "page.html", "t", [structure_view(sets, elements_of(sets))], script=SCRIPT)
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)  # or it would forbid the driver
    page.write_text(text.replace("</body>", f"<script>{DRIVER}</script></body>"), encoding="utf-8")
    dom = browse(page, folder, "--virtual-time-budget=6000", "--dump-dom")
    return json.loads(unescape(re.search(r'<pre id="log">(.*?)</pre>', dom, re.DOTALL).group(1)))


def toward(entry):
    """The direction that points to the viewer."""
    return np.array([float(part) for part in entry["toward"].split()])


def test_atoms_images_and_bonds_are_drawn(log):
    # a face-centred cube shows 8 corners and 6 faces, and 36 bonds between neighbours within it
    assert (log["start"]["atoms"], log["start"]["bonds"]) == ("14", "36")
    assert (log["without images"]["atoms"], log["without images"]["bonds"]) == ("4", "6")
    assert (log["without bonds"]["atoms"], log["without bonds"]["bonds"]) == ("14", "0")
    assert log["colours"]["copper"] > 10_000 and log["tip"] == "Cu, atom 3 (1.805, 1.805, 0.000) Å"


def test_cations_have_bonds_with_anions_alone(log):
    # a cube of rock salt with its 27 atoms at or within the faces has 3 * 2 * 9 bonds, though Mg-Mg is but 2.98 Å
    assert (log["oxide"]["atoms"], log["oxide"]["bonds"]) == ("27", "54")


def test_hands_and_keys_turn_and_zoom(log):
    start = toward(log["start"])
    assert np.degrees(np.arccos(start @ toward(log["dragged"]))) == pytest.approx(np.degrees(0.5), abs=1.0)  # 50 pixels
    assert toward(log["along c"]) == pytest.approx([0, 0, 1], abs=1e-3)
    assert np.arccos(toward(log["key"])[2]) == pytest.approx(0.12, abs=1e-2)
    assert log["wheel elsewhere"]["zoom"] == "1.000" and float(log["wheel"]["zoom"]) > 1.1
    assert toward(log["reset"]) == pytest.approx(start) and log["reset"]["zoom"] == "1.000"


def test_slider_sets_and_play_change_what_is_shown(log):
    assert log["start"]["frame"] == "0" and log["start"]["said"] == "one"
    third, wrapped, other = log["third frame"], log["wrapped"], log["other set"]
    assert third["frame"] == "2" and third["said"] == "three" and third["atoms"] == "14"
    # the atom that left the cell through its top is no corner any more; in a trajectory its images go with it
    assert wrapped["atoms"] == log["apart"]["atoms"] == "10" and log["apart"]["frame"] == "2"
    assert (other["set"], other["atoms"], other["bonds"], log["hidden"]) == ("gas", "3", "2", True)
    assert log["played"]["set"] == "path" and log["played"]["frame"] != "0"


def test_the_page_of_a_job_draws_under_its_own_rules(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = bulk("Cu", cubic=True, a=3.65)
    atoms.calc = EMT()
    evil = "<img src=x onerror=document.title=1>.xyz"
    write(evil, atoms, format="extxyz")
    done = CliRunner().invoke(app, ["relax", evil, "--model", "ase:emt", "--out", "job", "--no-progress-bar"])
    assert done.exit_code == 0, done.output
    page = tmp_path / "job" / "report.html"
    found = Canvas(browse(page, tmp_path))
    assert found.title == "relax Cu4"
    assert (found.data["set"], found.data["atoms"], found.data["bonds"]) == ("trajectory", "14", "36")
    browse(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}")
    seen = np.round(255 * imread(tmp_path / "page.png")[..., :3])
    assert (np.abs(seen - COPPER_RGB).max(axis=2) < 30).mean() > 0.005  # of the window
