"""A JSON list read piece by piece is the list, and what is none is told."""

from __future__ import annotations

import io
import json

import pytest

from alignn_ff.data import json_list

LISTS = [
    [],
    [{}],
    [{"a": [1, 2, {"b": '],[}{\\"'}]}, {"c": None}],
    [{"jid": str(i), "coords": [[0.1 * i, -1e-7, 3.0]] * i} for i in range(30)],
    [12, 3456, "text, with ] and \n", True, [[]]],
]


@pytest.mark.parametrize("chunk", [3, 7, 64, 1 << 22])
@pytest.mark.parametrize("elements", LISTS, ids=range(len(LISTS)))
@pytest.mark.parametrize("indent", [None, 2])
def test_elements_are_those_of_the_list(monkeypatch, chunk, elements, indent):
    monkeypatch.setattr(json_list, "_CHUNK", chunk)
    text = "\n " + json.dumps(elements, indent=indent) + "  \n"
    assert list(json_list.each_element(io.StringIO(text))) == elements


@pytest.mark.parametrize("text", ["", "[", "[1", "[1,", "[1,]", "[1 2]", '[{"a": 1}, {"b"]', "[1] [2]", "[1]]", "{"])
@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_what_is_no_json_is_told(monkeypatch, text, chunk):
    monkeypatch.setattr(json_list, "_CHUNK", max(chunk, 2))
    with pytest.raises(ValueError):
        list(json_list.each_element(io.StringIO(text)))


@pytest.mark.parametrize(("text", "kind"), [('{"a": 1}', "dict"), ("3", "int"), ('"a"', "str")])
def test_json_of_another_kind_is_named(text, kind):
    with pytest.raises(TypeError, match=kind):
        list(json_list.each_element(io.StringIO(text)))


def test_only_a_part_is_held(monkeypatch):
    class Counted(io.StringIO):
        read_so_far = 0

        def read(self, size=-1):
            assert size > 0
            self.read_so_far += size
            return super().read(size)

    monkeypatch.setattr(json_list, "_CHUNK", 100)
    file = Counted(json.dumps([{"a": i} for i in range(1000)]))
    elements = json_list.each_element(file)
    assert [next(elements)["a"] for _ in range(10)] == list(range(10))
    assert file.read_so_far <= 400
