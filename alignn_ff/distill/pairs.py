"""Pairs of atoms of a structure that are near each other."""

from __future__ import annotations

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.graph import edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.neighbors import connect


def near_pairs(atoms: Atoms, reach_a: float) -> tuple[NDArray, NDArray, NDArray]:
    """Indices of both atoms and distance, Å, of every directed pair within `reach_a` Å, images included, each [E]."""
    graph = connect(from_ase(atoms), reach_a)
    return graph.edge_src.numpy(), graph.edge_dst.numpy(), edge_vectors(graph).norm(dim=1).numpy()
