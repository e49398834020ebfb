"""`alignn-ff models`, as a user types it."""

from __future__ import annotations

import json

import pytest
import torch
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.cli.main import app
from alignn_ff.pretrained import default_model, find
from alignn_ff.pretrained.fetch import OFFLINE
from alignn_ff.pretrained.registry import CACHE, USER_REGISTRY
from tests.conftest import random_potential
from tests.model_server import entry_fields, serving, write_registry

ELEMENTS = list(random_potential().elements)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves one small model, which the user's registry knows under several names."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"NO_PROXY": "127.0.0.1", "COLUMNS": "200", OFFLINE: "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(USER_REGISTRY, str(tmp_path / "own.toml"))
    save_checkpoint(tmp_path / "m.safetensors", random_potential(composed=True))
    content = (tmp_path / "m.safetensors").read_bytes()
    (tmp_path / "card.md").write_text("# The card of mine\n")
    with serving({"model.bin": content}) as running:
        common = {"elements": ELEMENTS, "file": "model.bin"}
        good = running.url("good")
        write_registry(
            tmp_path / "own.toml",
            mine=entry_fields(content, good, size=len(content), card="card.md", licence="CC-BY-4.0", **common),
            trusted=entry_fields(content, good, sha256="first-use", **common),
            gone=entry_fields(content, running.url("missing"), **common),
            forged=entry_fields(content, running.url("wrong"), **common),
            busy=entry_fields(content, running.url("failing"), **common),
            silent=entry_fields(content, running.url("stalling"), **common),
            cardless=entry_fields(content, good, card="none.md", **common),
            liar=entry_fields(content, good, **(common | {"elements": ["U"]})),
        )
        yield running


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_list_tells_what_is_where(server):
    call("models", "download", "mine")
    rows = {line.split("│")[1].strip(): line for line in call("models", "list").splitlines() if "│" in line}
    assert "embedded" in rows[default_model()] and "PBE" in rows[default_model()]
    assert "cached" in rows["mine"] and ("CC-BY-4.0" in rows["mine"])
    assert "not downloaded" in rows["trusted"]
    assert next(iter(rows)) == default_model()


def test_list_counts_many_elements_and_filters(server, tmp_path):
    metals = "Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co".split()
    write_registry(tmp_path / "own.toml", metals=entry_fields(b"x", server.url("good"), elements=metals))
    assert "14 elements" in call("models", "list")
    said = call("models", "list", "--element", "Fe, Co")
    assert "metals" in said and "universal" in said and "mlearn-six" not in said
    assert "no model knows Fe and Og together" in call("models", "list", "--element", "Fe,Og", code=2)
    assert "'Fee': no chemical element" in call("models", "list", "--element", "Fee", code=2)


def test_info_prints_facts_and_card(server):
    said = call("models", "info", "mine")
    entry = find("mine")
    assert all(text in said for text in ("The card of mine", entry.sha256, entry.urls[0], str(entry.path), "CC-BY-4.0"))
    assert "has no card" in call("models", "info", "gone")
    assert "none.md cannot be read" in call("models", "info", "cardless", code=2)


def test_download_once_then_path_and_verify(server):
    path = str(find("mine").path)
    assert "not on this machine" in call("models", "path", "mine", code=2)
    assert "is missing" in call("models", "verify", "mine", code=2)
    assert path in call("models", "download", "mine", "--no-progress-bar")
    assert path in call("models", "download", "mine", "--no-progress-bar")
    assert len(server.asked) == 1
    assert call("models", "path", "mine").strip() == path
    said = call("models", "verify")
    assert f"mine: SHA-256 {find('mine').sha256} as expected" in said and f"{default_model()}: " in said
    assert "gone" not in said


def test_path_downloads_when_asked(server):
    assert call("models", "path", "mine", "--download").strip().endswith("mine/model.bin")
    assert len(server.asked) == 1


def test_first_use_is_a_warning(server, caplog):
    for _ in range(2):
        call("models", "download", "trusted", "--no-progress-bar")
    assert ["model trusted has no published checksum" in message for message in caplog.messages] == [True]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "HTTP 404"),
        ("forged", "expected"),
        ("busy", "HTTP 500"),
        ("silent", "no answer within 0.3 s"),
        ("mnie", "did you mean `mine`?"),
    ],
)
def test_failed_download_is_one_paragraph(server, name, message):
    said = call("models", "download", name, "--timeout", "0.3", "--attempts", "1", "--no-progress-bar", code=2)
    assert said.startswith("error: ") and message in said


def test_offline_option_forbids_the_network(server):
    assert "offline mode is on" in call("--offline", "models", "download", "mine", code=2)
    assert not server.asked


def test_verify_finds_what_is_wrong(server, tmp_path, monkeypatch):
    call("models", "download", "liar")
    assert "the registry says U" in call("models", "verify", "liar", code=2)
    call("models", "download", "mine")
    find("mine").path.write_bytes(b"rotten")
    assert "expected" in call("models", "verify", "mine", code=2)
    broken = random_potential(composed=True)
    state = {key: value.clone() for key, value in broken.state_dict().items()}
    try:
        with torch.no_grad():
            next(p for p in broken.parameters() if p.is_floating_point()).fill_(torch.nan)
        save_checkpoint(tmp_path / "nan.safetensors", broken)
    finally:
        broken.load_state_dict(state)
    content = (tmp_path / "nan.safetensors").read_bytes()
    write_registry(tmp_path / "own.toml", nan=entry_fields(content, file="nan.safetensors", elements=None))
    assert "not finite" in call("models", "verify", "nan", code=2)


def test_commands_that_take_a_model_download_it(server, tmp_path):
    symbol = ELEMENTS[0]
    write("atom.xyz", bulk(symbol, "fcc", a=4.0, cubic=True))
    said = call("relax", "atom.xyz", "--model", "mine", "--steps", "1", "--out", "out", "--no-progress-bar", code=3)
    assert "not converged" in said and len(server.asked) == 1
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["model"]["sha256"] == find("mine").sha256
