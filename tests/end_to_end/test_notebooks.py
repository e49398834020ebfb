"""Each notebook runs from top to bottom, and is committed without outputs or paths of somebody's machine."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS_PER_CELL = 300

SHORT = {
    "03_elastic_constants": {"EOS_POINTS": 7},
    "04_diffusion": {"REPEATS": 2, "MELTING_STEPS": 100, "STEPS": 300},
    "05_phonons": {"REPEATS": (2, 3), "MESH": (6, 6, 6)},
    "06_uncertainty": {"EPOCHS": 3, "MEMBERS": 2},
    "07_defects_and_surfaces": {"VACANCY_SIZES": 2, "IMAGES": 3, "THICKNESS_A": 6.0},
}
"""Notebook -> values that shorten it; its cell tagged `parameters` holds the long ones."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of jupyter's own


def shortened(notebook: NotebookNode, values: dict[str, Any]) -> NotebookNode:
    """The notebook with other values of its parameters, each of which it must have."""
    if values:
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        own = {target.id for line in ast.parse(cell.source).body for target in line.targets}
        assert own >= values.keys()
        cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    return notebook


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


def test_there_are_notebooks():
    assert {"01_first_steps", "02_train_your_own", *SHORT} <= {path.stem for path in NOTEBOOKS}


def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = shortened(nbformat.read(path, as_version=4), SHORT.get(path.stem, {}))
    work = tmp_path / "work"
    work.mkdir()
    NotebookClient(
        notebook, timeout=SECONDS_PER_CELL, resources={"metadata": {"path": str(work)}}, kernel_name="python3"
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert [output for output in outputs if output.get("name") == "stderr"] == []


def test_notebook_is_committed_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert not [word for word in ("/home/", "/Users/", "/root/", "/work/", "/tmp/") if word in path.read_text()]
