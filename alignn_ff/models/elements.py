"""What the periodic table knows of an element: radii, electronegativity, and where it stands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Covalent radii, Å, Z = 1..96: Cordero et al., Dalton Trans. 2008, 2832 (low-spin values for Mn, Fe, Co; sp3 C).
# fmt: off
COVALENT_RADII = (
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05, 1.02, 1.06,
    2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20, 1.19, 1.20, 1.20, 1.16,
    2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44, 1.42, 1.39, 1.39, 1.38, 1.39, 1.40,
    2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96, 1.94, 1.92, 1.92, 1.89, 1.90, 1.87, 1.87, 1.75,
    1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32, 1.45, 1.46, 1.48, 1.40, 1.50, 1.50, 2.60, 2.21, 2.15, 2.06,
    2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
)

# Electronegativity, Pauling scale, Z = 1..96: Haynes (ed.), CRC Handbook of Chemistry and Physics, 97th ed., section 9;
# where it gives none (He, Ne, Ar, Pm, Eu, Tb, Yb, Rn, Fr, Cm) a value between the neighbours', 3.0 for noble gases.
ELECTRONEGATIVITIES = (
    2.20, 3.00, 0.98, 1.57, 2.04, 2.55, 3.04, 3.44, 3.98, 3.00, 0.93, 1.31, 1.61, 1.90, 2.19, 2.58, 3.16, 3.00,
    0.82, 1.00, 1.36, 1.54, 1.63, 1.66, 1.55, 1.83, 1.88, 1.91, 1.90, 1.65, 1.81, 2.01, 2.18, 2.55, 2.96, 3.00,
    0.82, 0.95, 1.22, 1.33, 1.60, 2.16, 1.90, 2.20, 2.28, 2.20, 1.93, 1.69, 1.78, 1.96, 2.05, 2.10, 2.66, 2.60,
    0.79, 0.89, 1.10, 1.12, 1.13, 1.14, 1.13, 1.17, 1.20, 1.20, 1.20, 1.22, 1.23, 1.24, 1.25, 1.10, 1.27, 1.30,
    1.50, 2.36, 1.90, 2.20, 2.20, 2.28, 2.54, 2.00, 1.62, 2.33, 2.02, 2.00, 2.20, 2.20, 0.70, 0.90, 1.10, 1.30,
    1.50, 1.38, 1.36, 1.28, 1.30, 1.28,
)
# fmt: on

COORDINATION_REACH = 1.5
"""Sums of two covalent radii up to which atoms count as neighbours."""
COORDINATION_FULL = 0.8
"""Of that reach: nearer ones count in full."""

_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)


def place(number: int) -> tuple[int, int, int]:
    """Period 1..7, group 1..18 and place 0..14 in the f block of an atomic number; lanthanum begins its f block."""
    period = next(p for p, last in enumerate(_NOBLE_GASES) if number <= last)
    column = number - _NOBLE_GASES[period - 1]
    length = _NOBLE_GASES[period] - _NOBLE_GASES[period - 1]
    if column <= 2 and number != 2:
        return period, column, 0
    if length == 32 and column <= 17:
        return period, 3, min(column - 2, 14)
    return period, column - length + 18, 0


def descriptors(numbers: Sequence[int]) -> Tensor:
    """Numbers that are close for elements of close chemistry, [elements, 30], standardised over Z = 1..96."""
    table = torch.tensor([_descriptor(z) for z in range(1, len(COVALENT_RADII) + 1)], dtype=torch.float64)
    table = (table - table.mean(0)) / table.std(0)
    return table[torch.tensor([z - 1 for z in numbers])].to(torch.get_default_dtype())


def _descriptor(z: int) -> list[float]:
    """Radius, electronegativity, period, group and f place as numbers, then periods and groups as (soft) classes."""
    period, group, f_place = place(z)
    smooth = [COVALENT_RADII[z - 1], ELECTRONEGATIVITIES[z - 1], period, group, f_place]
    return [
        *smooth,
        *(float(period == p) for p in range(1, 8)),
        *(math.exp(-0.5 * (group - g) ** 2) for g in range(1, 19)),
    ]
