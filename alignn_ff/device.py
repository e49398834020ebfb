"""Where tensors live, and in what precision."""

from __future__ import annotations

import torch

from alignn_ff.errors import ConfigError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Precisions a model can be trained, saved and run in."""


def choose_device(name: str) -> torch.device:
    """The device called `name`; "auto" takes a CUDA device where there is one.

    Raises:
        ConfigError: unknown to torch, or not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}, which torch does not know; try auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch sees no CUDA device here; use cpu or auto.")
    return device
