"""TFRecord files, read and written without TensorFlow.

A file is a row of records; each is the length of its payload (8 bytes), a checksum of the length, the payload, a
checksum of the payload, all little-endian. A checksum is the CRC-32C, turned right by 15 bits, plus a constant.

Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from nasx.search_spaces.errors import NasxError, UsageError

Progress = Callable[[int, int], None]

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_BUFFER = 1 << 20  # bytes read at once, and between two reports of progress


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files.

    >>> hex(masked_crc(b"123456789"))  # CRC-32C 0xe3069283
    '0xc78ab0e5'
    """
    import google_crc32c

    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path: str | Path, progress: Progress | None = None) -> Iterator[tuple[int, bytes]]:
    """Yields the offset and the payload of each record; every checksum is verified before its bytes are used.

    Args:
        path: The file.
        progress: Called with the bytes read so far and the size of the file, about once a megabyte and at the end.

    Raises:
        UsageError: There is no such file.
        NasxError: It cannot be read, is no TFRecord file, is cut short, or a byte is wrong; the message says where.
    """
    path = Path(path)
    try:
        with open(path, "rb", buffering=_BUFFER) as file:
            yield from _records(file, path, os.fstat(file.fileno()).st_size, progress)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except OSError as error:
        raise NasxError(f"{path} cannot be read ({error.strerror or error})") from error


def write_records(path: str | Path, payloads: Iterable[bytes]) -> None:
    """Writes payloads as a TFRecord file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_records(f"{folder}/two.tfrecord", [b"one", b"another"])
    ...     list(read_records(f"{folder}/two.tfrecord"))
    [(0, b'one'), (19, b'another')]
    """
    with open(path, "wb", buffering=_BUFFER) as file:
        file.writelines(map(framed, payloads))


def framed(payload: bytes) -> bytes:
    """A payload as one record, with its length and both checksums."""
    length = struct.pack("<Q", len(payload))
    return b"".join((length, _CHECKSUM.pack(masked_crc(length)), payload, _CHECKSUM.pack(masked_crc(payload))))


def _records(file: BinaryIO, path: Path, size: int, progress: Progress | None) -> Iterator[tuple[int, bytes]]:
    from google_crc32c import value as crc32c

    offset, number, reported = 0, 1, 0
    read, unpack_head, unpack_checksum, head_size = file.read, _HEAD.unpack, _CHECKSUM.unpack_from, _HEAD.size
    while offset < size:
        head = read(head_size)
        if len(head) < head_size:
            raise _cut(path, size, number, offset)
        length, expected = unpack_head(head)
        crc = crc32c(head[:8])
        if ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF != expected:
            if number == 1:
                raise NasxError(f"{path} is no TFRecord file, or damaged at its very beginning (record 1, byte 0)")
            raise NasxError(
                f"{path} is damaged: the length of record {number:,} (byte {offset:,}) does not fit its checksum"
            )
        body = read(length + 4) if length <= size - offset else b""  # a length may be wrong though its checksum fits
        if len(body) != length + 4:
            raise _cut(path, size, number, offset)
        payload = body[:-4]
        crc = crc32c(payload)
        if ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF != unpack_checksum(body, length)[0]:
            raise NasxError(
                f"{path} is damaged: the contents of record {number:,} (byte {offset:,}) do not fit their checksum"
            )
        yield offset, payload
        offset += length + 16
        number += 1
        if progress is not None and offset - reported >= _BUFFER:
            progress(offset, size)
            reported = offset
    if progress is not None:
        progress(offset, size)


def _cut(path: Path, size: int, number: int, offset: int) -> NasxError:
    return NasxError(
        f"{path} is cut short: record {number:,} (byte {offset:,}) goes beyond the end of the file at byte {size:,}"
    )
