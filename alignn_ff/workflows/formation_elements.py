"""The elements as references: crystals and molecules of each, and what an atom costs in the most stable of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import atomic_numbers, reference_states
from ase.spacegroup import crystal

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.workflows.relax import RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer

log = logging.getLogger(__name__)

MOLECULES = ("H", "N", "O", "F", "Cl")
"""Elements whose reference is the diatomic molecule by itself, as in the thermochemist's standard state."""

# element | space group (hexagonal axes, origin choice 2) | a [b] [c] in Å | one position of each orbit
# Cells and positions: Donohue, The Structures of the Elements (Wiley 1974), rounded, as they are relaxed anyway.
_CRYSTALS = """
C  | 194 | 2.46 6.71         | 0 0 1/4, 1/3 2/3 1/4
B  | 166 | 4.91 12.57        | 0.119 0.238 0.891, 0.197 0.394 0.024
P  | 64  | 3.31 10.48 4.38   | 0 0.102 0.081
S  | 70  | 10.46 12.87 24.49 | 0.855 0.953 0.952, 0.784 0.030 0.076, 0.707 0.979 0.004, 0.786 0.907 0.129
Mn | 217 | 8.91              | 0 0 0, 0.317 0.317 0.317, 0.357 0.357 0.034, 0.089 0.089 0.282
Ga | 64  | 4.52 7.66 4.53    | 0 0.154 0.081
Se | 152 | 4.37 4.96         | 0.225 0 1/3
Te | 152 | 4.46 5.93         | 0.264 0 1/3
Br | 64  | 6.67 4.48 8.72    | 0 0.135 0.110
I  | 64  | 7.14 4.69 9.78    | 0 0.154 0.117
"""

HEXAGONAL = range(143, 195)
CUBIC = range(195, 231)


@dataclass(frozen=True)
class Reference:
    """An element in its most stable structure: `atoms` relaxed, with stored results."""

    atoms: Atoms
    energy_ev_per_atom: float
    converged: bool
    structure: str


def element_structures(symbol: str) -> list[Atoms]:
    """Structures in which the element is known, from a table here and from `ase.data`; none for some rare ones."""
    if symbol in MOLECULES:
        return [molecule(f"{symbol}2")]
    found = [_crystal(symbol, line) for line in _CRYSTALS.strip().splitlines() if line.split()[0] == symbol]
    return found + _bulk(symbol)


def element_references(
    symbols: Iterable[str],
    relax: Relaxer,
    how: RelaxSettings,
    *,
    given: Sequence[Atoms] = (),
    known: bool = True,
    progress: bool = False,
) -> dict[str, Reference]:
    """The most stable of the known structures of each element, all relaxed by one relaxer.

    Args:
        how: the relaxation.
        given: further structures; those that hold one element alone compete, the others are left out.
        known: let those of `element_structures` compete.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: an element without any structure.
        RunawayError: energy or forces not finite.
    """
    candidates = {symbol: _candidates(symbol, given, known) for symbol in sorted(set(symbols))}
    references = {}
    with track("elements", len(candidates), show=progress) as advance:
        for symbol, structures in candidates.items():
            references[symbol] = _most_stable(structures, relax, how)
            advance(note=f"{symbol} {references[symbol].energy_ev_per_atom:.4f} eV/atom")
    return references


def read_structures(path: str | None) -> list[Atoms]:
    """All structures in a file that ASE reads; none without a file.

    Raises:
        StructureError: the file is missing, empty or unreadable.
    """
    if path is None:
        return []
    from alignn_ff.io import read_frames  # here: it brings torch, which few need who come this way

    found = read_frames(Path(path))
    return [found] if isinstance(found, Atoms) else found


def reference_table(references: Mapping[str, Reference]) -> dict[str, Any]:
    """References as columns."""
    return {
        "element": np.array(list(references)),
        "structure": np.array([one.structure for one in references.values()]),
        "energy_ev_per_atom": np.array([one.energy_ev_per_atom for one in references.values()]),
        "converged": np.array([one.converged for one in references.values()]),
    }


def _candidates(symbol: str, given: Sequence[Atoms], known: bool) -> list[Atoms]:
    own = [atoms for atoms in given if set(atoms.symbols) == {symbol}]
    found = [*own, *(element_structures(symbol) if known else [])]
    if not found:
        raise ConfigError(
            f"there is no reference structure of {symbol}. Give one among the structures, a crystal of {symbol} alone."
        )
    return found


def _most_stable(structures: Sequence[Atoms], relax: Relaxer, how: RelaxSettings) -> Reference:
    relaxed = [relax(atoms, how) for atoms in structures]
    best = min(relaxed, key=lambda one: one.energy_ev / len(one.atoms))
    if not best.converged:
        log.warning("the reference of %s did not relax: %s.", best.atoms.symbols[0], best.reason)
    structure = best.space_group_after or f"molecule of {len(best.atoms)}"
    return Reference(best.atoms, best.energy_ev / len(best.atoms), best.converged, structure)


def _bulk(symbol: str) -> list[Atoms]:
    """The primitive cell that ASE knows, from the parameters of its table; none where it lacks a basis or a crystal."""
    known: dict[str, Any] = reference_states[atomic_numbers[symbol]] or {}
    if known.get("symmetry") == "tetragonal" and "basis" not in known:  # protactinium, body-centred
        return [bulk(symbol, "bct", a=known["a"], c=known["a"] * known["c/a"])]
    try:
        return [bulk(symbol)]
    except (ValueError, RuntimeError):  # what ASE raises where its table has no crystal
        return []


def _crystal(symbol: str, line: str) -> Atoms:
    _, group, lengths, positions = (part.strip() for part in line.split("|"))
    basis = [[float(Fraction(number)) for number in position.split()] for position in positions.split(",")]
    return crystal(
        [symbol] * len(basis),
        basis,
        spacegroup=int(group),
        setting=2 if int(group) == 70 else 1,  # only Fddd has two origins here
        cellpar=_cellpar([float(length) for length in lengths.split()], int(group)),
        primitive_cell=True,
    )


def _cellpar(lengths: Sequence[float], group: int) -> list[float]:
    a = lengths[0]
    if group in CUBIC:
        return [a, a, a, 90, 90, 90]
    if group in HEXAGONAL:
        return [a, a, lengths[1], 90, 90, 120]
    return [*lengths, 90, 90, 90]
