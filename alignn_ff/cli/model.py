"""The model that a command works with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.calculators.calculator import BaseCalculator

from alignn_ff.errors import ConfigError

ASE = "ase:"


def model_first(words: Sequence[str], model: str | None) -> tuple[str | None, list[str]]:
    """The model that the first of some words names, unless an option named one, and the words that are left.

    It does by `ase:NAME`, a name of the registry, a model's file (.safetensors, .zip) or its folder.
    """
    if model is None and words and _names_model(words[0]):
        return words[0], list(words[1:])
    return model, list(words)


def load_calculator(
    model: str | None, *, device: str | None, dtype: str | None, skin: float | None
) -> tuple[BaseCalculator, dict[str, Any]]:
    """A calculator and where it comes from.

    Args:
        model: name or file of a model, `ase:<name>` for a calculator of ASE, None for `universal`.
        device, dtype, skin: passed on where given (skin in Å); an ASE calculator has none of them.
    Raises:
        ModelNotFoundError: nothing of that name.
        ConfigError: an option the calculator lacks, or an ASE calculator that needs more than its name.
    """
    options = {"device": device, "dtype": dtype, "skin": skin}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if model is not None and model.startswith(ASE):
        if given:
            raise ConfigError(f"{model} has no {', '.join(given)}. Leave --{' and --'.join(given)} out.")
        return _ase_calculator(model.removeprefix(ASE))
    from alignn_ff.calculator.ase import AlignnFFCalculator

    calculator = AlignnFFCalculator(model, **given)
    return calculator, dict(calculator.provenance)


def _names_model(word: str) -> bool:
    path = Path(word)
    if word.startswith(ASE) or path.suffix in (".safetensors", ".zip") or path.is_dir():
        return True
    from alignn_ff.pretrained.registry import entries

    return not path.exists() and word in entries()


def _ase_calculator(name: str) -> tuple[BaseCalculator, dict[str, Any]]:
    from alignn_ff.calculator.named import ase_calculator

    calculator = ase_calculator(name)
    where = f"{type(calculator).__module__}.{type(calculator).__name__}"
    return calculator, {"model": ASE + name, "class": where, "sha256": None}
