"""Sums over edges against loops."""

from __future__ import annotations

import pytest
import torch

from alignn_ff.models.ops import edge_outer_sum, edge_sum, slots
from tests.tolerances import EXACT

LISTS = {
    "uneven": [0, 0, 0, 1, 3, 3],
    "last rows empty": [0, 1, 1],
    "first rows empty": [3, 3, 4],
    "none": [],
    "one": [2],
}


@pytest.mark.parametrize("dst", LISTS.values(), ids=LISTS)
def test_edge_sums_are_those_of_a_loop(dst):
    torch.manual_seed(0)
    rows, index = 5, torch.tensor(dst, dtype=torch.int64)
    left = torch.randn(len(dst), 4, dtype=torch.float64)
    right = torch.randn(len(dst), 3, dtype=torch.float64)
    single = torch.zeros(rows, 4, dtype=torch.float64)
    outer = torch.zeros(rows, 4, 3, dtype=torch.float64)
    for e, i in enumerate(dst):
        single[i] += left[e]
        outer[i] += torch.outer(left[e], right[e])
    where = slots(index, rows)
    assert torch.allclose(edge_sum(left, where), single, atol=EXACT)
    assert torch.allclose(edge_outer_sum(left, right, where), outer, atol=EXACT)


def test_every_edge_has_a_place_of_its_own():
    where = slots(torch.tensor([0, 0, 2, 2, 2]), 4)
    assert where.rows == 4 and where.columns == 3
    assert len(set(where.place.tolist())) == 5
    assert (where.place // where.columns).tolist() == [0, 0, 2, 2, 2]


def test_gradients_of_gradients_pass_through():
    where = slots(torch.tensor([0, 0, 1]), 2)
    left = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    right = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b: edge_outer_sum(a, b, where), (left, right))
    assert torch.autograd.gradgradcheck(lambda a: edge_sum(a, where).square(), (left,))
