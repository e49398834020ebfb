"""Elements to draw from, and structures decorated with them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from alignn_ff.distill.pairs import near_pairs

_SEARCH_A = 6.0
"""Å; pairs farther apart than this do not say how large a structure should be."""


class Palette(NamedTuple):
    """Elements and how they are drawn.

    Attributes:
        symbols: the K elements.
        shares: probability of each [K], for a draw without a model.
        alike: how much each resembles the element of atomic number Z, in row Z - 1 [Z, K].
    """

    symbols: tuple[str, ...]
    shares: NDArray
    alike: NDArray

    def draw(self, rng: np.random.Generator, *, like: str | None = None, besides: Collection[str] = ()) -> str:
        """An element, more likely one that resembles `like`; none of `besides` while there are others."""
        chances = self.shares if like is None else self.shares * self.alike[atomic_numbers[like] - 1]
        allowed = np.array([symbol not in besides for symbol in self.symbols])
        if allowed.any():
            chances = chances * allowed
        return str(rng.choice(self.symbols, p=chances / chances.sum()))


def decorated(atoms: Atoms, palette: Palette, rng: np.random.Generator, *, alike: bool) -> Atoms:
    """`atoms` with every element replaced by another, different ones by different ones as far as the palette goes.

    Args:
        alike: draw elements that resemble those they replace.
    """
    new: dict[str, str] = {}
    for symbol in dict.fromkeys(atoms.symbols):
        new[symbol] = palette.draw(rng, like=symbol if alike else None, besides=new.values())
    other = atoms.copy()
    other.symbols = [new[symbol] for symbol in atoms.symbols]
    return other


def mixed(atoms: Atoms, palette: Palette, rng: np.random.Generator) -> Atoms:
    """`atoms` with one of its elements, atom by atom, in part replaced by one to three that resemble it."""
    host = str(rng.choice(sorted(set(atoms.symbols))))
    guests = [palette.draw(rng, like=host, besides=(host,)) for _ in range(rng.integers(1, 4))]
    other = atoms.copy()
    other.symbols = [
        str(rng.choice(guests)) if symbol == host and rng.random() < 0.5 else symbol for symbol in atoms.symbols
    ]
    return other


def closeness(atoms: Atoms) -> float | None:
    """Smallest distance over the sum of covalent radii of its two atoms; None where no pair is within 6 Å."""
    first, second, distances = near_pairs(atoms, _SEARCH_A)
    if not len(distances):
        return None
    radii = covalent_radii[atoms.numbers]
    return float((distances / (radii[first] + radii[second])).min())


def resized(atoms: Atoms, closeness_wanted: float) -> Atoms:
    """`atoms` scaled, cell and all, until the closest pair stands at that multiple of its covalent radii."""
    now = closeness(atoms)
    other = atoms.copy()
    if now is not None:
        factor = closeness_wanted / now
        other.set_cell(other.cell[:] * factor)
        other.positions *= factor
    return other
