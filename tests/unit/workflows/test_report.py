"""The page of a job: numbers, structures and origin are there, and no more frames than a browser bears."""

from __future__ import annotations

import base64
import json
import re
from html import escape, unescape

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from alignn_ff import h5md
from alignn_ff.workflows import scene
from alignn_ff.workflows.relax import RelaxSettings, run_relax
from alignn_ff.workflows.report import write_failure, write_report
from alignn_ff.workflows.scene import elements_of, structure_set, trajectory_set
from alignn_ff.workflows.surface import SurfaceSettings, run_surface

SUMMARY = {
    "command": "relax",
    "status": "not converged",
    "error": None,
    "warnings": ["beware of <b>"],
    "inputs": {"structure": "a&b.cif", "model": None, "skin": 0.0, "overwrite": False, "settings": {}},
    "model": {"model": "ase:emt", "sha256": "ab" * 32},
    "command_line": ["alignn-ff", "relax", "a&b.cif", "--out", "two words"],
    "versions": {"ase": "3.29.0", "torch": None},
    "wall_time_s": 90.0,
}


def copper():
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    return atoms


def sets_of(page):
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL).group(1)
    return {one["name"]: one for one in json.loads(data)["sets"]}


def test_a_page_says_all_there_is_to_say(tmp_path):
    settings = RelaxSettings(fmax=0.05, steps=3)
    result = run_relax(copper(), settings, folder=tmp_path)
    page = write_report(tmp_path, result, SUMMARY, settings).read_text(encoding="utf-8")
    text = unescape(re.sub(r"<[^>]*>", " ", page))
    for label, value in result.rows():
        assert f'<th scope="row">{escape(label)}</th><td>{escape(value)}</td>' in page
    for said in ("not converged", "beware of <b>", "ase:emt", "ab" * 32, "1.5 min", "a&b.cif", "'two words'", "3.29.0"):
        assert said in text
    assert "beware of <b>" not in page and page.count("<img ") == 1
    chosen, defaults = page.split("Settings at their defaults")
    assert ">fmax<" in chosen and ">fmax<" not in defaults and ">optimizer<" in defaults
    assert '<th scope="row">skin</th><td>0</td>' in page and ">overwrite<" not in page
    assert "0.05 eV/Å" in text and "ASE optimizer." in text
    assert base64.b64encode((tmp_path / "relax.png").read_bytes()).decode() in page
    assert "max_force_ev_per_a" in page  # a short table is repeated
    found = sets_of(page)
    assert list(found) == ["trajectory", "relaxed"]
    assert len(found["trajectory"]["frames"]) == 4 and found["trajectory"]["shown"] == 3
    last = found["trajectory"]["frames"][-1]
    assert f"frame 3 of 3 · {result.energy_ev:.4f} eV" == last["label"]
    positions = np.frombuffer(base64.b64decode(last["positions"]), "<f4").reshape(-1, 3)
    assert np.allclose(positions, result.atoms.positions, atol=1e-5)
    assert np.allclose(last["cell"], result.atoms.cell[:].ravel(), atol=1e-5)


def test_slabs_are_called_after_their_planes(tmp_path):
    settings = SurfaceSettings(relax_slabs=False, check=False)
    result = run_surface(copper(), settings, folder=tmp_path)
    found = sets_of(write_report(tmp_path, result, SUMMARY, settings).read_text(encoding="utf-8"))
    labels = [frame["label"].split(" · ")[0] for frame in found["slabs"]["frames"]]
    assert labels == [one.label for one in result.surfaces] and "(111)" in labels


def test_a_job_without_a_result_shows_its_last_good_frame(tmp_path):
    summary = SUMMARY | {"status": "run away", "error": "atoms <1> flew apart", "model": None}
    page = write_failure(tmp_path, copper(), summary, RelaxSettings()).read_text(encoding="utf-8")
    assert (
        "atoms &lt;1&gt; flew apart" in page and list(sets_of(page)) == ["last_good"] and 'class="status fail"' in page
    )
    bare = write_failure(tmp_path, None, summary, RelaxSettings()).read_text(encoding="utf-8")
    assert "<canvas" not in bare and "flew apart" in bare


@pytest.fixture(params=["extxyz", "h5md"])
def long_run(tmp_path, request):
    path = tmp_path / f"trajectory.{request.param}"
    frames = [molecule("H2O", info={"time_fs": 2.0 * k}) for k in range(23)]
    for k, frame in enumerate(frames):
        frame.positions += k
        frame.calc = SinglePointCalculator(frame, energy=-1.0, forces=np.zeros((3, 3)))
        if path.suffix == ".h5md":
            h5md.append(path, frame, k, 2.0 * k)
    if path.suffix == ".extxyz":
        write(path, frames)
    return path


@pytest.mark.parametrize(("most", "shown", "stride"), [(200, 23, 1), (22, 12, 2), (5, 5, 5), (1, 1, 23)])
def test_long_trajectories_are_thinned_evenly_and_say_so(long_run, monkeypatch, most, shown, stride):
    monkeypatch.setattr(scene, "MOST_FRAMES", most)
    found = trajectory_set(long_run)
    times = [float(re.search(r"([\d.]+) fs", frame.label).group(1)) for frame in found.frames]
    assert len(times) == shown and times[-1] == 44.0 and set(np.diff(times)) <= {2.0 * stride}
    assert found.frames[-1].label == "frame 22 of 22 · 44 fs · -1.0000 eV" and found.shown == shown - 1 and found.moving
    assert found.frames[-1].positions[0, 0] == pytest.approx(22 + molecule("H2O").positions[0, 0])
    assert found.note == (f"One frame in {stride} of the 23 in {long_run.name}." if stride > 1 else "")


def test_atoms_times_frames_are_bounded_and_giants_left_out(long_run, monkeypatch):
    monkeypatch.setattr(scene, "MOST_POSITIONS", 3 * 4)
    assert len(trajectory_set(long_run).frames) == 4
    assert len(structure_set("many", [molecule("H2O")] * 9).frames) == 4
    assert structure_set("many", [molecule("H2O")] * 9).frames[1].label == "H2O (2 of 9)"
    assert structure_set("many", [molecule("H2O")] * 9).note == "The first 4 of 9 structures."
    monkeypatch.setattr(scene, "LARGEST", 2)
    assert trajectory_set(long_run) is None and structure_set("one", [molecule("H2O")]) is None


def test_an_empty_trajectory_is_none(tmp_path):
    (tmp_path / "trajectory.extxyz").touch()
    assert trajectory_set(tmp_path / "trajectory.extxyz") is None


def test_cells_of_any_rank_and_the_structure_shown():
    ribbon = Atoms("C2", positions=[[0, 0, 0], [1.4, 0, 0]], cell=[2.8, 0, 0], pbc=[True, False, True])
    chosen = bulk("NaCl", "rocksalt", a=5.6)
    found = structure_set("all", [molecule("CO"), ribbon, chosen], titles=["gas", "ribbon", "salt"], shown=chosen)
    gas, one, salt = found.frames
    assert (
        found.shown == 2 and not found.moving and [frame.label for frame in found.frames] == ["gas", "ribbon", "salt"]
    )
    assert gas.box == [False] * 3 and one.box == [True, False, False] and salt.box == [True] * 3
    assert one.pbc == [True, False, False]  # there is nothing to repeat by along z
    assert all(np.linalg.matrix_rank(frame.cell) == 3 for frame in found.frames)
    assert elements_of([found])["Cl"].colour == "#1ff01f" and list(elements_of([found])) == ["C", "Cl", "Na", "O"]
