"""The two files of a published ALIGNN model, out of a folder or a zip, without running anything they hold."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alignn_ff.errors import CheckpointError

WEIGHTS, CONFIG = "best_model.pt", "config.json"
_OLD_WEIGHTS = re.compile(r"checkpoint_(\d+)\.pt")
"""What property models of before 2023 call theirs; the number is the epoch."""
_TORCH_ZIP = "data.pkl"
"""A member that a file of torch.save has, which is a zip itself."""


class Published(NamedTuple):
    """What a published model consists of.

    Attributes:
        config: its config.json.
        weights: its state dict.
        sha256: of the file with the weights.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    sha256: str


def is_published(path: Path) -> bool:
    """Whether `path` is a folder, a zip, or a file of torch.save: what published models come as."""
    return path.is_dir() or zipfile.is_zipfile(path)


def read_published(path: Path) -> Published:
    """Config and weights of a published model.

    Args:
        path: a folder or a zip that holds best_model.pt and config.json, itself or in a folder further down; or a
            file of weights with config.json beside it.
    Raises:
        CheckpointError: a file is missing, damaged, or holds more than weights.
    """
    files = _files(path)
    config = _parse_config(files[CONFIG], path)
    return Published(config, _parse_weights(files[WEIGHTS], path), hashlib.sha256(files[WEIGHTS]).hexdigest())


def _files(path: Path) -> dict[str, bytes]:
    """Contents of the two files by their names."""
    if path.is_dir():
        return _pick({str(p.relative_to(path)): p for p in sorted(path.rglob("*")) if p.is_file()}, path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if any(PurePosixPath(name).name == _TORCH_ZIP for name in names):
            return _pick({WEIGHTS: path, CONFIG: path.parent / CONFIG}, path)
        try:
            return {kind: archive.read(_last(names, kind, path)) for kind in (WEIGHTS, CONFIG)}
        except (zipfile.BadZipFile, RuntimeError, OSError, EOFError) as error:
            raise CheckpointError(f"{path}: cannot be unpacked ({error}); download it again.") from error


def _pick(files: Mapping[str, Path], path: Path) -> dict[str, bytes]:
    try:
        return {kind: files[_last(list(files), kind, path)].read_bytes() for kind in (WEIGHTS, CONFIG)}
    except OSError as error:
        raise CheckpointError(f"{path}: {error.filename} cannot be read ({error.strerror}).") from error


def _last(names: list[str], kind: str, path: Path) -> str:
    """The member called `kind` that is nearest to the top; of several there, the last, as upstream takes it."""
    names = [name for name in names if not name.startswith("__MACOSX")]
    found = [name for name in names if PurePosixPath(name).name == kind]
    if not found and kind == WEIGHTS:
        found = sorted((n for n in names if _OLD_WEIGHTS.fullmatch(PurePosixPath(n).name)), key=_epoch)
    if not found:
        raise CheckpointError(
            f"{path} holds no {kind}. A published ALIGNN model is a folder or zip with {WEIGHTS} and {CONFIG}; other "
            "models are single .safetensors files."
        )
    depth = min(len(PurePosixPath(name).parts) for name in found)
    return [name for name in found if len(PurePosixPath(name).parts) == depth][-1]


def _epoch(name: str) -> int:
    match = _OLD_WEIGHTS.fullmatch(PurePosixPath(name).name)
    return int(match[1]) if match else -1


def _parse_config(content: bytes, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(content)
    except ValueError as error:
        raise CheckpointError(f"{path}: {CONFIG} is not JSON ({error}).") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict) or "name" not in config["model"]:
        raise CheckpointError(f"{path}: {CONFIG} describes no model; expected the config that ALIGNN's trainer wrote.")
    return config


def _parse_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0].split(". ")[0]
        raise CheckpointError(
            f"{path}: {WEIGHTS} holds something else than weights, or is damaged ({reason}). Nothing in it was run."
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]  # beside the state of an optimizer
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: {WEIGHTS} holds a {type(state).__name__}; expected a state dict of tensors.")
    return dict(state)
