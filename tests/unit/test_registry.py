"""What the registry says is checked before anybody acts on it; what the package embeds is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pooch
import pytest

from alignn_ff.checkpoint import file_sha256, save_checkpoint
from alignn_ff.errors import CheckpointError, ConfigError, ModelNotFoundError
from alignn_ff.models.layers.features import known_elements
from alignn_ff.pretrained import default_model, entries, find, load_potential
from alignn_ff.pretrained.registry import CACHE, FIRST_USE, USER_REGISTRY, cache_folder, elements_of
from tests.conftest import random_potential
from tests.model_server import entry_fields, write_registry

MEGABYTE = 1_000_000

SECTIONS = ("data", "level of theory", "elements", "errors", "speed", "limits", "licence", "how to cite")
"""What a model card has to say, each under a heading that begins so."""

EMBEDDED = [entry for entry in entries().values() if entry.whereabouts == "embedded"]

URL = "https://models.example/model.bin"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a registry of the user's own, empty until then."""
    path = write_registry(tmp_path / "own.toml")
    monkeypatch.setenv(USER_REGISTRY, str(path))
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return lambda **entries: write_registry(path, **entries)


def headings(card: str) -> list[str]:
    return [text.strip().lower() for text in re.findall(r"^#+ (.*)$", card, flags=re.MULTILINE)]


def absent_sections(card: str) -> list[str]:
    """Sections that no heading of a card begins with."""
    return [name for name in SECTIONS if not any(heading.startswith(name) for heading in headings(card))]


@pytest.mark.parametrize("entry", EMBEDDED, ids=lambda entry: entry.name)
def test_embedded_weights_are_small_and_the_registered_ones(entry):
    assert entry.path.stat().st_size <= 12 * MEGABYTE
    assert file_sha256(entry.path) == entry.sha256
    assert entry.level_of_theory and entry.licence and entry.description


@pytest.mark.parametrize("entry", EMBEDDED, ids=lambda entry: entry.name)
def test_embedded_model_has_a_complete_card(entry):
    assert not absent_sections(entry.card_path.read_text(encoding="utf-8"))


def test_an_absent_section_would_be_seen():
    card = "# x\n\nSpeed is good.\n\n" + "\n".join(f"## {name.capitalize()} of it" for name in SECTIONS[:4])
    assert absent_sections(card) == list(SECTIONS[4:])


def test_every_model_of_the_package_has_a_card():
    assert all(entry.card_path is not None and entry.card_path.is_file() for entry in entries().values())


def test_published_force_fields_are_known_by_name():
    published = [entry for entry in entries().values() if entry.card == "published.md"]
    assert {"matpes_r2scan", "matpes_pbe", "mps", "dft_3d_307k"} < {entry.name for entry in published}
    for entry in published:
        assert entry.sha256 == FIRST_USE and entry.file == f"{entry.name}.zip"
        assert list(entry.elements) == known_elements("cgcnn")


def test_the_default_is_embedded_and_loads():
    assert find(default_model()).whereabouts == "embedded"
    assert load_potential().sha256 == find(default_model()).sha256


def test_own_models_come_after_those_of_the_package(own):
    before = list(entries())
    own(mine=entry_fields(b"x", URL), yours=entry_fields(b"x", URL))
    assert list(entries()) == [*before, "mine", "yours"]
    assert default_model() == before[0]
    assert find("mine").whereabouts == "not downloaded"
    assert find("mine").path == cache_folder() / "mine" / "model.bin"
    assert elements_of(find("mine")) == ("Cu",)


def test_own_weights_may_lie_beside_the_registry(own, tmp_path):
    save_checkpoint(tmp_path / "m.safetensors", random_potential())
    own(mine={"file": "m.safetensors", "sha256": file_sha256(tmp_path / "m.safetensors"), "description": "local"})
    entry = find("mine")
    assert entry.whereabouts == "local" and entry.path == tmp_path / "m.safetensors"
    assert elements_of(entry) == random_potential().elements
    assert load_potential("mine").sha256 == entry.sha256
    (tmp_path / "m.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError, match=f"has SHA-256 .*; expected {entry.sha256}. Correct the registry"):
        load_potential("mine")


def test_damaged_embedded_weights_are_a_damaged_installation(tmp_path, monkeypatch):
    entry = find(default_model())
    monkeypatch.setattr("alignn_ff.pretrained.registry._HERE", tmp_path)
    (tmp_path / "registry.toml").write_bytes((entry.folder / "registry.toml").read_bytes())
    (tmp_path / entry.file).write_bytes(entry.path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="installation is damaged"):
        load_potential()
    (tmp_path / entry.file).unlink()
    with pytest.raises(CheckpointError, match=r"is missing\. The installation is damaged"):
        load_potential()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sha256": None}, r"\[mine\]: field `sha256` is missing"),
        ({"sha256": "abc"}, "field `sha256` is 'abc': expected 64 hexadecimal digits"),
        ({"sha256": "A" * 64}, "in lower case"),
        ({"sha256": "first-use", "urls": None}, "give the checksum"),
        ({"url": URL}, "unknown field `url` .did you mean `urls`"),
        ({"urls": ["ftp://models.example/x"]}, "begin with https://"),
        ({"urls": ["file:///etc/passwd"]}, "begin with https://"),
        ({"elements": None}, "must name its `elements`"),
        ({"elements": ["Cu", "Copper"]}, "'Copper': no chemical element"),
        ({"elements": ["X"]}, "'X': no chemical element"),
        ({"file": "../model.bin"}, "no folders"),
        ({"size": 0}, "field `size` is 0"),
    ],
)
def test_an_entry_that_cannot_be_honoured_is_refused(own, fields, message):
    path = own(mine=entry_fields(b"x", URL, **fields))
    with pytest.raises(ConfigError, match=message) as caught:
        load_potential("mine")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "with space"])
def test_a_name_that_is_no_plain_name_is_refused(own, name):
    own(**{name: entry_fields(b"x", URL)})
    with pytest.raises(ConfigError, match="begins with a letter or digit"):
        entries()


def test_names_of_the_package_cannot_be_taken(own):
    own(**{default_model(): entry_fields(b"x", URL)})
    with pytest.raises(ConfigError, match=f"models called {default_model()} already"):
        entries()


def test_a_registry_that_cannot_be_read_says_which(own, tmp_path):
    (tmp_path / "own.toml").unlink()
    with pytest.raises(ConfigError, match=rf"{tmp_path}/own.toml cannot be read .*{USER_REGISTRY}"):
        entries()
    (tmp_path / "own.toml").write_text("[mine\n")
    with pytest.raises(ConfigError, match=r"own\.toml is not TOML"):
        entries()
    (tmp_path / "own.toml").write_text("mine = 1\n")
    with pytest.raises(ConfigError, match="expected a table"):
        entries()


def test_unknown_names_are_told_the_nearest(own):
    own(copper=entry_fields(b"x", URL))
    for ask in (find, load_potential):
        with pytest.raises(ModelNotFoundError, match="did you mean `copper`"):
            ask("coper")


def test_the_cache_is_where_the_system_keeps_caches_unless_told(monkeypatch):
    monkeypatch.delenv(CACHE, raising=False)
    assert cache_folder() == pooch.os_cache("alignn-ff")
    monkeypatch.setenv(CACHE, "~/models")
    assert cache_folder() == Path.home() / "models"
