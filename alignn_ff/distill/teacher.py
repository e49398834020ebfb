"""The calculator that labels, made from a text, so that every process can make its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ase.calculators.calculator import BaseCalculator, names

from alignn_ff._version import __version__
from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.calculator.named import ase_calculator
from alignn_ff.checkpoint import file_sha256
from alignn_ff.distill.label import FAILURES
from alignn_ff.errors import ConfigError

ASE = "ase:"

_CANNOT_BE_MADE: tuple[type[Exception], ...] = (*FAILURES, TypeError, ImportError)


def make_teacher(text: str) -> BaseCalculator:
    """The calculator that `text` names.

    Args:
        text: `ase:emt` or plain `emt`, a calculator of ASE; `my_teacher.py:make` or `package.module:make`, a function
            without arguments that returns a calculator; anything else is the name or the file of a model.
    Raises:
        ConfigError: no such file, module or function, or it does not make a calculator.
        ModelNotFoundError: no calculator or model of that name.
    """
    if text.startswith(ASE) or text in names:
        return ase_calculator(text.removeprefix(ASE))
    place, colon, function = text.rpartition(":")
    if not colon or Path(text).exists():
        return AlignnFFCalculator(text, domain_check=False)  # samples are meant to reach far
    calculator = _called(_function(place, function), text)
    if not isinstance(calculator, BaseCalculator):
        raise ConfigError(
            f"teacher {text} returned a {type(calculator).__name__}; a calculator of ASE was expected "
            "(ase.calculators.calculator.Calculator or a class derived from it)."
        )
    return calculator


def describe(text: str, calculator: BaseCalculator) -> dict[str, Any]:
    """What a set of labels must say of its teacher: name, class, versions, and the hash of the user's file."""
    kind = type(calculator)
    package = kind.__module__.partition(".")[0]
    libraries = {package, "ase", "numpy"} | ({"torch"} & sys.modules.keys())
    file = Path(text.rpartition(":")[0])
    return {
        "name": text,
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "model": {k: v for k, v in getattr(calculator, "provenance", {}).items() if k != "device"},
        "file_sha256": file_sha256(file) if file.is_file() else None,
        "versions": {"alignn_ff": __version__, **_versions(libraries)},
    }


def _versions(packages: set[str]) -> dict[str, str]:
    """Versions of those packages that were installed as such, without the build: a GPU's and a CPU's are the same."""
    distributions = packages_distributions()
    return {
        package: version(distributions[package][0]).partition("+")[0]
        for package in sorted(packages)
        if package in distributions and package != "alignn_ff"
    }


def _function(place: str, function: str) -> Callable[[], Any]:
    """The function of that name in a file or an installed module."""
    try:
        module = _load_file(Path(place)) if place.endswith(".py") else import_module(place)
        return getattr(module, function)
    except (ImportError, OSError, SyntaxError, AttributeError) as error:
        raise ConfigError(
            f"teacher {place}:{function} cannot be loaded ({type(error).__name__}: {error}). Expected FILE.py:FUNCTION "
            "or an installed MODULE:FUNCTION."
        ) from error


def _load_file(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _called(function: Callable[[], Any], text: str) -> Any:
    try:
        return function()
    except _CANNOT_BE_MADE as error:
        raise ConfigError(
            f"teacher {text} could not be made ({type(error).__name__}: {error}). It is called without arguments and "
            "must return a calculator."
        ) from error
