"""Reads what ``torch.save`` wrote, without torch: the stream of pickles of old, and the zip archive since version 1.6.

Only plain values are read; a file that holds tensors is refused, since weights lie outside the pickle.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from nasx.pickle_stream import load_stream
from nasx.pickle_window import Window
from nasx.search_spaces.errors import NasxError

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001


def load_torch(
    path: str | Path,
    allowed: Mapping[str, object],
    *,
    kind: str,
    on_dict: Callable[[dict[Any, Any]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Any:
    """The object in a file of ``torch.save``.

    Args:
        path: The file.
        allowed: The names its pickle may use, and what stands in for each; see :func:`nasx.unpickle.load_pickle`.
        kind: What the file should be, for the error messages.
        on_dict: Called with each dictionary when items were added to it; it may take items out again.
        progress: Called with the number of bytes read so far.

    Raises:
        NasxError: The file names anything else, or is truncated, foreign, damaged or unreadable.

    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table.pth"
    ...     torch.save({"cell": 0.5}, file)
    ...     load_torch(file, {}, kind="a table")
    {'cell': 0.5}
    """
    try:
        with open(path, "rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            options: Any = {"path": path, "kind": kind, "on_dict": on_dict}
            return (_load_zip if is_zip else _load_legacy)(file, allowed, options, progress)
    except NasxError:
        raise
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error}); it should be {kind}") from error
    except Exception as error:  # a damaged archive can fail in any way
        raise NasxError(
            f"{path} is not {kind}, or it is damaged or cut short ({type(error).__name__}: {error}); "
            "get the file again from its source"
        ) from error


def _load_legacy(
    file: BinaryIO, allowed: Mapping[str, object], options: Any, progress: Callable[[int], None] | None
) -> Any:
    window = Window(file, progress)
    plain = {**options, "on_dict": None}
    if load_stream(window, {}, **plain) != _MAGIC or load_stream(window, {}, **plain) != _VERSION:
        raise ValueError("it does not begin as a file of torch.save")
    load_stream(window, {}, **plain)  # sizes of numbers on the machine that wrote it
    content = load_stream(window, allowed, **options)
    if load_stream(window, {}, **plain) != [] or window.read(1):
        raise ValueError("there is more in it than expected")
    return content


def _load_zip(
    file: BinaryIO, allowed: Mapping[str, object], options: Any, progress: Callable[[int], None] | None
) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("it does not hold one file data.pkl")
        with archive.open(names[0]) as member:
            window = Window(member, progress)  # type: ignore[arg-type]
            content = load_stream(window, allowed, **options)
            if window.read(1):  # reading to the end verifies the checksum
                raise ValueError("there is more in it than expected")
            return content
