"""Neighbour search by vesin (cell lists on the CPU)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList

from alignn_ff.neighbors import Edges


def find(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Edges:
    """Every directed pair up to `cutoff` Å; tensors come back on the device of `positions`."""
    box = complete_cell(cell.cpu().numpy(), pbc.cpu().numpy())
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    # vesin: vector = x[j] - x[i] + S @ cell, sorted by i. Receiving atom i = dst, neighbour j = src, hence -S.
    i, j, shift = search.compute(positions.cpu().numpy(), box, pbc.cpu().numpy(), quantities="ijS")
    device = positions.device
    return Edges(
        src=torch.from_numpy(j.astype(np.int64)).to(device),
        dst=torch.from_numpy(i.astype(np.int64)).to(device),
        shift=torch.from_numpy(-shift.astype(np.float64)).to(device),
    )


def complete_cell(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """`cell` with unit vectors normal to the others in place of its non-periodic rows [3, 3].

    A molecule or slab may carry zero or arbitrary vectors along directions that do not repeat; a cell list wants a
    box with a volume and never uses them for images.
    """
    if pbc.all():
        return cell
    box = np.array(cell, dtype=float)
    kept = [box[k] for k in range(3) if pbc[k]]
    for k in np.flatnonzero(~pbc):
        normal = _normal(kept)
        box[k] = normal
        kept.append(normal)
    return box


def _normal(vectors: list[np.ndarray]) -> np.ndarray:
    """A unit vector normal to fewer than three independent `vectors`."""
    if not vectors:
        return np.array([1.0, 0.0, 0.0])
    return np.linalg.svd(np.array(vectors))[2][-1]
