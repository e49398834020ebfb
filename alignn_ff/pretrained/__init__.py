"""Models by name: embedded in the package, downloaded when first asked for, or a file of the user's own."""

from __future__ import annotations

from pathlib import Path

from alignn_ff.checkpoint import Checkpoint
from alignn_ff.errors import ModelNotFoundError, did_you_mean
from alignn_ff.pretrained.fetch import fetch_weights
from alignn_ff.pretrained.registry import Entry, default_model, entries, find
from alignn_ff.pretrained.upstream import load_file

__all__ = ["Entry", "default_model", "entries", "fetch_weights", "find", "load_potential"]


def load_potential(model: str | Path | None = None, *, offline: bool | None = None) -> Checkpoint:
    """The potential called `model`: a name of the registry, a file, a published ALIGNN folder, or None for the default.

    Args:
        offline: True downloads nothing, False may; None asks `ALIGNN_FF_OFFLINE`.
    Raises:
        ModelNotFoundError: neither a known name nor a file.
        CheckpointError: the file is not a model, or does not have the checksum of the registry.
        DownloadError: not on this machine, and not to be had.
    """
    known = entries()
    name = default_model() if model is None else str(model)
    if name in known:
        return load_file(fetch_weights(known[name], offline=offline))
    if Path(name).exists():
        return load_file(Path(name))
    raise ModelNotFoundError(
        f"model {name!r} is neither a file nor a known name{did_you_mean(name, known)}. See `alignn-ff models list`."
    )
