"""Calculators of ASE by name."""

from __future__ import annotations

from ase.calculators.calculator import BaseCalculator, get_calculator_class, names

from alignn_ff.errors import ConfigError, ModelNotFoundError, did_you_mean


def ase_calculator(name: str) -> BaseCalculator:
    """The calculator that ASE knows by this name, with its defaults.

    Raises:
        ModelNotFoundError: ASE knows none of that name.
        ConfigError: it needs more than its name.
    """
    try:
        calculator_class = get_calculator_class(name)
    except (ImportError, AttributeError, KeyError, ValueError) as error:
        raise ModelNotFoundError(
            f"ASE has no calculator `{name}`{did_you_mean(name, names)}. Examples: ase:emt, ase:lj."
        ) from error
    try:
        return calculator_class()
    except (TypeError, ValueError, RuntimeError, OSError, LookupError) as error:
        raise ConfigError(
            f"ASE's calculator `{name}` cannot be made from its name alone ({error}). Set it up in Python, "
            "and call the function of the workflow there."
        ) from error
