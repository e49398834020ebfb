"""Neighbour lists reused while atoms move little."""

from __future__ import annotations

import torch
from torch import Tensor

from alignn_ff.graph import COMPLETE, AtomGraph, Topology, edge_vectors
from alignn_ff.neighbors import Backend, edge_search
from alignn_ff.neighbors.angles import ANGLES


class SkinList:
    """Finds pairs up to cutoff + skin once, then filters them to the exact cutoff until they may be incomplete.

    Edges equal those of `neighbors.connect` at every step, in the same order, whatever the skin.

    Args:
        cutoff, angle_cutoff: as in `connect`, Å.
        skin: Å; 0 searches anew whenever anything moved, and so does a topology other than complete, whose edges
            are no matter of one distance.
        find, topology: as in `connect`.
    """

    def __init__(
        self,
        cutoff: float,
        *,
        angle_cutoff: float | None = None,
        skin: float = 0.5,
        find: Backend | None = None,
        topology: Topology = COMPLETE,
    ) -> None:
        self.cutoff = cutoff
        self.angle_cutoff = angle_cutoff
        self.skin = skin if topology.edges == "complete" else 0.0
        self.rebuilds = 0
        self._find = edge_search(topology, find)
        self._angles = ANGLES[topology.angles]
        self._candidates: AtomGraph | None = None

    def connect(self, graph: AtomGraph) -> AtomGraph:
        """`graph`, of one structure, with every edge up to the cutoff (and angles, where asked for)."""
        if self.needs_rebuild(graph):
            self.rebuild(graph)
        return self.refresh(graph)

    def needs_rebuild(self, graph: AtomGraph) -> bool:
        """Whether a pair within the cutoff might be missing from the candidates.

        Let F deform the reference cell into the present one and u_i be what is left of atom i's motion after it. A
        pair that is now r apart was r0 = F⁻¹(r - Δu) apart, so no candidate is missing while
        (cutoff + 2 max|u|) ‖F⁻¹‖ ≤ cutoff + skin. This covers moved atoms and boxes that breathe alike.
        """
        old = self._candidates
        if old is None or len(old.numbers) != len(graph.numbers) or self.skin == 0.0:
            return True
        if not (torch.equal(old.numbers, graph.numbers) and torch.equal(old.pbc, graph.pbc)):
            return True
        deformation = _deformation(old.cell[0], graph.cell[0])
        if deformation is None:
            return True
        forward, shrink = deformation
        moved = (graph.positions - old.positions @ forward).norm(dim=1).max()
        return bool((self.cutoff + 2 * moved) * shrink > self.cutoff + self.skin)

    def rebuild(self, graph: AtomGraph) -> None:
        """Search anew around the present positions."""
        edges = self._find(graph.positions, graph.cell[0], graph.pbc[0], self.cutoff + self.skin)
        self._candidates = graph._replace(edge_src=edges.src, edge_dst=edges.dst, edge_shift=edges.shift)
        self.rebuilds += 1

    def forget(self) -> None:
        """Search anew at the next call, whatever moved."""
        self._candidates = None

    def refresh(self, graph: AtomGraph) -> AtomGraph:
        """`graph` with those candidates that are within the cutoff now."""
        old = self._candidates
        assert old is not None, "rebuild before refresh"
        graph = graph._replace(edge_src=old.edge_src, edge_dst=old.edge_dst, edge_shift=old.edge_shift)
        if self.skin > 0.0:
            near = torch.nonzero(edge_vectors(graph).norm(dim=1) < self.cutoff).squeeze(1)
            graph = graph._replace(
                edge_src=graph.edge_src[near], edge_dst=graph.edge_dst[near], edge_shift=graph.edge_shift[near]
            )
        if self.angle_cutoff is None:
            return graph
        angle_in, angle_out = self._angles(graph, self.angle_cutoff)
        return graph._replace(angle_in=angle_in, angle_out=angle_out)


def _deformation(old: Tensor, new: Tensor) -> tuple[Tensor, Tensor] | None:
    """F with new = old F (rows) and the spectral norm of F⁻¹; None where the cells do not tell."""
    if torch.equal(old, new):
        return torch.eye(3, dtype=old.dtype, device=old.device), old.new_ones(())
    if torch.linalg.det(old).abs() < 1e-9 or torch.linalg.det(new).abs() < 1e-9:
        return None
    forward = torch.linalg.solve(old, new)
    return forward, torch.linalg.matrix_norm(torch.linalg.inv(forward), ord=2)
