"""Which elements are drawn, how often, and how alike they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from alignn_ff.distill.palette import Palette
from alignn_ff.errors import ConfigError, did_you_mean
from alignn_ff.models.base import SYMBOLS
from alignn_ff.models.elements import COVALENT_RADII, descriptors

KNOWN = SYMBOLS[1 : len(COVALENT_RADII) + 1]
"""Elements with a radius and an electronegativity."""

_WIDTH = 0.7
"""Distance, in standard deviations over the periodic table, within which elements resemble each other."""


def parse_elements(text: str) -> dict[str, float]:
    """Weight of each element named in a text such as "Cu,Ag,O:4"; 1 where none is given.

    Raises:
        ConfigError: no element, an unknown one, one named twice, or a weight that is no positive number.
    """
    weights: dict[str, float] = {}
    for part in text.replace(",", " ").split():
        symbol, _, weight = part.partition(":")
        if symbol not in KNOWN:
            raise ConfigError(f"element {symbol!r} is unknown{did_you_mean(symbol, KNOWN)}. Write symbols: Cu,Ag,O:4.")
        if symbol in weights:
            raise ConfigError(f"element {symbol} is named twice.")
        weights[symbol] = _weight(part, weight)
    if not weights:
        raise ConfigError("no elements were named. Name those that the teacher knows: --elements Cu,Ag,O:4.")
    return weights


def make_palette(weights: Mapping[str, float]) -> Palette:
    """The palette of elements with these weights.

    Alike are elements whose radius, electronegativity, period, group and place in the f block are close: a Gaussian
    of their distance, each standardised over the periodic table.
    """
    features = descriptors(range(1, len(KNOWN) + 1))[:, :5].numpy()
    own = features[[KNOWN.index(symbol) for symbol in weights]]
    squares = ((features[:, None] - own[None]) ** 2).sum(axis=2)
    shares = np.array(list(weights.values()))
    return Palette(tuple(weights), shares / shares.sum(), np.exp(-squares / (2 * _WIDTH**2)))


def _weight(part: str, text: str) -> float:
    try:
        weight = float(text or 1.0)
    except ValueError as error:
        raise ConfigError(f"element {part!r}: its weight is no number. Write O:4, for instance.") from error
    if not 0.0 < weight < float("inf"):
        raise ConfigError(f"element {part!r}: its weight must be positive and finite.")
    return weight
