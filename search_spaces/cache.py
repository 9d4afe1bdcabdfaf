"""The folder for things that are computed or imported once and kept: enumerations, imported tables."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nasx.search_spaces.errors import NasxError

Arrays = dict[str, np.ndarray]
UNFINISHED = "unfinished"
"""Folder in the cache folder for parts of something long, to be deleted when the whole is stored."""


def cache_dir() -> Path:
    """Returns the cache folder, made on first use: ``$NASX_DATA``, or ``nasx`` in the user's cache folder.

    Raises:
        NasxError: If the folder cannot be made.
    """
    given = os.environ.get("NASX_DATA")
    if given:
        folder = Path(given).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_cache_dir("nasx", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NasxError(f"cannot make the folder {folder} ({error.strerror}); set NASX_DATA to another") from error
    return folder


def cached_arrays(name: str, compute: Callable[[], Arrays]) -> Arrays:
    """Returns arrays from the cache folder, or computes and keeps them.

    A damaged file is computed again; a folder that cannot be written costs the computation, never an error. The file
    appears at once and complete, so that processes may share the folder.

    Args:
        name: File name without ending, in folders if it has slashes; put a version in it that changes with the meaning
            of the arrays.
        compute: Makes the arrays, none of them of Python objects.
    """
    damaged = OSError, ValueError, EOFError, KeyError, NasxError, zipfile.BadZipFile, zlib.error
    with contextlib.suppress(*damaged), np.load(cache_dir() / f"{name}.npz", allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}
    arrays = compute()
    with contextlib.suppress(OSError, NasxError):
        _write(cache_dir() / f"{name}.npz", arrays)
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Writes beside the file, then renames over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
