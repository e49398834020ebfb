"""Settings of the surface workflow, and planes written as words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.crystal import CrystalSettings
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.surface_slabs import Miller


@dataclass(frozen=True)
class SurfaceSettings(CrystalSettings):
    """Which slabs to make of the crystal; see `--help` of the command for each field."""

    fmax: float = setting(1e-3, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    max_index: int = setting(1, "Planes have Miller indices up to this.", at_least=1)
    miller: str | None = setting(
        None, "Planes instead of these, e.g. '111 100 1-10'; they refer to the conventional cell."
    )
    thickness_a: float = setting(15.0, "Slabs are at least this thick.", unit="Å", above=0)
    vacuum_a: float = setting(15.0, "Vacuum between a slab and its images.", unit="Å", above=0)
    relax_slabs: bool = setting(True, "Relax the atoms of the slabs; without it only the unrelaxed energies.")
    check: bool = setting(
        True, "Compute again with slabs half as thick again and with twice the vacuum, and say what changes."
    )
    max_atoms: int = setting(500, "Refuse slabs of more atoms.", at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.miller is not None:
            reject_unused(self, ("max_index",), "the planes are given")
            miller_indices(self.miller)


def miller_indices(text: str, name: str = "miller") -> list[Miller]:
    """Planes from words of three digits with optional signs, e.g. "111 1-10".

    Args:
        name: the setting, for the error.
    Raises:
        ConfigError: a word is not of that form, or is 000.
    """
    words = text.replace(",", " ").split()
    found = [re.fullmatch(r"(-?\d)(-?\d)(-?\d)", word) for word in words]
    for word, match in zip(words, found, strict=True):
        if match is None or not any(int(digit) for digit in match.groups()):
            raise ConfigError(
                f"`{name}` = {text!r}: {word!r} is no plane; three digits such as 111 or 1-10 were expected."
            )
    if not words:
        raise ConfigError(f"`{name}` names no plane; three digits such as 111 were expected.")
    return [_coprime(match.groups()) for match in found if match is not None]


def _coprime(digits: Sequence[str]) -> Miller:
    indices = np.array([int(digit) for digit in digits])
    h, k, l = (indices // np.gcd.reduce(indices)).tolist()  # noqa: E741 (Miller's own letter)
    return h, k, l
