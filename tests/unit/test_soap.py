"""SOAP: Adam where there is no basis to find, and no matter which basis where there is."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from alignn_ff.training.soap import Soap
from tests.tolerances import CLOSE

SETTINGS = {"lr": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.99)}


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def follow(optimizer: torch.optim.Optimizer, weights: nn.Parameter, gradients: list[torch.Tensor]) -> torch.Tensor:
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimizer.step()
    return weights.detach()


def test_vectors_move_as_with_adamw():
    gradients = [seeded(7, seed=k) for k in range(30)]
    one, other = nn.Parameter(seeded(7)), nn.Parameter(seeded(7))
    found = follow(Soap([one], **SETTINGS), one, gradients)
    known = follow(torch.optim.AdamW([other], **SETTINGS), other, gradients)
    assert torch.allclose(found, known, atol=CLOSE)


def test_turned_rows_and_columns_change_nothing():
    left, right = (torch.linalg.qr(seeded(6, 6, seed=seed))[0] for seed in (1, 2))
    gradients = [seeded(6, 6, seed=10 + k) for k in range(25)]
    plain, turned = nn.Parameter(seeded(6, 6)), nn.Parameter(left @ seeded(6, 6) @ right)
    found = follow(Soap([plain], refresh=3, **SETTINGS), plain, gradients)
    other = follow(Soap([turned], refresh=3, **SETTINGS), turned, [left @ g @ right for g in gradients])
    assert float((found - seeded(6, 6)).abs().max()) > 0.05
    assert torch.allclose(left @ found @ right, other, atol=1e-6)
    adam = nn.Parameter(seeded(6, 6))
    assert not torch.allclose(follow(torch.optim.AdamW([adam], **SETTINGS), adam, gradients), found, atol=1e-2)


def test_a_stack_of_matrices_is_as_many_matrices():
    gradients = [seeded(3, 4, 5, seed=k) for k in range(25)]
    stack = nn.Parameter(seeded(3, 4, 5))
    found = follow(Soap([stack], refresh=4, **SETTINGS), stack, gradients)
    for k in range(3):
        alone = nn.Parameter(seeded(3, 4, 5)[k].clone())
        assert torch.allclose(found[k], follow(Soap([alone], refresh=4, **SETTINGS), alone, [g[k] for g in gradients]))


def test_sides_without_a_basis_are_as_with_adamw():
    gradients = [seeded(4, 5, seed=k) for k in range(10)]
    one, other = nn.Parameter(seeded(4, 5)), nn.Parameter(seeded(4, 5))
    found = follow(Soap([one], largest_side=3, **SETTINGS), one, gradients)
    assert torch.allclose(found, follow(torch.optim.AdamW([other], **SETTINGS), other, gradients), atol=CLOSE)


def test_inputs_that_vary_together_are_learned_sooner_than_with_adamw():
    inputs = seeded(400, 12, seed=3) @ torch.diag(torch.logspace(0, -2, 12, dtype=torch.float64)) @ seeded(12, 12)
    target = inputs @ seeded(12, 5, seed=4)
    left = {}
    for kind in (Soap, torch.optim.AdamW):
        weights = nn.Parameter(torch.zeros(12, 5, dtype=torch.float64))
        optimizer = kind([weights], lr=0.03, weight_decay=0.0)
        for _ in range(300):
            optimizer.zero_grad()
            loss = (inputs @ weights - target).square().mean()
            loss.backward()
            optimizer.step()
        left[kind] = float(loss)
    assert left[Soap] < 0.1 * left[torch.optim.AdamW]


@pytest.mark.parametrize("stop", [1, 9, 10])
def test_a_saved_state_goes_on_to_the_last_bit(stop):
    gradients = [seeded(4, 5, seed=k) for k in range(25)]
    weights = nn.Parameter(seeded(4, 5))
    first = Soap([weights], **SETTINGS)
    follow(first, weights, gradients[:stop])
    resumed = nn.Parameter(weights.detach().clone())
    second = Soap([resumed], **SETTINGS)
    second.load_state_dict(deepcopy(first.state_dict()))
    assert torch.equal(follow(first, weights, gradients[stop:]), follow(second, resumed, gradients[stop:]))
