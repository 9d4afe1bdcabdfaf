"""Run folders: everything needed to repeat or resume a run is in its ``config.json`` before the run begins."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nasx.search_spaces.errors import NasxError, UsageError
from nasx.storages import without_password

CONFIG = "config.json"
JOURNAL = "journal.log"
_PACKAGES = ("nasx", "torch", "numpy", "scikit-learn", "optuna", "scipy", "pandas")


def create_run(out: Path | None, name: str, options: dict[str, Any]) -> Path:
    """Makes a run folder and writes its configuration.

    Args:
        out: The folder, or None for ``runs/<time>-<name>``.
        name: What the run is about, for the default folder's name.
        options: The command's options, JSON-able; a resumed run takes them from here.

    Returns:
        The folder.

    Raises:
        UsageError: If the folder already holds a run.
        NasxError: If it cannot be written.
    """
    folder = out or _free(Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}")
    config = {
        "command": without_password(shlex.join(["nasx", *sys.argv[1:]])),
        "options": {name: _masked(value) for name, value in options.items()},
        "seed": options.get("seed"),
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {"platform": platform.platform(), "processor": platform.machine()},
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NasxError(f"the run folder {folder} cannot be written: {error.strerror}; choose another --out") from error
    try:
        with (folder / CONFIG).open("x") as file:  # of two runs that begin at the same time, one only succeeds
            file.write(json.dumps(config, indent=2) + "\n")
    except FileExistsError as error:
        raise UsageError(
            f"{folder} already holds a run; continue it with --resume {folder} or choose another --out"
        ) from error
    except OSError as error:
        (folder / CONFIG).unlink(missing_ok=True)
        raise NasxError(f"the run folder {folder} cannot be written: {error.strerror}; choose another --out") from error
    return folder


@contextmanager
def nothing_lost(folder: Path) -> Iterator[None]:
    """Says how to continue the run of a folder, whatever stops it.

    Raises:
        NasxError: In place of an interrupt, a storage that stays away, or a disk that is full.
    """
    from nasx.storages import StorageLost

    again = f"nasx search --resume {folder}"
    try:
        yield
    except KeyboardInterrupt:
        raise NasxError(f"interrupted; nothing is lost, continue with: {again}") from None
    except StorageLost as error:
        raise NasxError(f"{error}, then continue with: {again}") from error
    except OSError as error:
        raise NasxError(
            f"{error.filename or folder} cannot be written: {error.strerror}; continue with: {again}"
        ) from error


def read_options(folder: Path) -> dict[str, Any]:
    """The options a run was started with.

    Raises:
        UsageError: If the folder holds no readable run.
    """
    try:
        return dict(json.loads((folder / CONFIG).read_text())["options"])
    except FileNotFoundError as error:
        raise UsageError(f"{folder} holds no run to resume (no {CONFIG}); type the folder of one") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / CONFIG} cannot be read as a run's configuration: {error}") from error


def _masked(value: Any) -> Any:
    return without_password(value) if isinstance(value, str) else value


def complete_options(folder: Path, stored: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The options of a run that another version of nasx may have started.

    What that version did not write down takes its default, which is what that version did.

    Args:
        folder: The run folder, for sentences.
        stored: What is written in it.
        defaults: Every option of this version.

    Raises:
        UsageError: If the run uses an option that this version has not, or an option has a value of another kind.
    """
    for name, value in stored.items():
        if name not in defaults and value not in (None, False):
            raise UsageError(
                f"the run in {folder} was started with {name}={value!r:.40}, which this version of nasx does not know; "
                "continue it with the version that its config.json names"
            )
        known = defaults.get(name)
        if isinstance(known, (int, float)) and not isinstance(value, (int, float, type(None))):
            raise UsageError(
                f"{folder / CONFIG} says {name}={value!r:.40}, which is no number; correct it or start a new run"
            )
    return {name: stored.get(name, value) for name, value in defaults.items()}


def _free(folder: Path) -> Path:
    """The folder itself, or with a number behind it where two runs start within a second."""
    candidate, number = folder, 2
    while candidate.exists():
        candidate, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return candidate


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
