"""Angles by atom-centred densities: what a line graph with separable radial parts sums, at a cost linear in edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from alignn_ff.models.layers.harmonics import degree_slices, spherical_harmonics
from alignn_ff.models.ops import Spokes


class Density(nn.Module):
    """Rotation-invariant numbers of the neighbourhood of each atom.

    density      a_i,lm,c = Σ_{e→i} Y_lm(r̂_e) f_e (P x_src + p₀)_c (R b_e)_c
    mixing       q = a M_l,  s = a M'_l                                      (C × C for each l)
    invariants   Σ_m q s for l = 0..L;  Σ_m (q⊗q)_lm s_lm (4-body) and Σ_m (q⊗q)_lm² (5-body) for l = 1..L

    By the addition theorem Σ_m Y_lm(a) Y_lm(b) = P_l(a·b), the first are sums over pairs of edges at an atom of
    products of radial parts and P_l(cos θ): a line graph's sums. The others couple three and four edges (Drautz,
    Phys. Rev. B 99, 014104, 2019).

    Args:
        features: of a node.
        edge_features: K, of the radial basis.
        channels: C.
        degree: largest l, at most 3.
        body_order: 3, 4 or 5; how many atoms an invariant couples.
    """

    degree_of: Tensor
    triple: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, features: int, edge_features: int, channels: int, degree: int, body_order: int) -> None:
        super().__init__()
        self.sizes = [2 * each + 1 for each in range(degree + 1)]
        degree_of = torch.arange(degree + 1).repeat_interleave(torch.tensor(self.sizes))
        self.register_buffer("degree_of", degree_of, persistent=False)
        self.body_order = body_order
        self.element = nn.Linear(features, channels)
        self.radial = nn.Linear(edge_features, channels, bias=False)
        shape = (degree + 1, channels, channels)
        self.mix_left = nn.Parameter(torch.randn(shape) / math.sqrt(channels))
        self.mix_right = nn.Parameter(torch.randn(shape) / math.sqrt(channels))
        self.outputs = channels * (degree + 1 + degree * (body_order - 3))
        if body_order > 3:
            left, right, triple = coupling(degree)
            for name, table in (("left", left), ("right", right), ("triple", triple.to(torch.get_default_dtype()))):
                self.register_buffer(name, table, persistent=False)

    def forward(self, nodes: Tensor, edges: Spokes, harmonics: Tensor) -> Tensor:
        """Invariants [N, outputs] from nodes [N, F], the edges into them in P places, harmonics [P, (L+1)²]."""
        weight = edges.heard(self.element(nodes)) * self.radial(edges.weighted)  # [P, C]
        # With atoms inside, couplings and mixings are few large matrix products instead of many small ones.
        density = edges.where.outer(harmonics, weight).transpose(0, 1).contiguous()  # [S, N, C]
        left, right = self._mix(density, self.mix_left), self._mix(density, self.mix_right)
        found = _per_degree(left * right, self.sizes)
        if self.body_order > 3:
            pairs = left.index_select(0, self.left) * left.index_select(0, self.right)
            square = (self.triple @ pairs.flatten(1)).view_as(right[1:])  # (q⊗q)_lm, l = 1..L [S - 1, N, C]
            found += _per_degree(square * right[1:], self.sizes[1:])
        if self.body_order > 4:
            found += _per_degree(square * square, self.sizes[1:])
        return torch.cat(found, dim=1)

    def _apply(self, *args: Any, **kwargs: Any) -> Density:
        super()._apply(*args, **kwargs)
        if self.body_order > 3:  # cast from the exact numbers: float64 rounded by way of float32 breaks rotations
            self.triple = coupling(len(self.sizes) - 1)[2].to(self.triple)
        return self

    def _mix(self, density: Tensor, weights: Tensor) -> Tensor:
        return torch.bmm(density, weights.index_select(0, self.degree_of))


def _per_degree(products: Tensor, sizes: list[int]) -> list[Tensor]:
    """Sum over m within each l: [S, N, C] -> one [N, C] for each l."""
    return [part.sum(0) for part in products.split(sizes)]


def coupling(degree: int) -> tuple[Tensor, Tensor, Tensor]:
    """How products of two densities make a density of l = 1..L again: pairs (a, b) and a matrix [S - 1, pairs].

    (q⊗q)_c = Σ_pairs G_c,ab q_a q_b with G_abc = (2l_c + 1) ∫ Y_a Y_b Y_c dΩ/4π (Gaunt coefficients of our real
    harmonics); pairs a ≤ b that never contribute are left out. Factors have l = 1 and 2 only: l = 0 adds products of
    invariants, which the network after it can form, and l = 3 triples the cost. The integral is exact: Gauss-Legendre
    in cos θ times equidistant points in φ, for polynomials of degree 3·`degree`.
    """
    order = 3 * degree // 2 + 1
    nodes, weights = np.polynomial.legendre.leggauss(order)
    angles = np.arange(2 * order + 1) * 2 * np.pi / (2 * order + 1)
    cos, phi = (g.reshape(-1) for g in np.meshgrid(nodes, angles, indexing="ij"))
    sin = np.sqrt(1 - cos**2)
    points = torch.from_numpy(np.stack([sin * np.cos(phi), sin * np.sin(phi), cos], axis=1))
    y = spherical_harmonics(points, degree).numpy()
    gaunt = np.einsum("p,pa,pb,pc->abc", np.repeat(weights, len(angles)) / (2 * len(angles)), y, y, y)
    for l, part in enumerate(degree_slices(degree)):  # noqa: E741 (the field's letter)
        gaunt[:, :, part] *= 2 * l + 1
    gaunt[np.abs(gaunt) < 1e-12] = 0.0
    size = min(len(gaunt), 9)
    pairs = [(a, b) for a in range(1, size) for b in range(a, size) if gaunt[a, b, 1:].any()]
    matrix = np.stack([gaunt[a, b, 1:] * (1 if a == b else 2) for a, b in pairs], axis=1)
    left, right = (torch.tensor(side) for side in zip(*pairs, strict=True))
    return left, right, torch.from_numpy(matrix)
