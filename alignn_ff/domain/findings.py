"""What of a structure lies outside a domain: what, where, and what training had instead."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from alignn_ff.domain.extent import ENOUGH, Domain
from alignn_ff.domain.quantities import SIZE, Quantities, element_sets, filled, quantities, radius_sums
from alignn_ff.graph import AtomGraph, atom_counts, volumes
from alignn_ff.models.base import SYMBOLS

# How far outside what training had something must lie to be worth a word.
_CLOSER = 0.05
_COORDINATION = 0.5
_VOLUME = 0.03


class Finding(NamedTuple):
    """One thing that training had not.

    Attributes:
        kind: "closest pair", "new pair", "coordination", "density" or "strain".
        structure: its place in the batch.
        atoms: indices in that structure, the most foreign first; empty where all of it is meant.
        value: the most foreign value: Å, neighbours, or Å³ per atom.
        trained: lowest and highest value in training, in the same unit; infinite where there is no bound, NaN where
            there is nothing to compare with.
        message: all that in words.
    """

    kind: str
    structure: int
    atoms: tuple[int, ...]
    value: float
    trained: tuple[float, float]
    message: str


class Limits:
    """A domain as tables by atomic number.

    Attributes:
        closest: shortest distance in training, Å [119 * 119]; zero where training does not say.
        own: whether that is the pair's own, not taken from other neighbours of the two elements [119 * 119].
        new: whether two elements never met, one of which met but few others [119 * 119].
        fewest, most: coordination [119].
        smallest, largest: relative volume of structures with an element [119].
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        ratio = _table(domain.ratio, 0.0)
        closest = torch.maximum(ratio[:, None], ratio) * radius_sums().reshape(SIZE, SIZE)
        own, new = (torch.zeros(SIZE, SIZE, dtype=torch.bool) for _ in range(2))
        for pair, distance in domain.closest.items():
            i, j = (SYMBOLS.index(symbol) for symbol in pair.split())
            closest[i, j] = closest[j, i] = distance
            own[i, j] = own[j, i] = True
        for symbol, partners in domain.met.items():
            new[SYMBOLS.index(symbol)] = True
            new[SYMBOLS.index(symbol), [SYMBOLS.index(partner) for partner in partners]] = False
        self.closest, self.own, self.new = closest.reshape(-1), own.reshape(-1), (new | new.T).reshape(-1)
        self.fewest = _table({s: low for s, (low, _) in domain.coordination.items()}, -math.inf)
        self.most = _table({s: high for s, (_, high) in domain.coordination.items()}, math.inf)
        self.smallest = _table({s: low for s, (low, _) in domain.volume.items()}, 0.0)
        self.largest = _table({s: high for s, (_, high) in domain.volume.items()}, math.inf)


def outside(limits: Limits, graph: AtomGraph) -> list[Finding]:
    """Everything of `graph`, on the CPU with every edge up to the domain's cutoff, that training had not."""
    found = quantities(graph, limits.domain.cutoff)
    return [
        *_close_pairs(limits, graph, found),
        *_new_pairs(limits, graph, found),
        *_coordinations(limits, graph, found),
        *_volumes(limits, graph, found),
    ]


def _close_pairs(limits: Limits, graph: AtomGraph, found: Quantities) -> Iterator[Finding]:
    close = found.distance < (1.0 - _CLOSER) * limits.closest[found.pair]
    for structure, elements, edges in _by_pair(graph, found, close):
        pair, value = found.pair[edges[0]], float(found.distance[edges[0]])
        trained, atoms = float(limits.closest[pair]), _ends(graph, structure, edges)
        message = f"{elements} {value:.2f} Å apart ({_named(atoms)}); {trained:.2f} Å or more in training"
        message += "" if limits.own[pair] else ", judged by how close other elements came"
        yield Finding("closest pair", structure, atoms, value, (trained, math.inf), message)


def _new_pairs(limits: Limits, graph: AtomGraph, found: Quantities) -> Iterator[Finding]:
    cutoff = limits.domain.cutoff
    for structure, elements, edges in _by_pair(graph, found, limits.new[found.pair]):
        value, atoms = float(found.distance[edges[0]]), _ends(graph, structure, edges)
        message = f"{elements} {value:.2f} Å apart ({_named(atoms)}); never within {cutoff:g} Å in training"
        yield Finding("new pair", structure, atoms, value, (math.nan, math.nan), message)


def _coordinations(limits: Limits, graph: AtomGraph, found: Quantities) -> Iterator[Finding]:
    fewest, most = limits.fewest[graph.numbers], limits.most[graph.numbers]
    excess = torch.maximum(fewest - found.coordination, found.coordination - most)
    foreign = _worst_first(excess > _COORDINATION, -excess)
    for structure, own in _grouped(graph.graph_index[foreign], graph.numbers[foreign], foreign):
        worst, atoms = own[0], _within(graph, structure, own)
        value, trained = float(found.coordination[worst]), (float(fewest[worst]), float(most[worst]))
        message = (
            f"{SYMBOLS[int(graph.numbers[worst])]} with {value:.1f} neighbours ({_named(atoms)}); "
            f"{trained[0]:.1f} to {trained[1]:.1f} in training"
        )
        yield Finding("coordination", structure, atoms, value, trained, message)


