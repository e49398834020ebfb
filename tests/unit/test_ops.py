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
    assert where.tables == ((4, 3),) and where.places == 12
    assert len(set(where.place.tolist())) == 5
    assert (where.place // 3).tolist() == [0, 0, 2, 2, 2]


def test_atoms_that_differ_much_share_tables_that_are_nearly_full():
    """A crowded atom must not give every other one hundreds of empty places."""
    count = torch.tensor([300, *[3, 20, 0, 31] * 20, 150])
    dst = torch.repeat_interleave(torch.arange(len(count)), count)
    where = slots(dst, len(count))
    assert len(where.tables) > 3 and sum(rows for rows, _ in where.tables) == len(count)
    assert len(set(where.place.tolist())) == len(dst) and int(where.place.max()) < where.places < 1.5 * len(dst)
    torch.manual_seed(1)
    left, right = (torch.randn(len(dst), width, dtype=torch.float64) for width in (4, 3))
    single = torch.zeros(len(count), 4, dtype=torch.float64).index_add(0, dst, left)
    outer = torch.zeros(len(count), 4, 3, dtype=torch.float64).index_add(0, dst, left[:, :, None] * right[:, None])
    assert torch.allclose(edge_sum(left, where), single, atol=EXACT)
    assert torch.allclose(edge_outer_sum(left, right, where), outer, atol=EXACT)


def test_gradients_of_gradients_pass_through():
    where = slots(torch.tensor([0, 0, 1]), 2)
    left = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    right = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b: edge_outer_sum(a, b, where), (left, right))
    assert torch.autograd.gradgradcheck(lambda a: edge_sum(a, where).square(), (left,))
