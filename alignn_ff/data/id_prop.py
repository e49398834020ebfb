"""Data sets as upstream ALIGNN keeps them: id_prop.json, plain or zipped, or id_prop.csv beside files of structures."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from ase import Atoms

from alignn_ff.data.json_list import each_element
from alignn_ff.errors import DataError, StructureError
from alignn_ff.io import from_jarvis, read_frames

NAMES = ("id_prop.json.zip", "id_prop.json", "id_prop.csv")
"""What such files are called, in the order that upstream looks for them in a folder."""

ABSENT = (None, "na", "NA", "nan", "")
"""How these data sets say that a structure has no label."""


class Record(NamedTuple):
    """One entry of an id_prop.json: its jid, its structure, and all its fields."""

    key: str
    atoms: Atoms
    fields: Mapping[str, Any]


class Row(NamedTuple):
    """One line of an id_prop.csv: the name and the structure of the file, and its labels, None where one is absent."""

    key: str
    atoms: Atoms
    values: list[str] | None


def find(path: Path) -> Path:
    """The data set in a folder; `path` itself where it is a file or holds none."""
    return next((path / name for name in NAMES if (path / name).is_file()), path)


def is_json(path: Path) -> bool:
    """Whether a file is called as an id_prop.json is, plain or zipped."""
    return path.name.startswith("id_prop") and path.name.endswith((".json", ".json.zip"))


def is_csv(path: Path) -> bool:
    """Whether a file is called as an id_prop.csv is."""
    return path.suffix == ".csv"


def read_records(path: Path) -> Iterator[Record]:
    """Every record of an id_prop.json.

    Raises:
        DataError: not JSON, no list of records, or a record without a structure.
    """
    try:
        with _text(path) as text:
            yield from records_of(each_element(text), path)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from error
    except TypeError as error:
        raise DataError(f"{path}: holds a {error}; expected a list of records with jid and atoms.") from error


def records_of(elements: Iterable[Any], source: str | Path) -> Iterator[Record]:
    """What an id_prop.json holds, element by element, as records.

    Raises:
        DataError: one without a structure.
    """
    for place, element in enumerate(elements):
        yield _record(element, place, source)


def read_rows(path: Path) -> Iterator[Row]:
    """Every line `file,value[,value…]` of an id_prop.csv, with the last structure of the file.

    Raises:
        DataError: a line without a value, or a file that is not there or cannot be read.
    """
    for name, values in _lines(path):
        yield Row(name, _last_frame(path.parent / name), None if set(values) & set(ABSENT) else values)


def files_of(path: Path) -> list[Path]:
    """A data set's own file, and those of structures that an id_prop.csv names."""
    return [path, *(path.parent / name for name, _ in _lines(path))] if is_csv(path) and path.is_file() else [path]


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        for number, line in enumerate(csv.reader(file), start=1):
            if not line:
                continue
            name, *values = (cell.strip() for cell in line)
            if not values:
                raise DataError(f"{path}: line {number} is {name!r}; expected a file name and a value, with a comma.")
            yield name, values


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".zip":
        with path.open(encoding="utf-8") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive, archive.open("id_prop.json") as packed:
            yield TextIOWrapper(packed, encoding="utf-8")
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{path}: no zip file with id_prop.json in it ({error}).") from error


def _record(record: Any, place: int, path: str | Path) -> Record:
    if not isinstance(record, Mapping):
        raise DataError(
            f"{path}: record {place} is a {type(record).__name__}; expected a dictionary with jid and atoms."
        )
    key = str(record.get("jid", record.get("id", place)))
    if "atoms" not in record:
        raise DataError(f"{path}: record {key} has no `atoms`; it carries {', '.join(record)}.")
    try:
        return Record(key, from_jarvis(record["atoms"]), record)
    except StructureError as error:
        raise DataError(f"{path}: record {key}: {error}") from error


def _last_frame(path: Path) -> Atoms:
    try:
        frame = read_frames(path, "-1")
    except StructureError as error:
        raise DataError(str(error)) from error
    return frame[-1] if isinstance(frame, list) else frame
