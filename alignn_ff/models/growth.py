"""A larger network that begins as the function a smaller one has learnt.

After Net2Net (Chen, Goodfellow, Shlens, ICLR 2016), with zeros instead of copies: what is added learns something of its
own from the first step, and nothing that was there listens to it yet.
"""

from __future__ import annotations

import torch
from torch import Tensor


def enlarged(name: str, learnt: Tensor, first: Tensor, places: Tensor | None = None) -> Tensor:
    """Weights of a wider network: those learnt, zero from all that is new into all that is old, the rest as in `first`.

    Args:
        name: of the parameter or buffer; a matrix that a network multiplies features with is called `weight`
            (outputs, inputs) or `mix_…` (…, inputs, outputs), and that of an embedding has no inputs.
        learnt: values in the smaller network.
        first: values that the wider one began with, of at least that size along each dimension.
        places: where the learnt inputs (of a vector: its numbers) stand in the wider network, if not in front.
    """
    values = first.clone()
    if learnt.dim() < 2 or name.startswith("embedding."):
        values[..., torch.arange(learnt.shape[-1]) if places is None else places] = learnt
        return values
    ours, theirs = (values.mT, learnt.mT) if ".mix_" in name else (values, learnt)  # views: [..., outputs, inputs]
    outputs, inputs = theirs.shape[-2:]
    ours[..., :outputs, :] = 0.0
    ours[..., :outputs, torch.arange(inputs) if places is None else places] = theirs
    return values


def behind_blocks(blocks: int, before: int, after: int) -> Tensor:
    """Where features stand that came in `blocks` of width `before`, once each block is `after` wide."""
    return (torch.arange(blocks).unsqueeze(1) * after + torch.arange(before)).flatten()
