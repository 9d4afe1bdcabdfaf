"""A private PostgreSQL server in a temporary folder, for tests; no test of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path


def _found(program: str) -> str | None:
    """Where a program of the server is; Debian keeps them off the PATH, one folder a version."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return shutil.which(program) or (str(debian[-1]) if debian else None)


def missing() -> str | None:
    """Why there can be no server here; None if there can."""
    for program in ("initdb", "pg_ctl"):
        if _found(program) is None:
            return f"PostgreSQL is not installed here ({program} is not on the PATH)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the PostgreSQL driver is not installed: pip install 'nasx[postgresql]'"
    if os.geteuid() == 0 and _other_user() is None:
        return "PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' to run it as"
    return None


def _other_user() -> str | None:
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


class PostgresServer:
    """A server that is reached through a socket in its folder only."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nasx-pg-"))
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "nasx", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        self.url = f"postgresql://nasx@/postgres?host={self.folder}"

    def _run(self, *command: str) -> None:
        subprocess.run(
            [_found(command[0]) or command[0], *command[1:]],
            user=self._user, cwd=self.folder, check=True, timeout=60, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def start(self) -> None:
        settings = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=60"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-o", settings, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
