"""What keeps a network from pulling atoms together where it was never taught."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError
from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import SYMBOLS, Composite, Heads, Potential, element_index
from alignn_ff.models.elements import COORDINATION_FULL, COORDINATION_REACH, COVALENT_RADII

HEIGHT = 1000.0
"""eV, of the wall between two atoms at no distance; a tenth closer than the wall begins costs 1 eV, a third 37."""

CROWD = 200.0
"""eV, of an atom with twice the neighbours at which the wall begins; a tenth more of them cost 0.2 eV."""

HELD = 0.8
"""Of the distance at which the wall begins; nearer pairs look alike to the inner potential."""


class Core(Composite):
    """A potential held at what it learnt where atoms come too close, and walls that rise from there.

    *Pairs* closer than d₀ of their elements reach the inner potential as if at the distance d₀ g(d/d₀), never below
    0.9 d₀, and pay `HEIGHT` (1 - d/d₀)³, half for each atom. *Atoms* with a coordination ρ above ρ₀ of their element
    pay `CROWD` (ρ/ρ₀ - 1)³: in a squeezed crystal what a network was never shown is not one close pair but the many
    that are almost neighbours. With d₀ and ρ₀ beyond what was trained on, all that was learnt stays as it is; the walls
    meet it with two continuous derivatives. docs/adr/009-core.md says what there was without.

    A neighbour counts in full up to 1.2 times the sum of the covalent radii and falls smoothly to nothing at 1.5 times,
    or at the cutoff and 0.8 of it where that is shorter.

    Args:
        parts: the one inner potential.
        closest: d₀, Å, of every two elements, [elements][elements], symmetric.
        crowded: ρ₀ of each element.
    Raises:
        ConfigError: several parts, or tables of other shapes.
    """

    name = "core"
    index: Tensor
    closest: Tensor
    crowded: Tensor
    reach: Tensor

    def __init__(
        self, parts: Sequence[Potential], closest: Sequence[Sequence[float]], crowded: Sequence[float]
    ) -> None:
        super().__init__(parts)
        n = len(self.elements)
        tables = [torch.as_tensor(table, dtype=torch.float64) for table in (closest, crowded)]
        if len(parts) != 1 or [t.shape for t in tables] != [(n, n), (n,)]:
            raise ConfigError(
                f"a core holds one potential, a distance for every two of its {n} elements and a coordination for "
                f"each; it was given {len(parts)} and tables of {[list(t.shape) for t in tables]}."
            )
        self.parts = nn.ModuleList(parts)
        self.limits = {"closest": [list(row) for row in closest], "crowded": list(crowded)}
        radii = torch.tensor([COVALENT_RADII[SYMBOLS.index(e) - 1] for e in self.elements], dtype=torch.float64)
        reach = (COORDINATION_REACH * (radii[:, None] + radii)).clamp(max=self.cutoff)
        self.register_buffer("index", element_index(self.elements), persistent=False)
        for name, table in zip(("closest", "crowded", "reach"), (*tables, reach), strict=True):
            self.register_buffer(name, table, persistent=False)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        element = self.index[graph.numbers]
        pair = element[graph.edge_src], element[graph.edge_dst]
        distance = vectors.detach().norm(dim=1)
        # Hardly any pair is so close: the others keep their vectors, and no derivative knows of the walls.
        near = torch.nonzero(distance < self.closest[pair].to(distance)).squeeze(1)
        reduced = vectors[near].norm(dim=1) / self.closest[pair[0][near], pair[1][near]].to(distance)
        held = vectors
        if len(near):
            held = vectors.index_copy(0, near, vectors[near] * (held_distance(reduced) / reduced).unsqueeze(1))
        inner = self.parts[0](graph, held)
        energy = inner.energy + self._crowding(graph, vectors, distance / self.reach[pair].to(distance), element)
        wall = 0.5 * HEIGHT * (1.0 - reduced).to(energy) ** 3
        return inner._replace(energy=energy.index_add(0, graph.edge_dst[near], wall))

    def _crowding(self, graph: AtomGraph, vectors: Tensor, far: Tensor, element: Tensor) -> Tensor:
        """Energy of the crowded atoms, eV [N], from distances over reach, without derivative [E]."""
        most = self.crowded[element].to(far)
        count = torch.zeros_like(most).index_add_(0, graph.edge_dst, _counts(far))
        # Only the edges of those that are crowded take part in the derivative.
        edges = torch.nonzero((count > most)[graph.edge_dst]).squeeze(1)
        if len(edges):
            reach = self.reach[element[graph.edge_src[edges]], element[graph.edge_dst[edges]]].to(far)
            shares = _counts(vectors[edges].norm(dim=1) / reach)
            count = torch.zeros_like(most).index_add(0, graph.edge_dst[edges], shares)
        return CROWD * (count / most - 1.0).clamp(min=0.0) ** 3

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "parts": [part.config for part in self.parts], **self.limits}  # type: ignore[union-attr]


def held_distance(x: Tensor) -> Tensor:
    """g(x): x from 1 on, constant below `HELD`, and between them of slope t³(10 - 15t + 6t²), t = (x - h)/(1 - h)."""
    t = ((x - HELD) / (1.0 - HELD)).clamp(0.0, 1.0)
    rise = t**4 * (2.5 + t * (t - 3.0))  # ∫ of the slope, a half at t = 1
    return torch.where(x < 1.0, 1.0 + (1.0 - HELD) * (rise - 0.5), x)


def _counts(u: Tensor) -> Tensor:
    """1 up to u = `COORDINATION_FULL`, 0 from 1 on, with two continuous derivatives."""
    t = ((1.0 - u) / (1.0 - COORDINATION_FULL)).clamp(0.0, 1.0)
    return t**3 * (10.0 + t * (6.0 * t - 15.0))
