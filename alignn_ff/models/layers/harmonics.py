"""Real spherical harmonics."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def spherical_harmonics(unit: Tensor, degree: int) -> Tensor:
    """Real Y_lm of unit vectors for l = 0..degree, scaled so that Σ_m Y_lm(a) Y_lm(b) = P_l(a·b).

    Args:
        unit: [E, 3].
        degree: at most 3.
    Returns:
        [E, (degree+1)²], l ascending, m from -l to l within each.
    """
    x, y, z = unit.unbind(1)
    terms = [torch.ones_like(x)]
    if degree >= 1:
        terms += [y, z, x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        r3 = math.sqrt(3.0)
        terms += [r3 * x * y, r3 * y * z, 1.5 * zz - 0.5, r3 * x * z, r3 / 2 * (xx - yy)]
    if degree >= 3:
        a, b, c = math.sqrt(5 / 8), math.sqrt(15.0), math.sqrt(3 / 8)
        terms += [
            a * y * (3 * xx - yy),
            b * x * y * z,
            c * y * (5 * zz - 1),
            0.5 * z * (5 * zz - 3),
            c * x * (5 * zz - 1),
            b / 2 * z * (xx - yy),
            a * x * (xx - 3 * yy),
        ]
    return torch.stack(terms, dim=1)


def degree_slices(degree: int) -> list[slice]:
    """Where each l stands among the (degree+1)² components."""
    return [slice(k * k, (k + 1) * (k + 1)) for k in range(degree + 1)]
