"""The elements of a JSON list one after the other, however long it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

_CHUNK = 1 << 22


def each_element(file: TextIO) -> Iterator[Any]:
    """The elements of a JSON list; only a part of its text is in memory.

    Raises:
        TypeError: it is JSON of another kind, which the error names.
        ValueError: no JSON, once that is reached.
    """
    text = file.read(_CHUNK)
    if text.lstrip()[:1] != "[":
        raise TypeError(type(json.loads(text + file.read())).__name__)
    decoder, place, first = json.JSONDecoder(), text.index("[") + 1, True
    while True:
        found = _next(decoder, text, place, first)
        if found is not None:
            element, place, last = found
            if element is not _END:
                yield element
            if last:
                _check_nothing_follows(text[place:] + file.read())
                return
            first = False
        elif more := file.read(max(_CHUNK, len(text))):
            text, place = text[place:] + more, 0
        else:
            json.loads("[" + text[place:])  # says what is wrong with it
            raise ValueError("it ends within the list")


_END = object()


def _next(decoder: json.JSONDecoder, text: str, place: int, first: bool) -> tuple[Any, int, bool] | None:
    """The element at `place`, where what follows begins, and whether it was the last; None where the text ends."""
    place = _past_space(text, place)
    if first and text[place : place + 1] == "]":
        return _END, place + 1, True
    try:
        element, end = decoder.raw_decode(text, place)
    except json.JSONDecodeError:
        return None
    end = _past_space(text, end)
    follows = text[end : end + 1]
    return (element, end + 1, follows == "]") if follows in (",", "]") else None


def _check_nothing_follows(rest: str) -> None:
    if rest.strip():
        raise ValueError(f"after the list comes {rest.strip()[:20]!r}")


def _past_space(text: str, place: int) -> int:
    while text[place : place + 1].isspace():
        place += 1
    return place
