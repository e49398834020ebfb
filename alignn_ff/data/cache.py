"""Structures and graphs kept on disk: where, what they were made from, and how large they may get."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple
from weakref import finalize

from filelock import AcquireReturnProxy, FileLock

from alignn_ff._version import __version__
from alignn_ff.checkpoint import file_sha256
from alignn_ff.data import id_prop, jarvis
from alignn_ff.data.packing import PACKING, pack_edges
from alignn_ff.data.properties import PropertyKeys
from alignn_ff.data.records import Records, RecordsTooLargeError, write_records
from alignn_ff.data.sources import Keys, Sample, each_of_all, read_all
from alignn_ff.data.streamed import Outline, StreamedSamples, opened, packed
from alignn_ff.errors import OutputWriteError
from alignn_ff.files import discard_drafts
from alignn_ff.graph import Topology
from alignn_ff.neighbors import connect
from alignn_ff.progress import track

log = logging.getLogger(__name__)

IN_MEMORY_BYTES = 100_000_000
"""Data files larger than this together are streamed unless told: as tensors they take about twenty times the room."""

Reader = Callable[[Sequence[str | Path], Any], Iterator[Sample]]
"""What gives the samples of some files, whose labels are called as the keys say."""

_STRUCTURES, _GRAPHS = "_structures.lmdb", "_graphs.lmdb"
_ESTIMATED_FROM = 200
_NO_LIMIT = float("inf")


class Storage(NamedTuple):
    """Whether and where data are kept on disk.

    Attributes:
        on_disk: None leaves it to the size of the files, see `IN_MEMORY_BYTES`.
        folder: kept when the work is done; None takes one of its own beside `near`, removed with the data.
        near: the output of the work.
        keep: refuse what lies in `folder` and was made from something else; else it is made anew.
        limit_gb: graphs larger than this are not kept.
        progress: draw a bar.
    """

    on_disk: bool | None
    folder: Path | None
    near: Path
    keep: bool
    limit_gb: float
    progress: bool = False


def is_streamed(files: Sequence[str | Path], storage: Storage) -> bool:
    """Whether the samples of these files stay on disk."""
    if storage.on_disk is not None:
        return storage.on_disk
    paths = [path for file in files for path in id_prop.files_of(id_prop.find(Path(file)))]
    return sum(path.stat().st_size for path in paths if path.is_file()) > IN_MEMORY_BYTES


def stored_samples(
    files: Sequence[str | Path], keys: Keys | PropertyKeys, storage: Storage, name: str, each: Reader = each_of_all
) -> StreamedSamples:
    """Samples of some files, packed on disk under `name` and read from there.

    Args:
        each: what reads them.
    Raises:
        DataError: as `each`.
        CacheError: what lies there is no cache, or was made from something else and is to be kept.
        OutputWriteError: the disk is full, or the folder not writable.
    """
    origin = {
        "packing": PACKING,
        "alignn_ff": __version__,
        "labels": keys._asdict(),
        "files": [_content(file) for file in files],
    }

    def write(path: Path) -> None:
        outline = Outline()
        with track("packing structures", None, show=storage.progress) as advance:
            records = _counted(packed(each(files, keys), outline), advance)
            write_records(path, origin, records, limit=_NO_LIMIT, notes=vars(outline))

    with ExitStack() as undo:
        folder = _folder(storage)
        if storage.folder is None:
            undo.callback(_remove, folder, os.getpid())
        records = _made(folder / f"{name}{_STRUCTURES}", origin, write, storage)
        undo.pop_all()
    if storage.folder is None:
        finalize(records, _remove, folder, os.getpid())
    return opened(records)


def held_or_stored(files: Sequence[str | Path], keys: Keys, near: Path) -> Sequence[Sample]:
    """Samples of some files, in memory; on disk, beside `near` and while they are used, where they are too large.

    Raises:
        DataError, OutputWriteError: see `stored_samples`.
    """
    storage = Storage(on_disk=None, folder=None, near=near, keep=False, limit_gb=0.0)
    return stored_samples(files, keys, storage, "data") if is_streamed(files, storage) else read_all(files, keys)


class GraphRule(NamedTuple):
    """What decides the edges and angles of a structure; as in `neighbors.connect`."""

    cutoff: float
    angle_cutoff: float | None
    topology: Topology


def stored_graphs(samples: StreamedSamples, rule: GraphRule, storage: Storage) -> Records | None:
    """Edges and angles of all samples, kept on disk beside their structures; None where they exceed the bound.

    Raises:
        CacheError, OutputWriteError: as `stored_samples`.
    """
    whole = opened(samples.records)
    limit = storage.limit_gb * 1e9
    origin = {
        "structures": sha256(repr(samples.records.origin).encode()).hexdigest(),
        "count": len(whole),
        "packing": PACKING,
        "vesin": metadata.version("vesin"),
        "cutoff": rule.cutoff,
        "angle_cutoff": rule.angle_cutoff,
        "topology": rule.topology._asdict(),
    }
    path = samples.records.path.with_name(samples.records.path.name.replace(_STRUCTURES, _GRAPHS))

    def edges(index: int) -> bytes:
        graph = whole[index].graph
        return pack_edges(connect(graph, rule.cutoff, angle_cutoff=rule.angle_cutoff, topology=rule.topology))

    def write(path: Path) -> None:
        with track("finding edges", len(whole), show=storage.progress) as advance:
            records = _counted(map(edges, range(len(whole))), advance)
            write_records(path, origin, records, limit=limit, notes={})

    found = _there(path, origin, storage)
    if found is not None:
        return found
    some = range(0, len(whole), max(1, len(whole) // _ESTIMATED_FROM))
    expected = sum(len(edges(index)) for index in some) * len(whole) / len(some)
    with suppress(RecordsTooLargeError):  # where the estimate was too low
        if expected <= limit:
            return _made(path, origin, write, storage)
    log.warning(
        "graphs of %d structures would take about %.3g GB, more than cache_limit_gb %g: structures alone are kept on "
        "disk, edges found anew each time",
        *(len(whole), expected / 1e9, storage.limit_gb),
    )
    return None


def _made(path: Path, origin: dict[str, Any], write: Callable[[Path], None], storage: Storage) -> Records:
    """The records at `path`; made now, by one process at a time, unless they are there and fit."""
    found = _there(path, origin, storage)
    if found is not None:
        return found
    with _locked(path):
        found = _there(path, origin, storage)  # another process may have made it meanwhile
        if found is not None:
            return found
        discard_drafts(path)
        write(path)
        return Records(path)


def _locked(path: Path) -> AcquireReturnProxy:
    """To be held by one process at a time."""
    try:
        return FileLock(f"{path}.lock").acquire()
    except OSError as error:
        raise OutputWriteError(f"{path}: cannot be written ({error.strerror}). Choose another cache_dir.") from error


def _there(path: Path, origin: dict[str, Any], storage: Storage) -> Records | None:
    if not path.is_file():
        return None
    records = Records(path)
    if storage.keep:
        records.check(origin)
    return records if records.fits(origin) else None


def _counted(records: Iterable[bytes], advance: Callable[..., None]) -> Iterator[bytes]:
    for record in records:
        yield record
        advance()


def _remove(folder: Path, owner: int) -> None:
    """Remove a folder, unless in a process forked from the one that made it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(storage: Storage) -> Path:
    try:
        if storage.folder is not None:
            storage.folder.mkdir(parents=True, exist_ok=True)
            return storage.folder
        storage.near.parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f".{storage.near.name}.cache-", dir=storage.near.parent))
    except OSError as error:
        raise OutputWriteError(
            f"no folder for the cache: {error.filename}: {error.strerror}. Set cache_dir."
        ) from error


def _content(source: str | Path) -> dict[str, Any]:
    """What tells the content of one source from another, wherever they lie."""
    if jarvis.is_named(source):
        return {"name": str(source), "file": jarvis.file_name(str(source))}
    path = id_prop.find(Path(source))
    if not path.is_file():
        return {"name": path.name}  # its reader says what is wrong with it
    own: dict[str, Any] = {"name": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
    _, *others = id_prop.files_of(path)
    if others:  # their contents need not be read to tell that they changed
        stamps = [(p.name, s.st_size, s.st_mtime_ns) for p in others if p.is_file() for s in [p.stat()]]
        own["structures"] = sha256(repr(stamps).encode()).hexdigest()
    return own
