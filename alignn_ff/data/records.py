"""Numbered records in one LMDB file that says what it was made from; written whole or not at all, then only read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb

from alignn_ff.errors import CacheError
from alignn_ff.files import atomic_path

_ORIGIN, _COUNT, _NOTES = b"made from", b"count", b"notes"
_FIRST_MAP = 1 << 26
_TOGETHER = 256
_READ_BEFORE_REOPENING = 64 << 20
"""Bytes. Pages of a mapped file count as memory of the process until the map is given up."""


class RecordsTooLargeError(CacheError):
    """Records that outgrew the bound set for them; nothing of them was left."""


def write_records(
    path: Path, origin: Mapping[str, Any], records: Iterable[bytes], *, limit: float, notes: dict[str, Any]
) -> None:
    """Write records under numbers from 0.

    Args:
        origin: what they are made from, see `Records.check`.
        limit: bytes in all.
        notes: kept beside them; read when the last record was taken, so that it may be filled on the way.
    Raises:
        RecordsTooLargeError: they are larger than `limit`.
        OutputWriteError: the disk is full or the folder is not writable.
    """
    with atomic_path(path) as draft:
        environment = lmdb.open(str(draft), subdir=False, lock=False, map_size=_FIRST_MAP, sync=False)
        try:
            count = size = 0
            for together in _batched(records):
                size += sum(map(len, together))
                if size > limit:
                    raise RecordsTooLargeError(f"{path}: more than {limit / 1e9:.3g} GB; the bound set for it.")
                _put(environment, [(_name(count + i), record) for i, record in enumerate(together)])
                count += len(together)
            facts = {_COUNT: count, _NOTES: notes, _ORIGIN: origin}
            _put(environment, [(name, json.dumps(value).encode()) for name, value in facts.items()])
            environment.sync(True)
        except lmdb.Error as error:
            raise OSError(str(error)) from error
        finally:
            environment.close()


class Records(Sequence[bytes]):
    """What `write_records` wrote; may go to other processes, by fork or pickled."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            CacheError: it is no file of records.
        """
        self.path = path
        self._map = _mapped(path)
        facts = [self._map.get(name) for name in (_ORIGIN, _COUNT, _NOTES)]
        if any(fact is None for fact in facts):
            raise CacheError(f"{path} is an LMDB file of something else; choose another `cache_dir`.")
        self.origin, self._count, self.notes = (json.loads(fact) for fact in facts if fact is not None)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._map.get(_name(number))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map = _mapped(self.path)

    def fits(self, origin: Mapping[str, Any]) -> bool:
        """Whether the records were made from this."""
        return not self._other(origin)

    def check(self, origin: Mapping[str, Any]) -> None:
        """Say no where the records were made from something else.

        Raises:
            CacheError: names what differs.
        """
        other = self._other(origin)
        if other:
            raise CacheError(
                f"{self.path} was made from other data or with other settings: {'; '.join(other)}. Have it made anew "
                "(read_existing: false), or choose another cache_dir."
            )

    def _other(self, origin: Mapping[str, Any]) -> list[str]:
        return list(_differences(self.origin, json.loads(json.dumps(origin)), ""))


class _Map:
    """A file mapped into memory once a process; LMDB does not bear a second map of it."""

    def __init__(self, path: Path, identity: tuple[int, int]) -> None:
        self._path = path
        self._identity = identity
        self._open()

    def get(self, name: bytes) -> bytes | None:
        if self._read > _READ_BEFORE_REOPENING:
            self._environment.close()
            self._open()
        with self._environment.begin() as transaction:
            found = transaction.get(name)
        self._read += len(found or b"")
        return found

    def _open(self) -> None:
        if _identity(self._path) != self._identity:
            raise CacheError(
                f"{self._path} was replaced while it was read. Give runs on different data a cache_dir each, and start "
                "again."
            )
        try:
            self._environment = lmdb.open(str(self._path), subdir=False, lock=False, readonly=True, readahead=False)
        except lmdb.Error as error:
            raise CacheError(f"{self._path} is damaged, or no cache ({error}). Remove it; it is made anew.") from error
        last_page, page = self._environment.info()["last_pgno"], self._environment.stat()["psize"]
        if (last_page + 1) * page > self._path.stat().st_size:
            self._environment.close()
            raise CacheError(f"{self._path} is cut short. Remove it; it is made anew.")
        self._read = 0


_MAPS: WeakValueDictionary[tuple[int, int], _Map] = WeakValueDictionary()


def _mapped(path: Path) -> _Map:
    identity = _identity(path)
    found = _MAPS.get(identity)
    if found is None:
        found = _MAPS[identity] = _Map(path, identity)
    return found


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise CacheError(f"{path} cannot be read ({error.strerror}). Was the cache removed during the run?") from error
    return status.st_dev, status.st_ino


def _name(number: int) -> bytes:
    return b"%012d" % number


def _batched(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    source = iter(records)
    while together := list(islice(source, _TOGETHER)):
        yield together


def _put(environment: lmdb.Environment, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Write some items in one go, into a map that grows as they need."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for name, record in items:
                    transaction.put(name, record)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _differences(there: Any, asked: Any, place: str) -> Iterator[str]:
    """Each value that is not the same in both, with the names that lead to it."""
    if not (isinstance(there, dict) and isinstance(asked, dict)):
        if there != asked:
            yield f"{place} is {there!r} there, {asked!r} asked for"
        return
    for name in sorted({*there, *asked}):
        yield from _differences(there.get(name), asked.get(name), f"{place}.{name}" if place else name)
