"""Where tensors live, and in what precision."""

from __future__ import annotations

import torch

from alignn_ff.errors import ConfigError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
"""Precisions a model can be trained, saved and run in."""


def choose_device(name: str, memory_fraction: float | None = None) -> torch.device:
    """The device called `name`; "auto" takes a CUDA device where there is one.

    Args:
        memory_fraction: share of the memory of a GPU that this process may take; None for all of it.
    Raises:
        ConfigError: unknown to torch, or not there; or a share of what is no GPU.
    """
    device = _named("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else _named(name)
    if memory_fraction is not None:
        _bound_memory(device, memory_fraction)
    return device


def reduced_precision(device: torch.device, wanted: bool) -> torch.autocast:
    """Within it, matrices of float32 are multiplied in bfloat16, of 8 bits, where that is wanted."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def _named(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}, which torch does not know; try auto, cpu or cuda.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch sees no CUDA device here; use cpu or auto.")
    return device


def _bound_memory(device: torch.device, fraction: float) -> None:
    if device.type != "cuda":
        raise ConfigError(
            f"gpu_memory_fraction is {fraction}, but this runs on the {device.type}, whose memory is not bounded so. "
            "Leave it out; batch_size, batch_atoms and batch_edges bound the memory."
        )
    torch.cuda.set_per_process_memory_fraction(fraction, device.index)
