"""The library logs; only the command line prints."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.package import modules, tree


def prints(module: ast.Module) -> list[int]:
    """Lines that call print, or write to the standard streams."""
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    streams = {"sys.stdout.write", "sys.stderr.write"}
    return [c.lineno for c in calls if ast.unparse(c.func) == "print" or ast.unparse(c.func) in streams]


@pytest.mark.parametrize("name", [n for n in modules() if n.split(".")[0] != "cli"])
def test_nothing_is_printed(name):
    assert not prints(tree(modules()[name]))


def bare_excepts(module: ast.Module) -> list[int]:
    """Lines that catch everything, and so hide what nobody foresaw."""
    handlers = [node for node in ast.walk(module) if isinstance(node, ast.ExceptHandler)]
    return [h.lineno for h in handlers if h.type is None or ast.unparse(h.type) in ("Exception", "BaseException")]


@pytest.mark.parametrize("name", modules())
def test_nobody_catches_everything(name):
    assert not bare_excepts(tree(modules()[name]))


def test_both_would_be_seen():
    source = "try:\n    print(1)\nexcept Exception:\n    sys.stdout.write('x')"
    assert prints(ast.parse(source)) == [2, 4] and bare_excepts(ast.parse(source)) == [3]
