"""What README shows exists: commands and their options, config fields, imports, files."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from alignn_ff.cli.main import load_command
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    shown = [line for block in blocks("sh") for line in block.splitlines()]
    shown += [line.removeprefix("$ ") for block in blocks("") for line in block.splitlines() if line[:2] == "$ "]
    return [line for line in shown if line.startswith("alignn-ff ")]


def options(command: str) -> set[str]:
    return {option for parameter in load_command(command).params for option in parameter.opts}


@pytest.mark.parametrize("line", commands())
def test_command_and_its_options_exist(line):
    _, command, *words = shlex.split(line, comments=True)
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    known = options(command)
    if command == "train":  # any field of the config is an option
        known |= {f"--{name}" for name in TrainConfig.model_fields} | {"--model.cutoff"}
        given.discard("--batchsize")  # the example of a misspelt one
    assert given <= known


@pytest.mark.parametrize("row", re.findall(r"^\| `(relax|md|eos)` \| (.*) \|$", README, re.MULTILINE))
def test_options_of_the_table_exist(row):
    command, text = row
    known = options(command) | {f"--no-{option[2:]}" for option in options(command)}
    assert set(re.findall(r"--[a-z-]+", text)) <= known


def test_config_is_valid_and_names_real_fields():
    (text,) = blocks("yaml")
    assert parse(TrainConfig, yaml.safe_load(text), "README").epochs == 100


def test_imports_of_python_blocks_exist():
    for block in blocks("python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("alignn_ff"):
                assert all(hasattr(import_module(node.module), alias.name) for alias in node.names)


def test_relative_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert len(links) > 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_opens_with_the_two_commands():
    assert README.index("make demo") < README.index("make test") < README.index("AlignnFFCalculator()") < 1500
