"""How far training structures reach: measured once, kept as the facts of a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from alignn_ff.domain.quantities import SIZE, element_sets, filled, quantities, radius_sums
from alignn_ff.errors import CheckpointError
from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import SYMBOLS

ENOUGH = 30
"""Training structures that make an extreme of their own worth keeping: those of fewer say more of the sampling than of
the matter (docs/adr/003-domain-guard.md)."""

MIXED = 10
"""Other elements that an element must have met to be thought of as mixing with any (the same)."""


@dataclass(frozen=True)
class Domain:
    """What the training structures spanned; made of what JSON knows.

    Attributes:
        cutoff: Å; neighbours were looked for up to it.
        ratio: smallest distance over the sum of covalent radii, of each element to any neighbour.
        closest: Å, of pairs ("Al Cu") that were within the cutoff in at least `ENOUGH` structures.
        met: elements that were within the cutoff of an element, for those that met fewer than `MIXED` others.
        coordination: lowest and highest of each element.
        volume: lowest and highest relative volume of the structures that hold an element and fill their cell.
        volumes: the same of structures of the same elements ("Al Cu"), where there are at least `ENOUGH`.
    """

    cutoff: float
    ratio: dict[str, float]
    closest: dict[str, float]
    met: dict[str, list[str]]
    coordination: dict[str, list[float]]
    volume: dict[str, list[float]]
    volumes: dict[str, list[float]]

    def facts(self) -> dict[str, Any]:
        """For the facts of a checkpoint."""
        return asdict(self)


def from_facts(facts: Mapping[str, Any]) -> Domain | None:
    """The domain that a checkpoint states in its facts; None where it states none.

    Raises:
        CheckpointError: it states something else under that name.
    """
    stated = facts.get("domain")
    if stated is None:
        return None
    wanted = {field.name for field in fields(Domain)}
    if not isinstance(stated, Mapping) or set(stated) != wanted:
        seen = ", ".join(stated) if isinstance(stated, Mapping) else type(stated).__name__
        raise CheckpointError(
            f"the model's training domain holds {seen}; expected {', '.join(sorted(wanted))}. It was written by "
            "another version of alignn-ff: update it, or pass domain_check=False."
        )
    return Domain(**stated)


def measure(graphs: Iterable[AtomGraph], cutoff: float) -> Domain:
    """What structures with every edge up to `cutoff` Å span; one graph at a time is looked at and let go."""
    tally = _Tally(cutoff)
    for graph in graphs:
        tally.add(graph)
    return tally.domain()


class _Tally:
    """Minima, maxima and counts so far."""

    def __init__(self, cutoff: float) -> None:
        self.cutoff = cutoff
        self.closest = torch.full((SIZE * SIZE,), torch.inf, dtype=torch.float64)
        self.structures = torch.zeros(SIZE * SIZE, dtype=torch.int64)
        self.fewest = torch.full((SIZE,), torch.inf, dtype=torch.float64)
        self.most = torch.full((SIZE,), -torch.inf, dtype=torch.float64)
        self.volumes: dict[str, tuple[float, float, int]] = {}

    def add(self, graph: AtomGraph) -> None:
        found = quantities(graph, self.cutoff)
        self.closest.scatter_reduce_(0, found.pair, found.distance, "amin")
        once = torch.unique(graph.graph_index[graph.edge_dst] * SIZE**2 + found.pair)  # a structure and a pair each
        self.structures += torch.bincount(once % SIZE**2, minlength=SIZE**2)
        self.fewest.scatter_reduce_(0, graph.numbers, found.coordination, "amin")
        self.most.scatter_reduce_(0, graph.numbers, found.coordination, "amax")
        full = filled(graph, self.cutoff).tolist()
        for elements, volume in compress(zip(element_sets(graph), found.volume.tolist(), strict=True), full):
            low, high, count = self.volumes.get(elements, (math.inf, -math.inf, 0))
            self.volumes[elements] = (min(low, volume), max(high, volume), count + 1)

    def domain(self) -> Domain:
        closest = self.closest.reshape(SIZE, SIZE)
        ratio = (closest / radius_sums().reshape(SIZE, SIZE)).amin(1)
        often = (self.structures >= ENOUGH).reshape(SIZE, SIZE).triu().nonzero().tolist()
        present = torch.isfinite(self.fewest).nonzero().squeeze(1).tolist()
        return Domain(
            cutoff=self.cutoff,
            ratio={SYMBOLS[z]: _rounded(ratio[z]) for z in present if math.isfinite(ratio[z])},
            closest={f"{SYMBOLS[i]} {SYMBOLS[j]}": _rounded(closest[i, j]) for i, j in often},
            met={SYMBOLS[z]: partners for z in present if (partners := self._met(z)) is not None},
            coordination={SYMBOLS[z]: [_rounded(self.fewest[z]), _rounded(self.most[z])] for z in present},
            volume={SYMBOLS[z]: held for z in present if (held := self._volume_with(SYMBOLS[z]))},
            volumes={
                elements: [_rounded(low), _rounded(high)]
                for elements, (low, high, count) in sorted(self.volumes.items())
                if count >= ENOUGH
            },
        )

    def _volume_with(self, symbol: str) -> list[float]:
        """Lowest and highest relative volume of structures that hold an element; empty without any."""
        own = [r for elements, r in self.volumes.items() if symbol in elements.split()]
        return [_rounded(min(r[0] for r in own)), _rounded(max(r[1] for r in own))] if own else []

    def _met(self, z: int) -> list[str] | None:
        """Neighbours of an element by symbol; None where they are so many that any other would do."""
        partners = torch.isfinite(self.closest.reshape(SIZE, SIZE)[z]).nonzero().squeeze(1).tolist()
        return None if len(set(partners) - {z}) >= MIXED else [SYMBOLS[p] for p in partners]


def _rounded(value: float | Tensor) -> float:
    """To 0.001; the tolerances of a finding are far larger."""
    return round(float(value), 3)
