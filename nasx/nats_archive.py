"""The files of a NATS-Bench folder, or of the archive it comes in, one after the other and decompressed."""

from __future__ import annotations

import bz2
import os
import re
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from nasx.search_spaces.errors import NasxError

#: Bytes of a file, compressed or not; one architecture takes about half a megabyte.
LARGEST_ENTRY = 64 << 20

_ENTRY = re.compile(r"(meta|\d{1,6})\.pickle\.pbz2")
_AGAIN = "get the file again from its source"


def read_entries(path: Path, progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[str, Path, bytes]]:
    """Reads ``meta.pickle.pbz2`` and ``NNNNNN.pickle.pbz2``; other files are passed over. Nothing is unpacked to disk.

    Args:
        path: A folder, or a ``.tar`` file of one.
        progress: Called with the bytes read and all there are.

    Yields:
        ``"meta"`` or the number, the name for error messages, and the contents, whose checksums are verified.

    Raises:
        NasxError: The folder or archive, or a file in it, is damaged, cut short or unreadable.
    """
    return _decompressed(_entries(path, progress))


def _entries(path: Path, progress: Callable[[int, int], None] | None) -> Iterator[tuple[str, Path, bytes]]:
    """(``"meta"`` or number, name for error messages, compressed bytes) of each file of the folder or archive."""
    try:
        if path.is_dir():
            files = [(found[1], file) for file in sorted(path.iterdir()) if (found := _ENTRY.fullmatch(file.name))]
            done, size = 0, sum(file.stat().st_size for _, file in files)
            for name, file in files:
                data = file.read_bytes()
                done += len(data)
                if progress is not None:
                    progress(done, size)
                yield name, file, data
            return
        size = path.stat().st_size
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                found = _ENTRY.fullmatch(member.name.rsplit("/", 1)[-1])
                if found and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.size <= LARGEST_ENTRY:
                    stream = archive.extractfile(member)
                    assert stream is not None  # as it is a regular file
                    yield found[1], path / found[0], stream.read()
                if progress is not None:
                    progress(min(member.offset_data + member.size, size), size)
    except OSError as error:
        raise NasxError(f"{error.filename or path} could not be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged archive can fail in any way
        raise NasxError(f"{path} is damaged, cut short or no .tar file ({error}); {_AGAIN}") from error


def _decompressed(entries: Iterable[tuple[str, Path, bytes]]) -> Iterator[tuple[str, Path, bytes]]:
    """The same entries with their contents, decompressed ahead of time on other cores."""
    waiting: deque[tuple[str, Path, Future[bytes]]] = deque()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            for name, path, data in entries:
                waiting.append((name, path, pool.submit(_decompress, path, data)))
                if len(waiting) > 8:
                    first, where, contents = waiting.popleft()
                    yield first, where, contents.result()
            while waiting:
                first, where, contents = waiting.popleft()
                yield first, where, contents.result()
        finally:
            for *_, contents in waiting:
                contents.cancel()


def _decompress(path: Path, data: bytes) -> bytes:
    """The contents of a bzip2 file, whose checksums are verified."""
    decompressor = bz2.BZ2Decompressor()
    try:
        contents = decompressor.decompress(data, LARGEST_ENTRY)
    except (OSError, ValueError) as error:
        raise NasxError(f"{path} is damaged or no bzip2 file ({error}); {_AGAIN}") from error
    if not decompressor.eof or decompressor.unused_data:
        raise NasxError(f"{path} is damaged or cut short; {_AGAIN}")
    return contents
