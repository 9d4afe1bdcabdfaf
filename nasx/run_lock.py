"""One run, one process: a lock in the run folder that a dead process does not keep."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nasx.search_spaces.errors import NasxError

LOCK = "lock"


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Holds the lock of a run folder.

    The operating system holds it, and lets go of it when the process ends, however it ends. The file says who holds it;
    where that is a process of another machine, whose end cannot be seen from here on every file system, the file alone
    is believed.

    Raises:
        NasxError: If another process works in the folder.
    """
    path = folder / LOCK
    file = _locked(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is let go, so that nobody locks a file that is about to vanish
        os.close(file)


def _locked(path: Path) -> int:
    try:
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if not _take(file):
                holder = _holder(file)
                os.close(file)
                raise NasxError(
                    f"{path.parent} is in use by process {holder.get('pid', '?')} on "
                    f"{holder.get('host', 'this machine')} since {holder.get('since', 'a moment ago')}; "
                    "wait for it, or choose another folder"
                )
            if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
                break
            os.close(file)  # its last holder removed it while we waited
        holder = _holder(file)
        if holder and holder.get("host") != platform.node():
            os.close(file)
            raise NasxError(
                f"{path.parent} was left by process {holder.get('pid')} on {holder.get('host')}, which may still run "
                f"there; if it does not, delete {path}"
            )
        text = json.dumps({"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
        os.ftruncate(file, 0)
        os.pwrite(file, text.encode(), 0)
        return file
    except OSError as error:
        raise NasxError(f"the run folder {path.parent} cannot be written: {error.strerror}") from error


def _take(file: int) -> bool:
    """Whether the lock could be taken."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return not _alive(_holder(file))
    return True


def _alive(holder: dict[str, object]) -> bool:
    if not holder or holder.get("host") != platform.node():
        return bool(holder)
    try:
        os.kill(int(str(holder["pid"])), 0)
    except (ProcessLookupError, KeyError, ValueError):
        return False
    except OSError:
        return True
    return True


def _holder(file: int) -> dict[str, object]:
    try:
        found = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
