"""Cubic crystals with published PBE numbers, read from `crystals.toml`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alignn_ff.errors import ConfigError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from ase import Atoms


class Crystal(NamedTuple):
    """One crystal and what PBE says of it.

    Attributes:
        a: lattice constant of the conventional cell, Å.
        bulk_modulus: GPa, or None.
        elastic: C11, C12, C44 in GPa, or None.
        sources: where each of the numbers was published.
    """

    name: str
    prototype: str
    a: float
    bulk_modulus: float | None
    elastic: tuple[float, float, float] | None
    sources: dict[str, str]

    def atoms(self, a: float | None = None) -> Atoms:
        """The conventional cell, at the published lattice constant unless another (Å) is given."""
        from ase.build import bulk

        return bulk(self.name, self.prototype, a=self.a if a is None else a, cubic=True)


def read_crystals() -> dict[str, Crystal]:
    """Every crystal of the table by its formula."""
    table = tomllib.loads(Path(__file__).with_name("crystals.toml").read_text(encoding="utf-8"))
    return {name: _crystal(name, entry, table["sources"]) for name, entry in table["crystals"].items()}


def choose_crystals(names: Sequence[str]) -> list[Crystal]:
    """The crystals of those names.

    Raises:
        ConfigError: the table has none of that name.
    """
    known = read_crystals()
    for name in names:
        if name not in known:
            raise ConfigError(f"crystals.toml has no crystal {name!r}{did_you_mean(name, known)}.")
    return [known[name] for name in names]


def _crystal(name: str, entry: dict, sources: dict[str, str]) -> Crystal:
    given = {quantity: entry[quantity] for quantity in ("a", "bulk_modulus", "elastic") if quantity in entry}
    values = {quantity: number["value"] for quantity, number in given.items()}
    elastic = values.get("elastic")
    return Crystal(
        name=name,
        prototype=entry["prototype"],
        a=values["a"],
        bulk_modulus=values.get("bulk_modulus"),
        elastic=None if elastic is None else tuple(elastic),
        sources={quantity: sources[number["source"]] for quantity, number in given.items()},
    )
