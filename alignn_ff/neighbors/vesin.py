"""Neighbour search by vesin (cell lists on the CPU)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from vesin import NeighborList

from alignn_ff.neighbors import Edges


def find(positions: Tensor, cell: Tensor, pbc: Tensor, cutoff: float) -> Edges:
    """Every directed pair up to `cutoff` Å; tensors come back on the device of `positions`.

    In an order of their own: that of vesin depends on its cell list, which a skin changes, and with it the last digits
    of sums over edges.
    """
    box = complete_cell(cell.cpu().numpy(), pbc.cpu().numpy())
    search = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    # vesin: vector = x[j] - x[i] + S @ cell, sorted by i. Receiving atom i = dst, neighbour j = src, hence -S.
    i, j, shift = search.compute(positions.cpu().numpy(), box, pbc.cpu().numpy(), quantities="ijS")
    order = _order(i, j, shift, len(positions))
    i, j, shift = i[order], j[order], shift[order]
    device = positions.device
    return Edges(
        src=torch.from_numpy(j.astype(np.int64)).to(device),
        dst=torch.from_numpy(i.astype(np.int64)).to(device),
        shift=torch.from_numpy(-shift.astype(np.float64)).to(device),
    )


def _order(i: np.ndarray, j: np.ndarray, shift: np.ndarray, atoms: int) -> np.ndarray:
    """Places [E] of pairs by i, then j, then shift."""
    span = 2 * int(np.abs(shift).max(initial=0)) + 1  # of one component: each pair has a number of its own
    a, b, c = shift.astype(np.int64).T
    key = (((i.astype(np.int64) * atoms + j.astype(np.int64)) * span + a) * span + b) * span + c
    return key.argsort(kind="stable")  # vesin has sorted by i: half of it is done


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
