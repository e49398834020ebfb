"""Models by name: embedded in the package, downloaded when first asked for, or a file of the user's own."""

from __future__ import annotations

from pathlib import Path

from alignn_ff.checkpoint import Checkpoint, PropertyCheckpoint, load_property_checkpoint, read_header
from alignn_ff.errors import ModelNotFoundError, did_you_mean
from alignn_ff.models import PROPERTY_MODELS
from alignn_ff.pretrained.archive import is_published, read_published
from alignn_ff.pretrained.fetch import fetch_weights
from alignn_ff.pretrained.registry import Entry, default_model, entries, find
from alignn_ff.pretrained.upstream import load_file
from alignn_ff.pretrained.upstream_property import is_property, load_upstream_property

__all__ = [
    "Entry",
    "default_model",
    "entries",
    "fetch_weights",
    "find",
    "load_any",
    "load_potential",
    "load_property",
]


def load_potential(model: str | Path | None = None, *, offline: bool | None = None) -> Checkpoint:
    """The potential called `model`: a name of the registry, a file, a published ALIGNN folder, or None for the default.

    Args:
        offline: True downloads nothing, False may; None asks `ALIGNN_FF_OFFLINE`.
    Raises:
        ModelNotFoundError: neither a known name nor a file.
        CheckpointError: the file is not a model, or does not have the checksum of the registry.
        DownloadError: not on this machine, and not to be had.
    """
    return load_file(_file_of(default_model() if model is None else str(model), offline))


def load_property(model: str | Path, *, offline: bool | None = None) -> PropertyCheckpoint:
    """The property model called `model`: a name of the registry, a file, or a published ALIGNN folder or zip.

    Args:
        offline: as in `load_potential`.
    Raises:
        ModelNotFoundError, DownloadError: see `load_potential`.
        CheckpointError: the file is not a model, or it is a force field.
    """
    path = _file_of(str(model), offline)
    return load_upstream_property(path) if is_published(path) else load_property_checkpoint(path)


def load_any(model: str | Path, *, offline: bool | None = None) -> Checkpoint | PropertyCheckpoint:
    """The model called `model`, force field or property model, from wherever the two functions above take theirs.

    Raises:
        ModelNotFoundError, DownloadError, CheckpointError: see `load_potential`.
    """
    path = _file_of(str(model), offline)
    if is_published(path):
        predicts = is_property(read_published(path).config)
    else:
        predicts = read_header(path).get("config", {}).get("name") in PROPERTY_MODELS
    return load_property(path) if predicts else load_potential(path)


def _file_of(name: str, offline: bool | None) -> Path:
    """The file behind a name of the registry, or the path that `name` is."""
    known = entries()
    if name in known:
        return fetch_weights(known[name], offline=offline)
    if Path(name).exists():
        return Path(name)
    raise ModelNotFoundError(
        f"model {name!r} is neither a file nor a known name{did_you_mean(name, known)}. See `alignn-ff models list`."
    )
