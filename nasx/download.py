"""Fetches one large file: with progress, taken up again where it broke off, checked, and never half there.

Bytes go into ``NAME.part``, what the server said about them into ``NAME.part.json``. Only a complete file whose SHA-256
is right gets its final name. A ``.part`` is continued with an HTTP range request that is valid only for the very same
file (``If-Range``); where the server knows no ranges, or the file has changed, the download starts again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from nasx.search_spaces.errors import NasxError, UsageError

Progress = Callable[[int, int], None]

_CHUNK = 1 << 20
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


def download(
    url: str,
    path: str | Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    attempts: int = 5,
    pause: float = 1.0,
    timeout: float = 60.0,
) -> Path:
    """Fetches a file over HTTP; called again after any failure, it continues.

    Args:
        url: The address, ``https://`` or ``http://``.
        path: Where to put it. A file that is there already and has the right checksum is not fetched again.
        sha256: The checksum it must have, in hexadecimal; without it only the length is checked.
        progress: Called with bytes there and bytes in all (0 where the server does not say).
        attempts: Failures in a row, each after less than a MiB, before giving up.
        pause: Seconds before the second attempt; doubled each time, at most 30.
        timeout: Seconds without a byte that count as a broken connection.

    Returns:
        The path.

    Raises:
        UsageError: Not an address that can be fetched.
        NasxError: No connection, an answer that is not the file, a wrong checksum, a full disk, or another process that
            is fetching the same file.
    """
    path = Path(path)
    if not re.match(r"https?://[^/]+", url, re.IGNORECASE):
        raise UsageError(f"'{url}' cannot be fetched; give an address that begins with https:// or http://")
    if path.is_file() and sha256 is not None and file_sha256(path) == sha256:
        return path
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with _locked(part) as file:
        transfer = _Transfer(url, part, file, needs_validator=sha256 is None, progress=progress, timeout=timeout)
        try:
            transfer.run(attempts, pause)
        finally:
            if transfer.there == 0:
                transfer.discard()
        if sha256 is not None and (found := file_sha256(part)) != sha256:
            transfer.discard()
            raise NasxError(
                f"what {url} sent is not the published file: its SHA-256 is {found}, not {sha256}; "
                "it was deleted; try again, or get the file from another place"
            )
        with _disk_errors(path):
            os.fsync(file.fileno())
            if os.name == "nt":  # an open file cannot be renamed there
                file.close()
            os.replace(part, path)
        transfer.forget()
    return path


def file_sha256(path: str | Path, progress: Progress | None = None) -> str:
    """The SHA-256 of a file in hexadecimal.

    Raises:
        NasxError: The file cannot be read.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            total = os.fstat(file.fileno()).st_size
            while block := file.read(4 * _CHUNK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error})") from error
    return digest.hexdigest()


@dataclass
class _State:
    """What the server said about the file a ``.part`` is the beginning of."""

    url: str
    validator: str = ""
    total: int = 0


class _Broken(Exception):
    """The connection broke off or the server is busy: worth another attempt."""


class _NoConnection(_Broken):
    """The server was not reached: probably not worth many attempts."""


