"""A model comes from the network into the cache: one process at a time, from the first address that has it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pooch
from filelock import FileLock, Timeout

from alignn_ff.errors import DownloadError, OutputWriteError
from alignn_ff.pretrained.checksum import expected_sha256, is_sound, origin
from alignn_ff.pretrained.patience import Patience
from alignn_ff.pretrained.registry import CACHE, Entry
from alignn_ff.pretrained.resume import MirrorError, ResumingDownloader

logger = logging.getLogger(__name__)


def download(entry: Entry, patience: Patience, progress: bool | None = None) -> None:
    """Bring the weights of `entry` to `entry.path`, whole and verified, or not at all.

    Args:
        progress: draw a bar; None draws one where standard error is a terminal.
    Raises:
        DownloadError: no address gave the file; the message tells what each of them did.
        OutputWriteError: the cache cannot be written.
    """
    show = sys.stderr.isatty() if progress is None else progress
    try:
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(entry):
            if not is_sound(entry):  # another process may have brought it meanwhile
                _from_any_address(entry, patience, show)
    except OSError as error:
        raise OutputWriteError(
            f"model {entry.name} cannot be written to {entry.path.parent} ({error.strerror or error}). What has "
            f"arrived is kept and not downloaded again. Free some space, or name another folder in {CACHE}."
        ) from error


@contextmanager
def _alone(entry: Entry) -> Iterator[None]:
    """No other process downloads this model meanwhile; the system frees the lock of one that dies."""
    lock = FileLock(entry.path.with_name(f"{entry.file}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another process downloads model %s; waiting for it", entry.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _from_any_address(entry: Entry, patience: Patience, show: bool) -> None:
    failures: dict[str, MirrorError] = {}
    for rounds in range(patience.attempts):
        hopeful = [url for url in entry.urls if url not in failures or failures[url].passing]
        if not hopeful:
            break
        patience.rest(rounds)
        for url in hopeful:
            failure = _from_address(entry, url, patience, show)
            if failure is None:
                return
            failures[url] = failure
    raise DownloadError(
        f"model {entry.name} could not be downloaded. {'; '.join(f'{url}: {why}' for url, why in failures.items())}. "
        f"Check the network and try again, or copy the file to {entry.path} by other means.{origin(entry)}"
    )


def _from_address(entry: Entry, url: str, patience: Patience, show: bool) -> MirrorError | None:
    """None once the file is in its place, else what went wrong."""
    expected = expected_sha256(entry)
    downloader = ResumingDownloader(
        entry.path.with_name(f"{entry.file}.part"),
        sha256=expected,
        size=entry.size,
        timeout_s=patience.timeout_s,
        progress=show,
    )
    cache = pooch.Pooch(
        path=entry.path.parent,
        base_url="",
        registry={entry.file: expected and f"sha256:{expected}"},
        urls={entry.file: url},
    )
    logger.info("downloading model %s from %s to %s", entry.name, url, entry.path)
    try:
        with _silenced(pooch.get_logger()):
            cache.fetch(entry.file, downloader=downloader)
    except MirrorError as error:
        logger.info("%s: %s", url, error)
        return error
    return None


@contextmanager
def _silenced(other: logging.Logger) -> Iterator[None]:
    """Nothing from a logger that writes to standard error by itself; this package's own says it instead."""
    level = other.level
    other.setLevel(logging.WARNING)
    try:
        yield
    finally:
        other.setLevel(level)
