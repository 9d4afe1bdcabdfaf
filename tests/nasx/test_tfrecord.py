"""TFRecord framing: checksums, damage, and where it is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasx.search_spaces.errors import NasxError, UsageError
from nasx.tfrecord import framed, masked_crc, read_records, write_records

PAYLOADS = [b"first", b"", b"third, a longer one", bytes(300)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_records(tmp_path / "four.tfrecord", PAYLOADS)
    return tmp_path / "four.tfrecord"


def test_checksum_of_rfc_3720() -> None:
    crc = 0x8A9136AA  # CRC-32C of 32 zero bytes, RFC 3720 appendix B.4
    assert masked_crc(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_layout_of_a_record() -> None:
    """As TensorFlow's TFRecordWriter writes it: length, checksum of the length, payload, checksum of the payload."""
    record = framed(b"abc")
    assert record[:8] == struct.pack("<Q", 3)
    assert record[8:12] == struct.pack("<I", masked_crc(record[:8]))
    assert record[12:15] == b"abc"
    assert record[15:] == struct.pack("<I", masked_crc(b"abc"))


def test_written_and_read(file: Path) -> None:
    assert [payload for _, payload in read_records(file)] == PAYLOADS
    assert [offset for offset, _ in read_records(str(file))] == [0, 21, 37, 72]
    assert file.stat().st_size == 72 + 316


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_any_payloads(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    write_records(path, payloads)
    assert [payload for _, payload in read_records(path)] == payloads


def test_progress_ends_at_the_size(file: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    list(read_records(file, lambda done, total: reports.append((done, total))))
    assert reports == [(file.stat().st_size,) * 2]
    big = tmp_path / "big"
    write_records(big, [bytes(400_000)] * 10)
    reports.clear()
    list(read_records(big, lambda done, total: reports.append((done, total))))
    assert len(reports) == 4
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert reports[-1] == (4_000_160, 4_000_160)


def test_every_flipped_byte_is_found(file: Path) -> None:
    original = file.read_bytes()
    starts = [0, 21, 37, 72]
    rng = np.random.default_rng(0)
    for place in range(len(original)):
        damaged = bytearray(original)
        damaged[place] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged)
        number = sum(start <= place for start in starts)
        where = rf"record {number} \(byte {starts[number - 1]}\)" if number > 1 else r"record 1(, | \()byte 0\)"
        with pytest.raises(NasxError, match=where) as error:
            list(read_records(file))
        assert "\n" not in str(error.value)


def test_every_cut_is_found(file: Path) -> None:
    original = file.read_bytes()
    for end in range(1, len(original)):
        file.write_bytes(original[:end])
        if end in (21, 37, 72):
            assert len(list(read_records(file))) == (21, 37, 72).index(end) + 1  # a whole number of records
        else:
            with pytest.raises(NasxError, match=rf"is cut short: record \d .* the end of the file at byte {end}"):
                list(read_records(file))


def test_length_beyond_the_file_is_not_read_at_once(file: Path) -> None:
    length = struct.pack("<Q", 2**62)
    file.write_bytes(framed(b"good") + length + struct.pack("<I", masked_crc(length)) + b"end")
    with pytest.raises(NasxError, match=r"cut short: record 2 \(byte 20\)"):
        list(read_records(file))


def test_records_before_the_damage_are_yielded(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    records = read_records(file)
    assert [next(records)[1] for _ in range(3)] == PAYLOADS[:3]
    with pytest.raises(NasxError, match="record 4"):
        next(records)


def test_other_files(tmp_path: Path) -> None:
    for name, contents in (("page.html", b"<!doctype html><html>not found</html>"), ("short", b"abc")):
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(NasxError, match=f"{name} is (no TFRecord file|cut short)"):
            list(read_records(tmp_path / name))
    (tmp_path / "empty").touch()
    assert list(read_records(tmp_path / "empty")) == []
    with pytest.raises(UsageError, match="there is no file"):
        list(read_records(tmp_path / "absent"))
    with pytest.raises(NasxError, match="cannot be read"):
        list(read_records(tmp_path))
