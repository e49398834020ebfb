"""Soft elements and bcc metals of soft shears for `alignn-ff distill --seeds`: `soft_crystals.py OUTPUT`.

In three lattices. Their energies change so little near equilibrium that frames of all sorts do not teach them.
"""

from __future__ import annotations

import sys

from ase.io import write
from known_crystals import LATTICES, decorated

SOFT = "Li Na K Rb Cs Mg Ca Sr Ba Yb Eu La Zn Cd Hg Al Ga In Tl Sn Pb Bi"
SOFT_SHEARS = "V Nb Ta Cr Mo W Fe Ti Zr Hf"

if __name__ == "__main__":
    crystals = [decorated(lattice, (symbol,)) for symbol in f"{SOFT} {SOFT_SHEARS}".split() for lattice in LATTICES]
    write(sys.argv[1], crystals)
    print(len(crystals), "crystals")
