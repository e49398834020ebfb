"""Downloads from a server on this machine that does everything servers do: whole, verified, or not at all."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.errors import CheckpointError, ConfigError, DownloadError, OutputWriteError
from alignn_ff.pretrained import fetch_weights, find, load_potential
from alignn_ff.pretrained.fetch import OFFLINE
from alignn_ff.pretrained.patience import Patience
from alignn_ff.pretrained.registry import CACHE, USER_REGISTRY
from tests.conftest import random_potential
from tests.model_server import Request, entry_fields, serving, write_registry
from tests.unit.test_files import full_disk

CONTENT = Random(0).randbytes(300_000)
HURRIED = Patience(timeout_s=10.0, attempts=3, backoff_s=0.001)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving({"model.bin": CONTENT}) as running:
        yield running


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, made when it is needed."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(USER_REGISTRY, str(tmp_path / "own.toml"))
    monkeypatch.delenv(OFFLINE, raising=False)
    return tmp_path


@pytest.fixture
def register(folder, server):
    """Makes an entry `mine` whose file is given in the ways that are named."""

    def write(*ways: str, **fields):
        urls = [server.url(way) for way in ways]
        write_registry(folder / "own.toml", mine=entry_fields(CONTENT, *urls, **fields))
        return find("mine")

    return write


def begun(entry, content: bytes) -> Path:
    """An unfinished download of that content."""
    part = entry.path.with_name(f"{entry.file}.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    return part


def kept(entry) -> set[str]:
    return {path.name for path in entry.path.parent.iterdir()} - {f"{entry.file}.lock"}


@pytest.mark.parametrize("way", ["good", "rangeless", "unmeasured", "moved"])
def test_file_arrives_once_and_stays(register, server, way):
    entry = register(way, size=len(CONTENT))
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    asked = len(server.asked)
    assert fetch_weights(entry, patience=HURRIED) == entry.path
    assert len(server.asked) == asked and kept(entry) == {"model.bin"}
    assert entry.whereabouts == "cached"


def test_others_may_read_the_file_as_the_umask_says(register):
    before = os.umask(0o027)
    try:
        path = fetch_weights(register("good"), patience=HURRIED)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_download_goes_on_where_it_broke_off(register, server):
    entry = register("truncated-once")
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    first, second = server.asked
    assert first.start == 0 and 0 < second.start <= len(CONTENT) // 2


def test_download_goes_on_in_the_next_process_and_at_another_address(register, server):
    once = Patience(timeout_s=10.0, attempts=1)
    with pytest.raises(DownloadError, match="broke off after"):
        fetch_weights(register("truncated"), patience=once)
    entry = register("good")
    (part,) = (path for path in entry.path.parent.iterdir() if path.suffix == ".part")
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)
    assert fetch_weights(entry, patience=once).read_bytes() == CONTENT
    assert server.asked[-1] == Request("good", "model.bin", arrived)


def test_interrupted_download_goes_on_later(register, server, monkeypatch):
    @contextmanager
    def impatient(*_, **__):
        def advance(_):
            if len(chunks) == 5:
                raise KeyboardInterrupt
            chunks.append(1)

        yield advance

    chunks: list[int] = []
    entry = register("good")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("alignn_ff.pretrained.resume.track", impatient)
        fetch_weights(entry, patience=HURRIED)
    assert kept(entry) == {"model.bin.part"}
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert server.asked[-1].start > 0


@pytest.mark.parametrize(
    ("way", "content", "starts"),
    [
        ("good", CONTENT[:1000], [1000]),
        ("good", CONTENT, []),
        ("good", b"?" * 1000, [1000, 0]),
        ("good", CONTENT + b"more", [len(CONTENT) + 4, 0]),
        ("good", b"?" * len(CONTENT), [len(CONTENT), 0]),
        ("rangeless", CONTENT[:1000], [1000]),
        ("shifted", CONTENT[:1000], [1000, 0]),
    ],
    ids=["a beginning", "all", "of another file", "too much", "another file", "range ignored", "other range"],
)
def test_whatever_was_begun_the_right_file_results(register, server, way, content, starts):
    entry = register(way)
    begun(entry, content)
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert [request.start for request in server.asked] == starts
    assert kept(entry) == {"model.bin"}


def test_wrong_file_is_removed_and_not_asked_for_again(register, server):
    entry = register("wrong")
    with pytest.raises(DownloadError, match=rf"SHA-256 [0-9a-f]{{64}}; expected {entry.sha256}. It was removed"):
        fetch_weights(entry, patience=HURRIED)
    assert kept(entry) == set() and len(server.asked) == 1


@pytest.mark.parametrize(
    ("way", "message", "asked"),
    [
        ("missing", "HTTP 404 Not Found", 1),
        ("failing", "HTTP 500 Internal Server Error", HURRIED.attempts),
        ("truncated", "broke off after", HURRIED.attempts),
        ("page", "sent a web page", 1),
    ],
)
def test_failure_is_told_and_what_may_pass_is_tried_again(register, server, way, message, asked):
    entry = register(way)
    with pytest.raises(DownloadError, match=rf"model mine could not be downloaded. {server.url(way)}: .*{message}"):
        fetch_weights(entry, patience=HURRIED)
    assert len(server.asked) == asked and not entry.path.exists()


def test_silent_server_is_given_up_and_asked_again(register, server):
    with pytest.raises(DownloadError, match=r"no answer within 0\.1 s"):
        fetch_weights(register("stalling"), patience=Patience(timeout_s=0.1, attempts=2, backoff_s=0.001))
    assert len(server.asked) == 2


def test_registered_size_tells_a_part_from_the_whole(register, server):
    entry = register("cut-once", size=len(CONTENT))
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert [request.start for request in server.asked] == [0, len(CONTENT) // 2]


def test_server_that_recovers_is_asked_again(register, server):
    assert fetch_weights(register("failing-once"), patience=HURRIED).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_length_other_than_registered_is_refused_before_the_body(register):
    entry = register("good", size=len(CONTENT) + 1)
    with pytest.raises(DownloadError, match=f"offers a file of {len(CONTENT)} bytes; expected {len(CONTENT) + 1}"):
        fetch_weights(entry, patience=HURRIED)
    assert kept(entry) == set()


def test_next_address_stands_in(register, server):
    assert fetch_weights(register("missing", "wrong", "failing", "good"), patience=HURRIED).read_bytes() == CONTENT
    assert [request.way for request in server.asked] == ["missing", "wrong", "failing", "good"]


def test_every_address_is_blamed_where_none_helps(register):
    with pytest.raises(DownloadError) as caught:
        fetch_weights(register("missing", "failing"), patience=HURRIED)
    assert "HTTP 404" in str(caught.value) and "HTTP 500" in str(caught.value)


def test_without_a_network_the_message_says_so(folder, server):
    url = server.url("good")
    server.server_close()
    write_registry(folder / "own.toml", mine=entry_fields(CONTENT, url))
    with pytest.raises(DownloadError, match=r"no connection \(no network.*copy the file to .*cache/mine/model.bin"):
        fetch_weights(find("mine"), patience=HURRIED)


def test_waits_double(monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    for rounds in range(4):
        Patience(backoff_s=0.5).rest(rounds)
    assert waits == [0.5, 1.0, 2.0]


def test_progress_is_drawn_on_request(register, capsys):
    entry = register("good")
    fetch_weights(entry, patience=HURRIED, progress=True)
    assert "300/300" in capsys.readouterr().err


def test_progress_needs_no_length(register, capsys):
    fetch_weights(register("unmeasured"), patience=HURRIED, progress=True)
    assert "downloading model.bin (kB)" in capsys.readouterr().err


def test_damaged_file_in_the_cache_is_replaced(register, server):
    entry = register("good")
    fetch_weights(entry, patience=HURRIED)
    entry.path.write_bytes(b"rotten")
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_offline_uses_what_is_there_and_nothing_else(register, server, monkeypatch):
    entry = register("good")
    for offline in (True, None):
        monkeypatch.setenv(OFFLINE, "1")
        with pytest.raises(DownloadError, match=r"offline mode is on.*alignn-ff models download mine"):
            load_potential("mine", offline=offline)
    fetch_weights(entry, offline=False, patience=HURRIED)
    assert fetch_weights(entry) == entry.path and len(server.asked) == 1
    entry.path.write_bytes(b"rotten")
    with pytest.raises(CheckpointError, match=f"has SHA-256 .*; expected {entry.sha256}.*models download mine"):
        fetch_weights(entry)
    assert len(server.asked) == 1


def test_offline_is_yes_or_no(register, monkeypatch):
    entry = register("good")
    monkeypatch.setenv(OFFLINE, "maybe")
    with pytest.raises(ConfigError, match="ALIGNN_FF_OFFLINE is 'maybe'; expected 1"):
        fetch_weights(entry)
    monkeypatch.setenv(OFFLINE, "0")
    assert fetch_weights(entry, patience=HURRIED).is_file()


def test_full_disk_is_told_and_the_download_goes_on_later(register, server):
    entry = register("good")
    with full_disk(100_000), pytest.raises(OutputWriteError, match=f"{entry.path.parent}.*too large.*{CACHE}"):
        fetch_weights(entry, patience=HURRIED)
    assert kept(entry) == {"model.bin.part"}
    assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
    assert server.asked[-1].start > 0


def test_cache_that_cannot_be_written_is_told(register, folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setenv(CACHE, str(folder / "file" / "below"))
    with pytest.raises(OutputWriteError, match=rf"file/below/mine \(Not a directory\).*another folder in {CACHE}"):
        fetch_weights(register("good"), patience=HURRIED)


def test_two_processes_download_once(register, server, caplog):
    entry = register("held")
    code = "from alignn_ff.pretrained import fetch_weights, find; print(fetch_weights(find('mine')))"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    waiting = logging.Handler(logging.WARNING)
    waiting.emit = lambda record: server.gate.set()  # this process says that it waits; the other may go on
    logger = logging.getLogger("alignn_ff")
    logger.addHandler(waiting)
    try:
        assert server.reached.wait(60)
        assert fetch_weights(entry, patience=HURRIED).read_bytes() == CONTENT
        assert other.communicate(timeout=60) == (f"{entry.path}\n", None)
    finally:
        logger.removeHandler(waiting)
        other.kill()
        other.wait()
    assert caplog.messages == ["another process downloads model mine; waiting for it"]
    assert server.asked == [Request("held", "model.bin", 0)]


def test_calculator_takes_a_name_and_offline_work_needs_no_downloader(folder, server):
    save_checkpoint(folder / "m.safetensors", random_potential())
    content = (folder / "m.safetensors").read_bytes()
    server.files["model.bin"] = content
    elements = list(random_potential().elements)
    fields = entry_fields(content, server.url("good"), elements=elements, size=len(content))
    write_registry(folder / "own.toml", mine=fields)
    assert AlignnFFCalculator("mine").provenance["sha256"] == fields["sha256"]
    code = (
        "import sys; from alignn_ff import load_potential; load_potential(); load_potential('mine')\n"
        "print([name for name in ('pooch', 'requests', 'filelock') if name in sys.modules])"
    )
    environment = {**os.environ, OFFLINE: "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\n", "") and len(server.asked) == 1
