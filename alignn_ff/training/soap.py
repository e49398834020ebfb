"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., 2024, arXiv:2409.11321).

A matrix of weights [m, n] with gradient G has running means of GGᵀ and GᵀG. In their eigenbases Q and P the numbers of
a gradient hardly vary together, and Adam, which scales each by itself, then scales what matters: QᵀGP instead of G.
Vectors have no such bases and move as in AdamW. docs/adr/011-soap.md says what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Soap(torch.optim.Optimizer):
    """Adam in the eigenbases of the gradients' second moments along rows and columns, with decoupled weight decay.

    Args:
        parameters: numbers, vectors, matrices [m, n], or stacks of matrices [..., m, n] with bases of their own.
        lr: of the step, as large as with AdamW or larger.
        weight_decay: times `lr`, taken off the weights at each step.
        betas: memories of the mean gradient and of its second moments.
        eps: below this, a root of second moments counts for nothing.
        refresh: steps between new bases, each one step of a power iteration and a QR decomposition.
        largest_side: sides longer than this keep the basis they have.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float = 0.0,
        *,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        refresh: int = 10,
        largest_side: int = 2048,
    ) -> None:
        how = {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        super().__init__(parameters, {**how, "refresh": refresh, "largest_side": largest_side})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        assert closure is None, "the loss is not evaluated again"
        for group in self.param_groups:
            for weights in group["params"]:
                if weights.grad is not None:
                    state = self.state[weights] or self._begun(weights, group)
                    _learn(weights, weights.grad, state, group)

    def _begun(self, weights: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state[weights]
        state.update(steps=0, mean=torch.zeros_like(weights), square=torch.zeros_like(weights))
        for side in (-2, -1) if weights.dim() > 1 else ():
            if 1 < weights.shape[side] <= group["largest_side"]:
                state[f"moments_{side}"] = torch.zeros_like(_moments(weights, side))
        return state


def _learn(weights: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """Change one parameter in place, and what is remembered of it; `mean` and `square` are told in the bases."""
    (memory, memory_of_squares), sides = group["betas"], [s for s in (-2, -1) if f"moments_{s}" in state]
    state["steps"] += 1
    for side in sides:
        state[f"moments_{side}"].lerp_(_moments(gradient, side), 1 - memory_of_squares)
        if state["steps"] == 1:
            state[f"basis_{side}"] = torch.linalg.eigh(state[f"moments_{side}"])[1].flip(-1)
    turned = _into(gradient, state, sides)
    state["mean"].lerp_(turned, 1 - memory)
    state["square"].lerp_(turned.square(), 1 - memory_of_squares)
    root = (state["square"] / (1 - memory_of_squares ** state["steps"])).sqrt_()
    move = state["mean"] / (1 - memory ** state["steps"]) / root.add_(group["eps"])
    weights.mul_(1 - group["lr"] * group["weight_decay"]).sub_(_out_of(move, state, sides), alpha=group["lr"])
    if state["steps"] % group["refresh"] == 0:
        mean = _out_of(state["mean"], state, sides)
        for side in sides:
            _refresh(state, side)
        state["mean"] = _into(mean, state, sides)


def _into(values: Tensor, state: dict[str, Any], sides: list[int]) -> Tensor:
    """QᵀGP: what a gradient is in the bases."""
    for side in sides:
        values = _turned(values, state[f"basis_{side}"], side)
    return values


def _out_of(values: Tensor, state: dict[str, Any], sides: list[int]) -> Tensor:
    """QVPᵀ: what a move told in the bases is."""
    for side in sides:
        values = _turned(values, state[f"basis_{side}"].mT, side)
    return values


def _moments(values: Tensor, side: int) -> Tensor:
    """G Gᵀ along rows (-2), Gᵀ G along columns (-1)."""
    return values @ values.mT if side == -2 else values.mT @ values


def _turned(values: Tensor, basis: Tensor, side: int) -> Tensor:
    """QᵀG along rows, GP along columns."""
    return basis.mT @ values if side == -2 else values @ basis


def _refresh(state: dict[str, Any], side: int) -> None:
    """Turn a basis towards the eigenvectors of the moments, largest first; second moments follow their vectors."""
    moved = state[f"moments_{side}"] @ state[f"basis_{side}"]
    order = (state[f"basis_{side}"] * moved).sum(-2).argsort(dim=-1, descending=True)
    state[f"basis_{side}"] = torch.linalg.qr(moved.gather(-1, order.unsqueeze(-2).expand_as(moved)))[0]
    place = order.unsqueeze(-1 if side == -2 else -2).expand_as(state["square"])
    state["square"] = state["square"].gather(side, place)
