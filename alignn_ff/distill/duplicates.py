"""Which structures are the same one, however written."""

from __future__ import annotations

from hashlib import sha256
from math import gcd

import numpy as np
from ase import Atoms

from alignn_ff.distill.pairs import near_pairs

_REACH_A = 4.5
_CENTRES_A = np.arange(0.75, _REACH_A, 0.5)
_WIDTH_A = 0.5


def fingerprint(atoms: Atoms) -> str:
    """A digest that does not depend on order, origin, orientation, handedness or repetition of the cell.

    Made of the composition, the volume per atom to 0.1 % and, for each pair of elements, the smoothed distribution of
    distances below 4.5 Å per atom, to three decimals: structures of which no distance differs by more than some
    0.001 Å share it, unless a decimal turns just there.
    """
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    crystal = bool(atoms.pbc.all())
    unit = gcd(*counts.tolist()) if crystal else 1
    density = round(float(np.log(atoms.get_volume() / len(atoms))), 3) if crystal else None
    key: list[object] = [atoms.pbc.tolist(), numbers.tolist(), (counts // unit).tolist(), density]
    first, second, distances = near_pairs(atoms, _REACH_A)
    gaussians = np.exp(-(((distances[:, None] - _CENTRES_A) / _WIDTH_A) ** 2))
    smooth = gaussians * np.cos(0.5 * np.pi * distances[:, None] / _REACH_A) ** 2
    for i, one in enumerate(numbers):
        for other in numbers[i:]:
            chosen = (atoms.numbers[first] == one) & (atoms.numbers[second] == other)
            key.append((smooth[chosen].sum(axis=0) / len(atoms)).round(3).tolist())
    return sha256(repr(key).encode()).hexdigest()[:16]
