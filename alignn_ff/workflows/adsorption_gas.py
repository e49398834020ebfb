"""What adsorbs, by name, and the gas that its energy is counted from."""

from __future__ import annotations

from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data import atomic_numbers

from alignn_ff.errors import ConfigError


def named_molecule(name: str) -> Atoms:
    """A single atom of an element, or a molecule of ASE's g2 set.

    Raises:
        ConfigError: neither.
    """
    if name in atomic_numbers and name != "X":
        return Atoms(name)
    if name not in g2.names:
        raise ConfigError(
            f"{name!r} is no element and no molecule of ASE's g2 set. One such as H, O2, CO was expected."
        )
    return molecule(name)


def gas(adsorbate: str, reference: str | None) -> tuple[Atoms, float]:
    """The reference molecule, and which part of it makes one adsorbate; the adsorbate itself without a reference.

    Raises:
        ConfigError: an unknown name, or a gas that is no multiple of the adsorbate.
    """
    own = named_molecule(adsorbate)
    if reference is None:
        return own, 1.0
    free = named_molecule(reference)
    wanted, has = own.symbols.formula.count(), free.symbols.formula.count()
    ratios = {has.get(symbol, 0) / count for symbol, count in wanted.items()}
    if len(ratios) > 1 or set(has) != set(wanted):
        raise ConfigError(
            f"`reference` = {reference!r} is no multiple of the adsorbate {adsorbate}; the same elements in the same "
            "ratio were expected."
        )
    return free, 1.0 / ratios.pop()
