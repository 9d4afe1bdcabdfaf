"""What was measured so far: one JSON object a line, on the disk before the next network is run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from nasx.search_spaces.errors import NasxError, UsageError

FORMAT = "nasx-latency-journal"


class Journal:
    """The journal of a table; opened, it belongs to this process alone.

    The first line holds the settings: a journal is continued with the settings it was begun with, or not at all. A line
    cut short by a crash is dropped when it is opened again.

    Args:
        path: The file; made if missing.
        settings: What must be the same for all networks of a table.
        machine: What they are measured on, for whoever reads it.

    Attributes:
        records: All lines after the first, old and new.

    Raises:
        UsageError: If it was begun with other settings.
        NasxError: If it is none, is used by another process, or cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115 - closed with the journal
        except OSError as error:
            raise NasxError(f"{path} cannot be written ({error.strerror or error})") from error
        try:
            self._lock()
            self._read(settings, machine)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes a record; it is on the disk when this returns.

        Raises:
            NasxError: If the disk is full or gone; what was written before stays.
        """
        self._write(record)
        self.records.append(dict(record))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise NasxError(
                f"{self.path} could not be written ({error.strerror or error}); what is there is kept, "
                "type the same command again to continue"
            ) from error

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NasxError(f"another process is measuring into {self.path}; wait for it, then try again") from error

    def _read(self, settings: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        if not whole:
            self._write({"format": FORMAT, "version": 1, "settings": dict(settings), "machine": dict(machine)})
            self.machine = dict(machine)
            return
        try:
            first, *self.records = [json.loads(line) for line in whole.splitlines()]
            if first["format"] != FORMAT:
                raise ValueError
            begun, self.machine = first["settings"], first["machine"]
        except (ValueError, KeyError, TypeError) as error:
            raise NasxError(
                f"{self.path} is no journal of nasx latency measure, or a damaged one; move it away"
            ) from error
        wanted = json.loads(json.dumps(dict(settings)))
        if changed := [name for name in wanted if begun.get(name) != wanted[name]]:
            name = changed[0]
            raise UsageError(
                f"{self.path} was begun with {name}={begun.get(name)}, not {wanted[name]}; one table has one way of "
                "measuring: give the same options, or another --out"
            )
