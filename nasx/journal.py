"""A journal file that survives killed writers, a full disk and several writers at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

#: How long a journal's lock may stand still before it counts as left behind by a killed process.
_GRACE_SECONDS = 3


class WholeLines(JournalFileBackend):
    """Optuna's journal file, of which every line is whole.

    A writer that dies or finds the disk full in the middle of a line would leave half of it behind, the next line would
    be written behind that half, and nobody could read the journal again. Here every writer, holding the lock, first
    cuts off such a half line, and takes back what it could not write completely.

    Args:
        path: The journal file; made if missing.
    """

    def __init__(self, path: Path) -> None:
        path = path.absolute()  # Optuna notices the lock of a killed process only by an absolute path
        lock = path.with_name(f"{path.name}.lock")
        if lock.is_symlink() and not lock.exists():  # it was left in a folder that has moved since
            lock.unlink(missing_ok=True)
        self._mutex = JournalFileSymlinkLock(str(path), grace_period=_GRACE_SECONDS)
        self._path = path
        super().__init__(str(path), lock_obj=self._mutex)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends records, all or none."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self._locked():
            file = os.open(self._path, os.O_RDWR | os.O_APPEND)
            try:
                end = _whole(file)
                try:
                    _write(file, text)
                except OSError:
                    os.ftruncate(file, end)
                    raise
            finally:
                os.close(file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._mutex.acquire()
        try:
            yield
        finally:
            with suppress(RuntimeError):  # it took so long that another process took the lock away
                self._mutex.release()


def _whole(file: int) -> int:
    """Cuts off half a line at the end; returns where the last whole one ends."""
    end = os.fstat(file).st_size
    if end == 0 or os.pread(file, 1, end - 1) == b"\n":
        return end
    step, start = 1 << 16, end
    while start > 0:
        start = max(0, start - step)
        place = os.pread(file, step, start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
    else:
        end = 0
    os.ftruncate(file, end)
    return end


def _write(file: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)


def open_journal(path: Path) -> JournalStorage:
    """Opens or makes a journal."""
    return JournalStorage(WholeLines(path))
