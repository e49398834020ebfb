"""A downloader for pooch that goes on where an earlier one broke off."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from alignn_ff._version import __version__
from alignn_ff.checkpoint import file_sha256
from alignn_ff.errors import DownloadError
from alignn_ff.progress import track

_CHUNK = 16 * 1024
_BUSY = (408, 425, 429)
"""HTTP refusals that pass with time, beside all from 500 on (RFC 9110 section 15, RFC 6585 section 4, RFC 8470)."""


class MirrorError(DownloadError):
    """One address did not give the file.

    Attributes:
        passing: trying again may help.
    """

    def __init__(self, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.passing = passing


@dataclass(frozen=True)
class ResumingDownloader:
    """Puts a file that was asked of an address where pooch wants it, complete and verified.

    What arrives is kept in `part`, and the next call asks for the rest only (HTTP Range, RFC 9110 section 14).
    Without a checksum nobody could tell a file patched together from two versions: then it begins anew each time.

    Attributes:
        part: where an unfinished file grows; in the folder of the finished one.
        sha256: that the file must have; None where nobody knows.
        size: bytes, where known.
        timeout_s: seconds without a byte after which the address is given up.
        progress: draw a bar.
    """

    part: Path
    sha256: str | None
    size: int | None
    timeout_s: float
    progress: bool

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Download `url` to `output_file`; pooch calls this.

        Raises:
            MirrorError: no answer, a refusal, a body that broke off, a wrong checksum.
            OSError: the file cannot be written.
        """
        if self.sha256 is None:
            self.part.unlink(missing_ok=True)
        try:
            self._complete(url)
        except requests.RequestException as error:
            raise MirrorError(self._reason(error), passing=True) from error
        os.replace(self.part, output_file)

    def _complete(self, url: str) -> None:
        """Bring `part` to the end, or remove it where it turns out to be wrong."""
        if self._is_right():
            return
        resumed = self._receive(url, self._arrived())
        if resumed and not self._is_right():  # its beginning came from another file
            self._receive(url, 0)
        if self.sha256 is not None and not self._is_right():
            seen = file_sha256(self.part)
            self.part.unlink()
            raise MirrorError(
                f"the file there has SHA-256 {seen}; expected {self.sha256}. It was removed", passing=False
            )

    def _is_right(self) -> bool:
        return self.sha256 is not None and self.part.is_file() and file_sha256(self.part) == self.sha256

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _receive(self, url: str, start: int) -> bool:
        """Append what follows byte `start`, or write all anew; whether the server did resume."""
        with self._answer(url, start) as response:
            begin = _first_byte(response)
            total = self._total(response, begin)
            with self.part.open("ab" if begin else "wb") as file:
                self._copy(response, file, begin, total)
        if total is not None and self._arrived() < total:
            raise MirrorError(f"broke off after {self._arrived()} of {total} bytes", passing=True)
        return begin > 0

    def _answer(self, url: str, start: int) -> requests.Response:
        """The server's answer with a body that continues `part` or begins at the first byte."""
        response = self._ask(url, start)
        if start and (response.status_code == 416 or _first_byte(response) not in (0, start)):
            response.close()
            response = self._ask(url, 0)
        if response.status_code not in (200, 206):
            response.close()
            status = response.status_code
            passing = status >= 500 or status in _BUSY
            raise MirrorError(f"HTTP {status} {response.reason}".strip(), passing=passing)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.close()
            raise MirrorError("sent a web page, not a model (does the network ask for a login?)", passing=False)
        return response

    def _ask(self, url: str, start: int) -> requests.Response:
        # identity: byte numbers count in the file itself, not in a compressed form of it
        headers = {"User-Agent": f"alignn-ff/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        return requests.get(url, headers=headers, stream=True, timeout=self.timeout_s)

    def _total(self, response: requests.Response, begin: int) -> int | None:
        """Bytes of the whole file, where server or registry say so; a file without a checksum needs its end told."""
        stated = response.headers.get("Content-Length", "")
        total = begin + int(stated) if stated.isdecimal() else self.size
        if self.size not in (None, total):
            raise MirrorError(f"offers a file of {total} bytes; expected {self.size}", passing=False)
        if total is None and self.sha256 is None and response.headers.get("Transfer-Encoding") != "chunked":
            raise MirrorError("does not say how long the file is; state `size` in the registry", passing=False)
        return total

    def _copy(self, response: requests.Response, file: Any, begin: int, total: int | None) -> None:
        name = f"downloading {self.part.stem} (kB)"
        kilobytes = None if total is None else -(-total // 1000)
        with track(name, kilobytes, done=begin // 1000, show=self.progress) as advance:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                advance(len(chunk) / 1000)

    def _reason(self, error: requests.RequestException) -> str:
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            return f"no answer within {self.timeout_s:g} s"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"broke off after {self._arrived()} bytes"
        if isinstance(error, requests.exceptions.SSLError):
            return f"no safe connection ({error})"
        if isinstance(error, requests.ConnectionError):
            return "no connection (no network, or the server is down)"
        return str(error)


def _first_byte(response: requests.Response) -> int:
    """Place in the file of the body's first byte; 0 for an answer with the whole file."""
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(stated[1]) if response.status_code == 206 and stated else 0
