"""Envelopes that carry a message smoothly to zero at the cutoff."""

from __future__ import annotations

from torch import Tensor


def polynomial_envelope(u: Tensor, exponent: float = 6) -> Tensor:
    """f(u) = 1 at 0, and 0 from u = 1 on with vanishing first and second derivative.

    f = 1 - (p+1)(p+2)/2 u^p + p(p+2) u^(p+1) - p(p+1)/2 u^(p+2), eq. 8 of Gasteiger, Groß, Günnemann,
    "Directional message passing for molecular graphs", ICLR 2020.

    Args:
        u: distance over cutoff, any shape.
        exponent: p ≥ 2; larger keeps the envelope near 1 for longer.
    """
    p = exponent
    inside = u.clamp(max=1.0)
    power = inside**p
    return 1.0 - power * ((p + 1) * (p + 2) / 2 - inside * (p * (p + 2) - inside * (p * (p + 1) / 2)))
