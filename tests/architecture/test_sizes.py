"""Modules and functions that one can still read at a sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.package import modules, tree

MODULE_LINES = 400
FUNCTION_LINES = 60
NAMES_OF_NOTHING = {"utils", "util", "misc", "helpers", "common", "tools"}


def long_functions(module: ast.Module) -> list[str]:
    """Functions beyond the limit, docstring not counted."""
    functions = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"{f.name}: {_lines(f)} lines" for f in functions if _lines(f) > FUNCTION_LINES]


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", modules())
def test_modules_and_functions_are_short(name):
    path: Path = modules()[name]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    assert not long_functions(tree(path))


@pytest.mark.parametrize("name", modules())
def test_modules_are_named_after_what_they_hold(name):
    last = name.split(".")[-1]
    assert last not in NAMES_OF_NOTHING and not last.endswith(("_old", "_new", "_v2"))


def test_a_long_function_would_be_seen():
    body = "\n".join("    x = 1" for _ in range(FUNCTION_LINES + 1))
    assert long_functions(ast.parse(f"def f():\n    '''Doc.'''\n{body}")) == [f"f: {FUNCTION_LINES + 1} lines"]
    assert not long_functions(ast.parse(f"def f():\n    '''Doc.'''\n{body[: body.rindex(chr(10))]}"))
