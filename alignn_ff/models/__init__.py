"""Potentials and property models by name."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import Any

from alignn_ff.errors import ConfigError
from alignn_ff.models.base import SYMBOLS, Committee, GraphModel, Heads, Potential, Sum
from alignn_ff.models.core import Core
from alignn_ff.models.property import PropertyModel, Scores

MODELS = {
    "alignn_atomwise": "alignn_ff.models.alignn_atomwise:AlignnAtomwise",
    "alignn_atomwise_pure": "alignn_ff.models.alignn_atomwise:AlignnAtomwisePure",
    "alignn_atomwise_pure_smooth": "alignn_ff.models.alignn_atomwise_smooth:AlignnAtomwisePureSmooth",
    "alignn_smooth": "alignn_ff.models.alignn_smooth:AlignnSmooth",
    "ealignn_atomwise": "alignn_ff.models.ealignn_atomwise:EalignnAtomwise",
    "legacy_gradient": "alignn_ff.models.legacy:LegacyGradient",
    "legacy_penalty": "alignn_ff.models.legacy:LegacyPenalty",
    "legacy_zbl": "alignn_ff.models.legacy:LegacyZBL",
    "reference_energies": "alignn_ff.models.reference_energies:ReferenceEnergies",
    "zbl": "alignn_ff.models.zbl:ZBL",
}

PROPERTY_MODELS = {
    "alignn": "alignn_ff.models.alignn:Alignn",
    "alignn_atomwise_property": "alignn_ff.models.alignn:AlignnAtomwiseProperty",
}
"""Models of properties, which have no forces and stand nowhere that a potential does."""

_COMPOSITES: dict[str, tuple[Any, str]] = {
    Sum.name: (Sum, "terms"),
    Committee.name: (Committee, "members"),
    Core.name: (Core, "parts"),
}
"""Potentials made of potentials, and the field that lists these."""

__all__ = [
    "MODELS",
    "PROPERTY_MODELS",
    "Committee",
    "Core",
    "GraphModel",
    "Heads",
    "Potential",
    "PropertyModel",
    "Scores",
    "Sum",
    "build",
    "build_property",
]


def build(config: dict[str, Any]) -> Potential:
    """The potential a config describes: a name from `MODELS` with that model's fields, a sum or a committee of such.

    Raises:
        ConfigError: unknown name, unknown or missing field.
    """
    name, fields = config.get("name"), {key: value for key, value in config.items() if key != "name"}
    if name in _COMPOSITES:
        composite, of = _COMPOSITES[name]
        parts = _parts(name, of, fields)
        return _make(composite, name, {**fields, of: [build(part) for part in parts]})
    if name in PROPERTY_MODELS:
        target = fields.get("target", "a property")
        raise ConfigError(
            f"model {name} predicts {target}, a property of a whole structure, not energy and forces. Choose a force "
            f"field: {', '.join(MODELS)}."
        )
    return _make(model_class(name), name, fields)


def build_property(config: dict[str, Any]) -> PropertyModel:
    """The property model a config describes: a name from `PROPERTY_MODELS` with that model's fields.

    Raises:
        ConfigError: unknown name, unknown or missing field.
    """
    name, fields = config.get("name"), {key: value for key, value in config.items() if key != "name"}
    return _make(property_class(name), name, fields)


def _make(model: Any, name: Any, fields: dict[str, Any]) -> Any:
    try:
        signature(model).bind(**fields)
    except TypeError as error:
        raise ConfigError(f"model {name}: {error}.") from error
    strange = [e for e in fields.get("elements", ()) if e not in SYMBOLS]
    if strange:
        raise ConfigError(f"model {name}: unknown element {', '.join(map(repr, strange))}; write symbols such as Cu.")
    return model(**fields)


def _parts(name: str, of: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    parts = fields.get(of)
    if not parts:
        raise ConfigError(f"model {name} has fields {', '.join(fields) or 'none'}; expected `{of}`, a list of models.")
    return parts


def model_class(name: Any) -> Any:
    """The class behind a name of `MODELS`.

    Raises:
        ConfigError: no such name.
    """
    return _class(name, MODELS, "model")


def property_class(name: Any) -> Any:
    """The class behind a name of `PROPERTY_MODELS`.

    Raises:
        ConfigError: no such name.
    """
    return _class(name, PROPERTY_MODELS, "property model")


def _class(name: Any, table: dict[str, str], what: str) -> Any:
    if name not in table:
        raise ConfigError(f"unknown {what} {name!r}; expected one of {', '.join(table)}.")
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)
