"""A web server on this machine that gives files in every way a server can, and a registry that points to it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Request(NamedTuple):
    """What was asked: the way of giving, the file, and the first byte (0 without a Range)."""

    way: str
    file: str
    start: int


class ModelServer(ThreadingHTTPServer):
    """Gives `files` at `/WAY/NAME`; `Handler` holds the ways. `gate` lets go what is held back; `reached` is
    set once somebody waits there."""

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(files)
        self.asked: list[Request] = []
        self.gate = threading.Event()
        self.reached = threading.Event()

    def url(self, way: str, file: str = "model.bin") -> str:
        """Address that gives `file` in that way."""
        return f"http://127.0.0.1:{self.server_address[1]}/{way}/{file}"


class Handler(BaseHTTPRequestHandler):
    """One method for each way of giving a file."""

    server: ModelServer

    def do_GET(self) -> None:
        way, file = self.path.strip("/").split("/")
        stated = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.start = int(stated[1]) if stated else 0
        first = Request(way, file, 0) not in self.server.asked
        self.server.asked.append(Request(way, file, self.start))
        self.body = self.server.files[file]
        if way.endswith("-once"):
            way = way.removesuffix("-once") if first else "good"
        getattr(self, way.replace("-", "_"))()

    def good(self) -> None:
        """The whole file, or what is left of it."""
        if self.start >= len(self.body):
            self.give(416, b"")
        elif self.start:
            self.give(206, self.body[self.start :], {"Content-Range": self.range_from(self.start)})
        else:
            self.give(200, self.body)

    def rangeless(self) -> None:
        """The whole file, whatever was asked."""
        self.give(200, self.body)

    def shifted(self) -> None:
        """Another part than was asked."""
        if not self.start:
            return self.good()
        return self.give(206, self.body[self.start + 1 :], {"Content-Range": self.range_from(self.start + 1)})

    def truncated(self) -> None:
        """Half of what was asked, announced as all of it."""
        rest = self.body[self.start :]
        headers = {"Content-Range": self.range_from(self.start)} if self.start else {}
        self.give(206 if self.start else 200, rest[: len(rest) // 2], {"Content-Length": str(len(rest)), **headers})

    def stalling(self) -> None:
        """Half of the file, and then silence."""
        self.give(200, self.body[: len(self.body) // 2], {"Content-Length": str(len(self.body))})
        self.wfile.flush()
        self.server.gate.wait(10)

    def held(self) -> None:
        """The whole file, once the gate is open."""
        self.server.reached.set()
        self.server.gate.wait(60)
        self.good()

    def unmeasured(self) -> None:
        """The whole file, its length not said."""
        self.give(200, self.body, {"Content-Length": ""})

    def cut(self) -> None:
        """Half of the file, its length not said."""
        self.body = self.body[: len(self.body) // 2]
        self.unmeasured()

    def wrong(self) -> None:
        """A file of the right length with one other byte."""
        self.body = bytes([self.body[0] ^ 1]) + self.body[1:]
        self.good()

    def page(self) -> None:
        """A web page, as networks send that ask for a login."""
        self.give(200, b"<html>Please log in</html>", {"Content-Type": "text/html; charset=utf-8"})

    def missing(self) -> None:
        """404."""
        self.give(404, b"")

    def failing(self) -> None:
        """500."""
        self.give(500, b"")

    def moved(self) -> None:
        """A redirection to the good file."""
        self.give(302, b"", {"Location": self.server.url("good")})

    def give(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Status, headers (an empty one is left out) and content."""
        self.send_response(status)
        standard = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        for name, value in (standard | dict(headers or {})).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def range_from(self, start: int) -> str:
        """The Content-Range of the file from byte `start` on."""
        return f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"

    def log_message(self, *_: Any) -> None:
        """Nothing: tests look at `asked`."""


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[ModelServer]:
    """A server that runs while the block does."""
    server = ModelServer(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


def entry_fields(content: bytes, *urls: str, **fields: Any) -> dict[str, Any]:
    """Fields of a registry entry for a file of that content; `fields` replace or add, None leaves out."""
    standard = {
        "file": "model.bin",
        "sha256": sha256(content).hexdigest(),
        "description": "for a test",
        "urls": list(urls),
        "elements": ["Cu"],
    }
    return {name: value for name, value in (standard | fields).items() if value is not None}


def write_registry(path: Path, **entries: Mapping[str, Any]) -> Path:
    """A registry file; its values are written as JSON, which is TOML for texts, numbers and lists of them."""
    tables = (
        f"[{json.dumps(name)}]\n" + "".join(f"{field} = {json.dumps(value)}\n" for field, value in fields.items())
        for name, fields in entries.items()
    )
    path.write_text("\n".join(tables), encoding="utf-8")
    return path
