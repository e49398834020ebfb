"""Potentials by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from alignn_ff.errors import ConfigError
from alignn_ff.models.base import Heads, Potential, Sum

MODELS = {
    "alignn_smooth": "alignn_ff.models.alignn_smooth:AlignnSmooth",
    "reference_energies": "alignn_ff.models.reference_energies:ReferenceEnergies",
    "zbl": "alignn_ff.models.zbl:ZBL",
}

__all__ = ["MODELS", "Heads", "Potential", "Sum", "build"]


def build(config: dict[str, Any]) -> Potential:
    """The potential a config describes: a name from `MODELS` with that model's fields, or a sum of such.

    Raises:
        ConfigError: unknown name, unknown or missing field.
    """
    if config.get("name") == Sum.name:
        return Sum([build(term) for term in config["terms"]])
    return model_class(config.get("name"))(**{key: value for key, value in config.items() if key != "name"})


def model_class(name: Any) -> Any:
    """The class behind a name of `MODELS`.

    Raises:
        ConfigError: no such name.
    """
    if name not in MODELS:
        raise ConfigError(f"unknown model {name!r}; expected one of {', '.join(MODELS)}.")
    module, attribute = MODELS[name].split(":")
    return getattr(import_module(module), attribute)
