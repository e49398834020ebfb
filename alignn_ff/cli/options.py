"""Command-line options from a settings dataclass, and settings from the options and a configuration file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from alignn_ff.errors import ConfigError
from alignn_ff.files import read_fields
from alignn_ff.workflows.settings import build, from_text, value_type

S = TypeVar("S")

PLAIN = (float, int, bool, str)
"""Types that the command line parses by itself; a tuple arrives as texts."""

BARE = re.compile(r"\d+|true|false|yes|no", re.IGNORECASE)
"""A token that can be one value of a tuple."""


def setting_parameters(settings_type: type) -> list[inspect.Parameter]:
    """One option per field. Its default is None, so that "not given" is told from "given as the default"."""
    hints = get_type_hints(settings_type)
    return [_parameter(item, value_type(hints[item.name])[0]) for item in fields(settings_type)]


def plain_parameters(options_type: type) -> list[inspect.Parameter]:
    """One parameter per field of a dataclass whose annotations are typer's, in their order."""
    hints = get_type_hints(options_type, include_extras=True)
    return [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(options_type)
    ]


def settings_from(settings_type: type[S], given: Mapping[str, Any], config: Path | None) -> S:
    """Settings from options over `config` over defaults.

    Args:
        given: option values by field name; None and empty lists were not given.
    Raises:
        ConfigError: an unreadable file, an unknown field, a bad value.
    """
    hints = get_type_hints(settings_type)
    values = {} if config is None else read_fields(config)
    for item in fields(settings_type):  # type: ignore[arg-type]
        value = given[item.name]
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = from_text(item.name, hints[item.name], ",".join(value)) if value else None
        if value is not None:
            values[item.name] = value
    try:
        return build(settings_type, values)
    except ConfigError as error:
        if config is None:
            raise
        raise ConfigError(f"{config} with the options on top: {error}") from error


def command_class(settings_type: type) -> type[TyperCommand]:
    """A command that takes the values of a tuple option also as separate words: `--supercell 3 3 3`."""
    hints = get_type_hints(settings_type)
    lengths: dict[str, int] = {}
    for item in fields(settings_type):
        kind, _ = value_type(hints[item.name])
        if kind not in PLAIN:
            lengths |= dict.fromkeys(_names(item), len(get_args(kind)))

    class SettingsCommand(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(ctx, joined(args, lengths))

    return SettingsCommand


def joined(args: Sequence[str], lengths: Mapping[str, int]) -> list[str]:
    """`args` with the n words after an option of n values joined by commas; what looks otherwise stays."""
    rest, out = list(args), []
    while rest:
        word = rest.pop(0)
        out.append(word)
        count = lengths.get(word, 0)
        values = rest[:count]
        if count and len(values) == count and all(BARE.fullmatch(value) for value in values):
            out.append(",".join(values))
            del rest[:count]
    return out


def _parameter(item: Field, kind: Any) -> inspect.Parameter:
    choices = item.metadata["choices"]

    def completed(incomplete: str) -> list[str]:
        return [word for word in choices if word.startswith(incomplete)]

    option = typer.Option(
        None,
        *_declarations(item, kind),
        help=_help(item),
        show_default=_shown(item.default),
        rich_help_panel="Settings",
        autocompletion=completed if choices else None,
        metavar=None if kind in PLAIN else "N,N,...",
    )
    annotation = kind if kind in PLAIN else list[str]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation | None)


def _declarations(item: Field, kind: Any) -> list[str]:
    names = _names(item)
    return [f"{names[0]}/--no-{names[0][2:]}"] if kind is bool else names


def _names(item: Field) -> list[str]:
    alias = item.metadata["alias"]
    return ["--" + item.name.replace("_", "-"), *([alias] if alias else [])]


def _help(item: Field) -> str:
    unit, choices = item.metadata["unit"], item.metadata["choices"]
    parts = [
        item.metadata["help"],
        f"({unit})" if unit else "",
        f"One of {', '.join(choices)}." if choices else "",
    ]
    return " ".join(part for part in parts if part)


def _shown(default: Any) -> str | bool:
    """The default as help shows it; False where there is none to show."""
    if default is None:
        return False
    if isinstance(default, bool):
        return "yes" if default else "no"
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