class _Transfer:
    """Fills an open ``.part`` file from its address."""

    def __init__(
        self,
        url: str,
        part: Path,
        file: IO[bytes],
        *,
        needs_validator: bool,
        progress: Progress | None,
        timeout: float,
    ) -> None:
        self.url, self.part, self.file = url, part, file
        self.needs_validator = needs_validator
        self.progress = progress
        self.timeout = timeout
        self.state_file = part.with_name(f"{part.name}.json")
        self.state = self._read_state()

    @property
    def there(self) -> int:
        """Bytes that are there."""
        return os.fstat(self.file.fileno()).st_size

    def run(self, attempts: int, pause: float) -> None:
        failures = 0
        while not self._complete():
            before = self.there
            try:
                self._attempt()
            except _Broken as broken:
                failures = 1 if self.there - before >= _CHUNK else failures + 1
                hopeless = isinstance(broken, _NoConnection) and failures > 1
                if failures >= attempts or hopeless:
                    kept = f"; {self.there / 1e6:,.1f} MB are kept" if self.there else ""
                    raise NasxError(
                        f"{self.url} could not be fetched ({broken}){kept}; type the same command again to continue"
                    ) from broken
                time.sleep(min(30.0, pause * 2 ** (failures - 1)))

    def discard(self) -> None:
        """Deletes everything: it is not the file."""
        with contextlib.suppress(OSError):
            self.part.unlink()
        self.forget()

    def forget(self) -> None:
        with contextlib.suppress(OSError):
            self.state_file.unlink()

    def _complete(self) -> bool:
        return self.state.total > 0 and self.there == self.state.total

    def _attempt(self) -> None:
        """One request; returns when the file is complete, raises :class:`_Broken` when it is not."""
        headers = {"User-Agent": "nasx", "Accept-Encoding": "identity"}
        if self.there > self.state.total > 0 or not (self.state.validator or not self.needs_validator):
            self._start_again()
        if self.there:
            headers["Range"] = f"bytes={self.there}-"
            if self.state.validator:
                headers["If-Range"] = self.state.validator
        try:
            request = urllib.request.Request(self.url, headers=headers)
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                self._receive(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # there is nothing after what we have: it is another file than the one begun
                self._start_again()
                raise _Broken("the file has changed on the server") from error
            if error.code in _AGAIN:
                raise _Broken(f"the server answers {error.code} {error.reason}") from error
            raise NasxError(
                f"{self.url} cannot be fetched: the server answers {error.code} {error.reason}; "
                "the file may have moved, look at its official page"
            ) from error
        except urllib.error.URLError as error:
            raise _NoConnection(f"no connection: {_words(error.reason)}") from error
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise _Broken(f"the connection broke off: {_words(error)}") from error

    def _receive(self, answer: Any) -> None:
        if answer.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            total = int(found[2]) if found and found[2] != "*" else self.state.total
            if not found or int(found[1]) != self.there or self.state.total not in (0, total):
                self._start_again()
                raise _Broken("the server sent another part of the file than was asked for")
            self.state.total = total
        else:
            self._start_again()
            length = answer.headers.get("Content-Length") or ""
            self.state = _State(self.url, _validator(answer.headers), int(length) if length.isdigit() else 0)
            self._write_state()
        self._check_room()
        total, there = self.state.total, self.there
        while block := answer.read1(_CHUNK):
            with _disk_errors(self.part):
                _write_all(self.file, block)
            there += len(block)
            if self.progress is not None:
                self.progress(there, total)
        if there == 0:
            raise _Broken("the server sent nothing")
        if total and there < total:
            raise _Broken(f"the connection broke off after {there / 1e6:,.1f} of {total / 1e6:,.1f} MB")
        self.state.total = there

    def _check_room(self) -> None:
        missing, free = self.state.total - self.there, shutil.disk_usage(self.part.parent).free
        if missing > free:
            raise NasxError(
                f"{missing / 1e6:,.0f} MB more are needed in {self.part.parent} and {free / 1e6:,.0f} MB are free; "
                "make room, or set NASX_DATA to another folder"
            )

    def _start_again(self) -> None:
        with _disk_errors(self.part):
            self.file.seek(0)
            self.file.truncate()
        self.state = _State(self.url)

    def _read_state(self) -> _State:
        with contextlib.suppress(OSError, ValueError, TypeError):
            state = _State(**json.loads(self.state_file.read_text()))
            if state.url == self.url and isinstance(state.total, int) and re.fullmatch(r"[ -~]*", state.validator):
                return state
        self._start_again()
        return _State(self.url)

    def _write_state(self) -> None:
        with _disk_errors(self.state_file):
            self.state_file.write_text(json.dumps(asdict(self.state)))


def _write_all(file: IO[bytes], block: bytes) -> None:
    """Writes a block to an unbuffered file, which may take less than it is given."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _words(error: object) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


def _validator(headers: Any) -> str:
    """What ``If-Range`` may carry: a strong ETag, else the date of the last change."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Opens a ``.part`` file for this process alone; the lock goes with the process, however it ends."""
    with _disk_errors(part):
        file = open(part, "ab", buffering=0)  # noqa: SIM115 - closed below
    with file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(file.fileno()), os.stat(part))
        except ImportError:  # Windows: two downloads at once are told apart by the checksum
            mine = True
        except OSError:
            mine = False
        if not mine:
            raise NasxError(f"another process is fetching {part.with_suffix('')}; wait for it, then try again")
        yield file


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NasxError(
                f"the disk is full: {path} could not be written; what is there is kept, make room and "
                "type the same command again to continue"
            ) from error
        raise NasxError(f"{path} could not be written ({error.strerror or error})") from error