def _volumes(limits: Limits, graph: AtomGraph, found: Quantities) -> Iterator[Finding]:
    if not bool(found.volume.isfinite().any()):
        return
    names = element_sets(graph)
    low, high = _volume_limits(limits, graph, names)
    foreign = (found.volume < (1.0 - _VOLUME) * low) | (found.volume > (1.0 + _VOLUME) * high)
    foreign &= low <= high  # elements whose ranges exclude each other leave nothing to compare with
    if not bool(foreign.any()):
        return
    foreign &= filled(graph, limits.domain.cutoff)
    for structure in foreign.nonzero().squeeze(1).tolist():
        value = float(volumes(graph)[structure] / atom_counts(graph)[structure])
        unit = value / float(found.volume[structure])
        trained = (unit * float(low[structure]), unit * float(high[structure]))
        yield _volume(limits.domain, structure, names[structure], value, trained)


def _volume_limits(limits: Limits, graph: AtomGraph, names: list[str]) -> tuple[Tensor, Tensor]:
    """Lowest and highest relative volume [G] that structures of the same elements had, or with one of the elements."""
    low = torch.zeros(len(names), dtype=torch.float64)
    low = low.scatter_reduce(0, graph.graph_index, limits.smallest[graph.numbers], "amax")
    high = torch.full_like(low, math.inf)
    high = high.scatter_reduce(0, graph.graph_index, limits.largest[graph.numbers], "amin")
    for structure, elements in enumerate(names):
        if elements in limits.domain.volumes:
            low[structure], high[structure] = limits.domain.volumes[elements]
    return low, high


def _volume(domain: Domain, structure: int, elements: str, value: float, trained: tuple[float, float]) -> Finding:
    """The finding on a structure of `value` Å³ per atom where training had `trained`."""
    message = f"{value:.3g} Å³ per atom; {trained[0]:.3g} to {trained[1]:.3g} Å³ in training"
    if elements in domain.volumes:
        message += f" structures of {elements} in these proportions"
        return Finding("strain", structure, (), value, trained, message)
    message += f", by the size of the atoms (fewer than {ENOUGH} training structures are of just {elements})"
    return Finding("density", structure, (), value, trained, message)


def _by_pair(graph: AtomGraph, found: Quantities, foreign: Tensor) -> Iterator[tuple[int, str, Tensor]]:
    """Structure, elements and edges where `foreign` [E] holds, the shortest edge first, once for every two elements."""
    if not bool(foreign.any()):
        return
    edges = _worst_first(foreign, found.distance)
    one, other = graph.numbers[graph.edge_src[edges]], graph.numbers[graph.edge_dst[edges]]
    label = torch.minimum(one, other) * SIZE + torch.maximum(one, other)
    for structure, own in _grouped(graph.graph_index[graph.edge_dst[edges]], label, edges):
        first, second = sorted(int(graph.numbers[end[own[0]]]) for end in (graph.edge_src, graph.edge_dst))
        yield structure, f"{SYMBOLS[first]} and {SYMBOLS[second]}", own


def _worst_first(foreign: Tensor, rank: Tensor) -> Tensor:
    """Places where `foreign` holds, those of lowest `rank` first; equal ones, but for rounding, as they stand."""
    places = foreign.nonzero().squeeze(1)
    return places[rank[places].round(decimals=6).argsort(stable=True)]


def _grouped(structure: Tensor, label: Tensor, places: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Structure and places of every structure and label, in the order they have."""
    keys = structure * SIZE**2 + label
    for key in keys.unique():
        yield int(key) // SIZE**2, places[keys == key]


def _ends(graph: AtomGraph, structure: int, edges: Tensor) -> tuple[int, ...]:
    """Atoms at either end of `edges`, each once."""
    ends = torch.stack([graph.edge_src[edges], graph.edge_dst[edges]], dim=1).sort(dim=1).values
    return tuple(dict.fromkeys(_within(graph, structure, ends.reshape(-1))))


def _within(graph: AtomGraph, structure: int, atoms: Tensor) -> tuple[int, ...]:
    """Indices in `structure` of atoms of the batch."""
    first = int((graph.graph_index < structure).sum())
    return tuple((atoms - first).tolist())


def _named(atoms: tuple[int, ...], most: int = 5) -> str:
    """The first few in words."""
    if len(atoms) == 1:
        return f"atom {atoms[0]}"
    return f"atoms {', '.join(map(str, atoms[:most]))}" + (f", … {len(atoms)} in all" if len(atoms) > most else "")


def _table(values: dict[str, float], absent: float) -> Tensor:
    """[119] by atomic number."""
    table = torch.full((SIZE,), absent, dtype=torch.float64)
    for symbol, value in values.items():
        table[SYMBOLS.index(symbol)] = value
    return table
