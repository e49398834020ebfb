"""Models without a published checksum: trusted once, aloud, and held to it from then on."""

from __future__ import annotations

import logging
import subprocess
from hashlib import sha256
from pathlib import Path
from random import Random
from shutil import make_archive

import pytest
import torch
from ase.build import bulk

from alignn_ff.errors import CheckpointError, DownloadError
from alignn_ff.pretrained import fetch_weights, find, load_potential
from alignn_ff.pretrained.checksum import record_path
from alignn_ff.pretrained.patience import Patience
from alignn_ff.pretrained.registry import CACHE, FIRST_USE, USER_REGISTRY
from alignn_ff.testing import predict
from tests.model_server import entry_fields, serving, write_registry
from tests.reference.test_upstream import published

CONTENT = Random(1).randbytes(100_000)
HURRIED = Patience(timeout_s=10.0, attempts=2, backoff_s=0.001)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving({"model.bin": CONTENT}) as running:
        yield running


@pytest.fixture
def register(tmp_path, monkeypatch, server):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(USER_REGISTRY, str(tmp_path / "own.toml"))

    def write(*ways: str, **fields):
        urls = [server.url(way) for way in ways]
        write_registry(tmp_path / "own.toml", mine=entry_fields(CONTENT, *urls, sha256=FIRST_USE, **fields))
        return find("mine")

    return write


def test_first_checksum_is_recorded_and_said_aloud(register, caplog):
    entry = register("good")
    with caplog.at_level(logging.WARNING, logger="alignn_ff"):
        fetch_weights(entry, patience=HURRIED)
        fetch_weights(entry, patience=HURRIED)
    (message,) = caplog.messages
    seen = sha256(CONTENT).hexdigest()
    assert seen in message and str(record_path(entry)) in message
    checked = subprocess.run(
        ["sha256sum", "--check", record_path(entry).name], cwd=entry.path.parent, capture_output=True, text=True
    )
    assert checked.stdout == "model.bin: OK\n"


def test_a_published_archive_is_a_model_by_name(tmp_path, monkeypatch, server):
    folder = published("k_nearest", tmp_path / "there")
    archive = make_archive(str(tmp_path / "model"), "zip", folder)
    server.files["model.bin"] = content = Path(archive).read_bytes()
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(USER_REGISTRY, str(tmp_path / "own.toml"))
    fields = entry_fields(content, server.url("good"), sha256=FIRST_USE, file="mine.zip")
    write_registry(tmp_path / "own.toml", mine=fields)
    atoms = [bulk("Cu", a=3.7, cubic=True)]
    by_name, as_it_is = (predict(load_potential(which).potential, atoms) for which in ("mine", folder))
    assert torch.equal(by_name.energy, as_it_is.energy) and torch.equal(by_name.forces, as_it_is.forces)


def test_from_then_on_nothing_else_is_taken(register, server):
    entry = register("good")
    fetch_weights(entry, patience=HURRIED)
    server.files["model.bin"] = CONTENT[::-1]
    entry.path.write_bytes(b"changed on the disk")
    with pytest.raises(DownloadError, match=f"expected {sha256(CONTENT).hexdigest()}.*delete that record"):
        fetch_weights(entry, patience=HURRIED)
    with pytest.raises(CheckpointError, match=r"recorded at first use in .*model.bin.sha256"):
        fetch_weights(entry, offline=True)
    record_path(entry).unlink()
    entry.path.unlink()
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT[::-1]


def test_unfinished_download_begins_anew_while_nobody_knows_the_checksum(register, server):
    entry = register("truncated-once")
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert [request.start for request in server.asked] == [0, 0]


@pytest.mark.parametrize("way", ["truncated", "cut", "unmeasured", "page", "missing"])
def test_what_may_be_no_whole_file_is_never_trusted(register, way):
    entry = register(way)
    with pytest.raises(DownloadError):
        fetch_weights(entry, patience=HURRIED)
    assert not record_path(entry).exists() and not entry.path.exists()


def test_registered_size_stands_in_for_the_length_a_server_does_not_say(register):
    entry = register("unmeasured", size=len(CONTENT))
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT


def test_copy_put_there_by_hand_is_a_first_use_too(register, server):
    entry = register("good")
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(b"by hand")
    assert fetch_weights(entry, offline=True).read_bytes() == b"by hand"
    assert record_path(entry).read_text().startswith(sha256(b"by hand").hexdigest())
    assert not server.asked


def test_record_that_is_no_checksum_is_told(register):
    entry = register("good")
    fetch_weights(entry, patience=HURRIED)
    record_path(entry).write_text("nonsense\n")
    with pytest.raises(CheckpointError, match="not the checksum of mine"):
        fetch_weights(entry, patience=HURRIED)
