"""The weights of a model on this machine: already here, or downloaded unless that is forbidden."""

from __future__ import annotations

import os
from pathlib import Path

from alignn_ff.errors import ConfigError, DownloadError
from alignn_ff.pretrained.checksum import check, expected_sha256, is_sound, trust
from alignn_ff.pretrained.patience import Patience
from alignn_ff.pretrained.registry import Entry

OFFLINE = "ALIGNN_FF_OFFLINE"
"""Environment variable: 1 forbids every download."""

_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def fetch_weights(
    entry: Entry, *, offline: bool | None = None, patience: Patience | None = None, progress: bool | None = None
) -> Path:
    """The verified weights of `entry`; a sound file that is here already is left alone.

    Args:
        offline: True uses no network, False may; None asks `ALIGNN_FF_OFFLINE`.
        patience: limits of a download; None for the usual ones.
        progress: draw a bar; None draws one where standard error is a terminal.
    Raises:
        CheckpointError: weights with a wrong checksum that cannot be downloaded anew.
        DownloadError: not here while offline, or no address gave the file.
        OutputWriteError: the cache cannot be written.
    """
    if not entry.urls:
        check(entry)
        return entry.path
    if not is_sound(entry):
        if is_offline() if offline is None else offline:
            _refuse(entry)
        from alignn_ff.pretrained.download import download  # here: pooch, for those who download

        download(entry, patience or Patience(), progress)
    if expected_sha256(entry) is None:
        trust(entry)
    return entry.path


def is_offline() -> bool:
    """Whether `ALIGNN_FF_OFFLINE` forbids the network.

    Raises:
        ConfigError: it is neither a yes nor a no.
    """
    said = os.environ.get(OFFLINE, "").strip().lower()
    if said not in _YES + _NO:
        raise ConfigError(f"{OFFLINE} is {said!r}; expected 1 (no network) or 0.")
    return said in _YES


def _refuse(entry: Entry) -> None:
    if entry.path.is_file():
        check(entry)
    raise DownloadError(
        f"model {entry.name} is not on this machine, and offline mode is on. Where there is a network, run "
        f"`alignn-ff models download {entry.name}`; or copy its file to {entry.path}."
    )
