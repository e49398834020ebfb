"""Every field of a config is read by somebody: an option that does nothing is a lie."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest

from alignn_ff.models.alignn import AlignnAtomwisePropertyConfig, AlignnConfig
from alignn_ff.models.alignn_atomwise_config import AlignnAtomwiseConfig, AlignnAtomwisePureSmoothConfig
from alignn_ff.models.alignn_smooth import AlignnSmoothConfig
from alignn_ff.models.ealignn_atomwise import EalignnAtomwiseConfig
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loss import LossConfig
from alignn_ff.training.property_config import PropertyTrainConfig
from tests.architecture.package import modules, tree

RECEIVERS = {"config", "c", "settings", "loss"}
"""What a config is called where it is read; other objects have attributes of the same names."""


def fields_read(trees: Iterable[ast.Module], definition: str) -> set[str]:
    """Attributes taken from anything called like a config, outside the class that defines them."""
    found = set()
    for module in trees:
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and node.name == definition:
                node.body = []
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and _called(node.value) in RECEIVERS:
                found.add(node.attr)
    return found


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def package() -> list[ast.Module]:
    return [ast.parse(ast.unparse(tree(path))) for path in modules().values()]  # copies: bodies are emptied


CONFIGS = [
    *(TrainConfig, LossConfig, AlignnSmoothConfig, AlignnAtomwiseConfig, AlignnAtomwisePureSmoothConfig),
    *(PropertyTrainConfig, AlignnConfig, AlignnAtomwisePropertyConfig, EalignnAtomwiseConfig),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_every_field_is_read(config):
    unread = set(config.model_fields) - fields_read(package(), config.__name__)
    assert not unread


def test_a_field_that_nothing_reads_would_be_seen():
    source = "class C:\n    def f(self):\n        return self.config.dead\nx = other.dead\ny = run.config.alive"
    assert fields_read([ast.parse(source)], "C") == {"alive"}
