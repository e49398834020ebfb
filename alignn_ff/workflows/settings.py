"""Settings of a workflow: fields that carry their help, unit and bounds, checked in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from alignn_ff.errors import ConfigError, did_you_mean

S = TypeVar("S")

WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}


def setting(
    default: Any,
    help: str,
    *,
    unit: str = "",
    choices: Sequence[str] = (),
    at_least: float | None = None,
    above: float | None = None,
    alias: str = "",
) -> Any:
    """A dataclass field with the metadata that `validate` and the command line read.

    Args:
        default: also the value of an option left out; an immutable value.
        help: one sentence.
        unit: physical unit, shown after the help.
        choices: the words allowed.
        at_least, above: inclusive and exclusive lower bound of a number (of each number of a tuple).
        alias: second name of the command-line option, e.g. `--temp`.
    """
    known = {"help": help, "unit": unit, "choices": tuple(choices)}
    return field(default=default, metadata=known | {"at_least": at_least, "above": above, "alias": alias})


def value_type(hint: Any) -> tuple[Any, bool]:
    """The type behind `X | None`, and whether None is allowed."""
    args = get_args(hint)
    if NoneType not in args:
        return hint, False
    (inner,) = [arg for arg in args if arg is not NoneType]
    return inner, True


def validate(settings: Any) -> None:
    """Check every field of frozen settings against its type, choices and bounds, in `__post_init__`.

    Whole numbers become floats where a float is meant, lists become tuples; nothing else is converted.

    Raises:
        ConfigError: what was seen, what was expected, and the nearest allowed word for a choice.
    """
    hints = get_type_hints(type(settings))
    for item in fields(settings):
        value = _checked(item, hints[item.name], getattr(settings, item.name))
        object.__setattr__(settings, item.name, value)  # the one place where a frozen instance is still being made


def build(settings_type: type[S], values: Mapping[str, Any]) -> S:
    """Settings from a mapping such as a configuration file; texts are read as the type of their field.

    Raises:
        ConfigError: an unknown field (with the nearest known one), or a value `validate` refuses.
    """
    hints = get_type_hints(settings_type)
    known = {}
    for name, value in values.items():
        if name not in hints:
            raise ConfigError(f"unknown field `{name}`{did_you_mean(str(name), hints)}. Fields: {', '.join(hints)}.")
        known[name] = from_text(name, hints[name], value) if isinstance(value, str) else value
    return settings_type(**known)


def from_text(name: str, hint: Any, text: str) -> Any:
    """`text` as the type `hint`; tuples are split at commas, blanks or an x: "3,3,3", "3 3 3", "3x3x3".

    Raises:
        ConfigError: the text is not of that type.
    """
    kind, _ = value_type(hint)
    if kind is str:
        return text
    if kind in WORDS:
        return _scalar_from_text(name, kind, text)
    parts = text.replace(",", " ").replace("x", " ").split()
    inner = get_args(kind)[0]
    return tuple(_scalar_from_text(name, inner, part) for part in parts)


def reject_unused(settings: Any, names: Sequence[str], reason: str) -> None:
    """Refuse fields that were changed from their default although nothing would read them.

    Raises:
        ConfigError: names the field and `reason`.
    """
    defaults = {item.name: item.default for item in fields(settings)}
    for name in names:
        if getattr(settings, name) != defaults[name]:
            raise ConfigError(f"`{name}` = {getattr(settings, name)!r} has no effect: {reason}. Leave it out.")


def _checked(item: Field, hint: Any, value: Any) -> Any:
    kind, optional = value_type(hint)
    if value is None and optional:
        return None
    value = _scalar(item.name, kind, value) if kind in WORDS else _tuple(item.name, kind, value)
    _require_choice(item, value)
    for number in value if isinstance(value, tuple) else (value,):
        _require_bounds(item, number)
    return value


def _scalar(name: str, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is not type(value) or (kind is float and not math.isfinite(value)):
        raise ConfigError(f"`{name}` = {value!r}: {WORDS[kind]} was expected.")
    return value


def _tuple(name: str, kind: Any, value: Any) -> tuple[Any, ...]:
    inner = get_args(kind)
    if not isinstance(value, (list, tuple)) or len(value) != len(inner):
        raise ConfigError(f"`{name}` = {value!r}: {len(inner)} values were expected, {WORDS[inner[0]]} each.")
    flags = {0: False, 1: True} if inner[0] is bool else {}
    return tuple(_scalar(name, inner[0], flags.get(part, part)) for part in value)


def _require_choice(item: Field, value: Any) -> None:
    choices = item.metadata["choices"]
    if choices and value not in choices:
        near = did_you_mean(value, choices)
        raise ConfigError(f"`{item.name}` = {value!r}{near}. One of {', '.join(choices)} was expected.")


def _require_bounds(item: Field, number: Any) -> None:
    at_least, above, unit = (item.metadata[key] for key in ("at_least", "above", "unit"))
    if at_least is not None and number < at_least:
        raise ConfigError(f"`{item.name}` = {number!r}: at least {at_least:g} {unit}".rstrip() + " was expected.")
    if above is not None and number <= above:
        raise ConfigError(f"`{item.name}` = {number!r}: more than {above:g} {unit}".rstrip() + " was expected.")


def _scalar_from_text(name: str, kind: type, text: str) -> Any:
    if kind is bool:
        flags = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in flags:
            raise ConfigError(f"`{name}` = {text!r}: {WORDS[bool]} was expected.")
        return flags[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        raise ConfigError(f"`{name}` = {text!r}: {WORDS[kind]} was expected.") from error
