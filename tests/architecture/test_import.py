"""Importing the package is quick and silent."""

from __future__ import annotations

import json
import os
import subprocess
import sys

HEAVY = (
    "torch",
    "ase",
    "matplotlib",
    "scipy",
    "numpy",
    "pydantic",
    "vesin",
    "rich",
    "typer",
    "yaml",
    "jarvis",
    "phonopy",
    "phono3py",
    "pooch",
    "requests",
)

PROBE = f"""
import json, os, sys, time
before = set(os.listdir("."))
start = time.perf_counter()
import alignn_ff
seconds = time.perf_counter() - start
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps({{"seconds": seconds, "loaded": loaded, "made": sorted(set(os.listdir(".")) - before)}}))
"""


def probe(folder) -> dict:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_is_quick_and_loads_nothing_heavy(tmp_path):
    runs = [probe(tmp_path) for _ in range(3)]
    assert min(run["seconds"] for run in runs) < 0.3
    assert runs[0]["loaded"] == [] and runs[0]["made"] == []


def test_every_public_name_is_there():
    import alignn_ff

    assert set(dir(alignn_ff)) >= {"AlignnFFCalculator", "evaluate", "train", "run_relax", "__version__"}
    for name in dir(alignn_ff):
        assert getattr(alignn_ff, name) is not None


def test_unknown_name_is_an_attribute_error():
    import alignn_ff

    assert not hasattr(alignn_ff, "AlignnFFCalculater")
