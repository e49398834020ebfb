"""`make demo`, small: both parts run, also over an earlier run, and say what they found."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_demo_over_an_earlier_run_writes_every_file_it_names(demo, tmp_path, capsys):
    for name in demo.FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("left by an earlier run")
    numbers = demo.main(demo.Scale(structures=20, epochs=2, md_steps=40), tmp_path)
    left = [name for name in demo.FILES if (tmp_path / name).read_bytes() == b"left by an earlier run"]
    assert left == []
    assert json.loads((tmp_path / "summary.json").read_text()) == numbers
    shown = capsys.readouterr().out
    assert f"{numbers['silicon']['lattice_constant_a']:.3f} Å" in shown
    assert f"{numbers['training']['test']['energy']['mae']:.3g} meV/atom" in shown


def test_demo_structures_carry_every_label_and_repeat(demo):
    first, second = demo.alloy_structures(2, seed=1), demo.alloy_structures(2, seed=1)
    assert all({"energy", "forces", "stress"} <= set(atoms.calc.results) for atoms in first)
    assert all((a.positions == b.positions).all() for a, b in zip(first, second, strict=True))
    assert set(first[0].get_chemical_symbols()) <= {"Cu", "Ni"}
