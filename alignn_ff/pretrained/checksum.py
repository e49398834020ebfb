"""Which SHA-256 the weights of a model must have, and whether they have it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from alignn_ff.checkpoint import file_sha256
from alignn_ff.errors import CheckpointError
from alignn_ff.files import write_text
from alignn_ff.pretrained.registry import FIRST_USE, Entry

logger = logging.getLogger(__name__)


def expected_sha256(entry: Entry) -> str | None:
    """The checksum in the registry or, for `first-use`, the one that was recorded; None before the first use.

    Raises:
        CheckpointError: a record that is not a checksum.
    """
    if entry.sha256 != FIRST_USE:
        return entry.sha256
    record = record_path(entry)
    if not record.is_file():
        return None
    recorded = record.read_text(encoding="utf-8", errors="replace").partition(" ")[0].strip()
    if not re.fullmatch("[0-9a-f]{64}", recorded):
        raise CheckpointError(f"{record}: not the checksum of {entry.name} that was recorded there. Delete the file.")
    return recorded


def is_sound(entry: Entry) -> bool:
    """The weights are here, and nothing speaks against them."""
    return entry.path.is_file() and expected_sha256(entry) in (None, file_sha256(entry.path))


def check(entry: Entry) -> None:
    """The weights are here and have the checksum they must have.

    Raises:
        CheckpointError: they are missing, or have another checksum.
    """
    if not entry.path.is_file():
        raise CheckpointError(f"model {entry.name}: {entry.path} is missing. {_remedy(entry)}")
    seen, expected = file_sha256(entry.path), expected_sha256(entry)
    if expected not in (None, seen):
        raise CheckpointError(
            f"model {entry.name}: {entry.path} has SHA-256 {seen}; expected {expected}. {_remedy(entry)}{origin(entry)}"
        )


def trust(entry: Entry) -> None:
    """Record the checksum of weights whose entry says `first-use`; from now on they must have it.

    Raises:
        OutputWriteError: the cache cannot be written.
    """
    seen = file_sha256(entry.path)
    record = record_path(entry)
    write_text(record, f"{seen}  {entry.file}\n")
    logger.warning(
        "model %s has no published checksum. This first copy has SHA-256 %s, recorded in %s: from now on it must "
        "have it. Whether this copy is the right one, nothing has checked.",
        *(entry.name, seen, record),
    )


def record_path(entry: Entry) -> Path:
    """Where the checksum of a `first-use` model is recorded, in the form that `sha256sum --check` reads."""
    return entry.path.with_name(f"{entry.file}.sha256")


def origin(entry: Entry) -> str:
    """A sentence for messages: where the checksum was recorded; nothing where the registry states it."""
    if entry.sha256 != FIRST_USE or not record_path(entry).is_file():
        return ""
    return (
        f" The checksum was recorded at first use in {record_path(entry)}; delete that record if the publisher "
        "replaced the file and you trust the new one."
    )


def _remedy(entry: Entry) -> str:
    return {
        "embedded": "The installation is damaged. Install alignn-ff again.",
        "local": f"Correct the registry in {entry.folder}, or put the right file there.",
    }.get(entry.whereabouts, f"Run `alignn-ff models download {entry.name}`.")
