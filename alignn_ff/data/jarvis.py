"""Data sets by the name that jarvis-tools knows them by, as in `jarvis:dft_3d`; it downloads each of them once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any
from zipfile import BadZipFile

from alignn_ff.data.id_prop import Record, records_of
from alignn_ff.errors import ConfigError, DownloadError, did_you_mean

_PREFIX = "jarvis:"


def is_named(source: object) -> bool:
    """Whether a source is such a name, not a file."""
    return str(source).startswith(_PREFIX)


def file_name(source: str) -> str:
    """What jarvis-tools calls the present version of a data set.

    Raises:
        ConfigError: jarvis-tools is not installed, or knows no such data set.
    """
    name, _, table = _known(source)
    return str(table[name][1])


def read_named(source: str) -> Iterator[Record]:
    """Every record of a data set.

    Raises:
        ConfigError: jarvis-tools is not installed, or knows no such data set.
        DownloadError: no network, or what came is damaged.
        DataError: a record without a structure.
    """
    name, data, table = _known(source)
    try:
        with redirect_stdout(io.StringIO()):  # it tells its steps there
            found = data(name)
    except OSError as error:  # of requests, too
        raise DownloadError(
            f"{source} could not be downloaded from {table[name][0]} ({error}). Download it elsewhere, unpack it and "
            "give the file, named id_prop.json, as `data`."
        ) from error
    except (BadZipFile, KeyError, ValueError) as error:
        raise DownloadError(
            f"{source}: {table[name][1]}.zip, as jarvis-tools keeps it, is damaged ({error}); an earlier download may "
            "have been cut short. Remove it and start again."
        ) from error
    yield from records_of(found, source)


def _known(source: str) -> tuple[str, Callable[..., Any], dict[str, Any]]:
    """Name of a data set, what loads one, and the table of all."""
    try:
        from jarvis.db.figshare import data, get_db_info
    except ImportError as error:
        raise ConfigError(f"{source} needs jarvis-tools: pip install 'alignn-ff[jarvis]'.") from error
    name, table = source.removeprefix(_PREFIX), get_db_info()
    if name not in table:
        raise ConfigError(f"jarvis-tools knows no data set {name!r}{did_you_mean(name, table)}: {', '.join(table)}.")
    return name, data, table
