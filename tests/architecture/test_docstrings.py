"""Every public module, class and function says what it is for."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.package import modules, tree


def undocumented(module: ast.Module) -> list[str]:
    """Public names without a docstring; methods that carry out what a base class documents are left out."""
    found = [] if ast.get_docstring(module) else ["the module"]
    for node in module.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            found.append(node.name)
        if isinstance(node, ast.ClassDef) and not node.bases:
            found += [
                f"{node.name}.{method.name}"
                for method in node.body
                if isinstance(method, ast.FunctionDef)
                and not method.name.startswith("_")
                and not ast.get_docstring(method)
            ]
    return found


@pytest.mark.parametrize("name", modules())
def test_everything_public_is_documented(name):
    assert not undocumented(tree(modules()[name]))


def test_an_absent_docstring_would_be_seen():
    source = "def f(): 0\nclass C:\n    '''Said.'''\n    def g(self): 0\n    def _h(self): 0\ndef _i(): 0"
    assert undocumented(ast.parse(source)) == ["the module", "f", "C.g"]
