"""States of a run, from which a resumed one goes on: the last, and the one before in case that is damaged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from alignn_ff.errors import CheckpointError
from alignn_ff.files import atomic_path

log = logging.getLogger(__name__)

STATE = "resume.pt"
_STATE_BEFORE = "resume_before.pt"


def keep_state(folder: Path, state: Mapping[str, Any]) -> None:
    """A state to resume from, in place of the last one, which is kept as the one before."""
    path = folder / STATE
    with atomic_path(path) as draft:
        _write_state(state, draft)
        if path.is_file():
            path.replace(folder / _STATE_BEFORE)


def last_state(folder: Path) -> dict[str, Any]:
    """The last state that can be read.

    Raises:
        CheckpointError: none can.
    """
    for name in (STATE, _STATE_BEFORE):
        path = folder / name
        if not path.is_file():
            continue
        if _is_whole(path):
            return torch.load(path, weights_only=True)
        log.warning("%s is damaged; going on from the state before it, if there is one", path)
    raise CheckpointError(
        f"{folder}: neither {STATE} nor {_STATE_BEFORE} can be read: the run cannot be gone on with. Its "
        "models are there: start a new run from one (`start_from: current_model.safetensors`)."
    )


def is_started(folder: Path) -> bool:
    """Whether a run stands there that can be gone on with."""
    return any((folder / name).is_file() for name in (STATE, _STATE_BEFORE))


def check_started(folder: Path) -> None:
    """Say no where there is no run to go on with.

    Raises:
        CheckpointError: nothing there to resume.
    """
    if not is_started(folder):
        raise CheckpointError(f"{folder}: no {STATE} in it; there is no run to resume. Leave out --resume.")


def forget_states(folder: Path) -> None:
    """Remove the states of an earlier run."""
    for name in (STATE, _STATE_BEFORE):
        (folder / name).unlink(missing_ok=True)


def _write_state(state: Mapping[str, Any], draft: Path) -> None:
    """A failed write is an OSError, which torch calls otherwise."""
    try:
        torch.save(state, draft)
    except RuntimeError as error:
        raise OSError(str(error)) from error


def _is_whole(path: Path) -> bool:
    """Whether every part of what `torch.save` wrote, a zip archive, has its checksum."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (BadZipFile, EOFError, NotImplementedError, OSError):
        return False
