"""Where the atoms of point defects go to and come from, and what they cost there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ase import Atoms
from ase.data import chemical_symbols

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.formation_elements import element_references, read_structures
from alignn_ff.workflows.frames import stored_energy
from alignn_ff.workflows.relax import RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer

if TYPE_CHECKING:
    from alignn_ff.workflows.defect_series import SeriesSettings


class Reservoir(NamedTuple):
    """What an atom costs in its reservoir in eV, in which structure, and whether that relaxed."""

    energy_ev: float
    structure: str
    converged: bool


def read_potentials(text: str | None) -> dict[str, float]:
    """Energies by element from "Ni=-5.78,Al=-4.12".

    Raises:
        ConfigError: no such element, or no number.
    """
    found = {}
    for part in (text or "").replace(",", " ").split():
        symbol, _, number = part.partition("=")
        try:
            found[symbol] = float(number)
        except ValueError as error:
            raise ConfigError(f"`chemical_potentials`: {part!r} was given, expected such as Ni=-5.78.") from error
        if symbol not in chemical_symbols[1:]:
            raise ConfigError(f"`chemical_potentials`: {symbol!r} is no element.")
    return found


def reservoirs(
    crystal: Atoms, symbols: Iterable[str], relax: Relaxer, settings: SeriesSettings
) -> dict[str, Reservoir]:
    """Where atoms of these elements come from or go to.

    The crystal itself where it is that element, else the most stable known structure of the element, which is the limit
    rich in it (Freysoldt et al., Rev. Mod. Phys. 86, 253, 2014), unless an energy is given.
    """
    given = read_potentials(settings.chemical_potentials)
    found = {symbol: Reservoir(given[symbol], "given", True) for symbol in sorted(set(symbols) & set(given))}
    missing = set(symbols) - set(found)
    if len(set(crystal.symbols)) == 1 and crystal.symbols[0] in missing:
        found[crystal.symbols[0]] = Reservoir(stored_energy(crystal) / len(crystal), "the crystal itself", True)
    how = RelaxSettings(
        optimizer=settings.optimizer, fmax=settings.fmax, steps=settings.relax_steps, symprec=settings.symprec
    )
    structures = read_structures(settings.references)
    for symbol, one in element_references(missing - set(found), relax, how, given=structures).items():
        found[symbol] = Reservoir(one.energy_ev_per_atom, one.structure, one.converged)
    return found
