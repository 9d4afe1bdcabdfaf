from __future__ import annotations

import contextlib
import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.search_spaces.errors import NasxError
from nasx.unpickle import NUMPY_FLOATS, PLAIN, Record, load_pickle


class Foreign:
    def __init__(self) -> None:
        self.accuracy = 91.5


class Evil:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("pickled-code-was-run",)


def write(tmp_path: Path, content: object, protocol: int = 4) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {"a": [1, 2.5, None, True], (1, 2): "text", 3: {"b": (4, "c")}}
    assert load_pickle(write(tmp_path, value, protocol), {}, kind="a table") == value


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_numpy_floats_become_floats(tmp_path: Path, protocol: int) -> None:
    value = {"accuracy": np.float64(0.25), "loss": np.float64(np.pi)}
    loaded = load_pickle(write(tmp_path, value, protocol), NUMPY_FLOATS, kind="a table")
    assert loaded == {"accuracy": 0.25, "loss": np.pi}
    assert {type(v) for v in loaded.values()} == {float}


@pytest.mark.parametrize("value", [np.float32(1), np.int64(1), np.complex128(1), np.array([1.0], dtype=">f8")])
def test_other_numpy_types_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(NasxError, match="get the file again"):
        load_pickle(write(tmp_path, value), NUMPY_FLOATS, kind="a table")


NUMBERS = [np.dtype(code).type(1) for code in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", NUMBERS)
def test_numpy_numbers_of_every_size_become_plain_ones(tmp_path: Path, protocol: int, value: np.generic) -> None:
    loaded = load_pickle(write(tmp_path, value, protocol), PLAIN, kind="a table")
    assert loaded == value.item()
    assert type(loaded) is type(value.item())


@pytest.mark.parametrize("protocol", range(6))
def test_plain_containers_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {"order": OrderedDict([(2, "b"), (1, "a")]), "set": {1, 2}, "bytes": b"\x00\xff", "none": b""}
    loaded = load_pickle(write(tmp_path, value, protocol), PLAIN, kind="a table")
    assert loaded == value
    assert list(loaded["order"]) == [2, 1]
    assert type(loaded["order"]) is dict


@pytest.mark.parametrize(
    "value",
    [np.complex128(1), np.array([1.0]), np.datetime64("2020-01-01"), np.dtype(">f8"), np.float64, defaultdict(int)],
)
def test_other_things_are_no_plain_values(tmp_path: Path, value: object) -> None:
    with pytest.raises(NasxError, match="get the file again"):
        load_pickle(write(tmp_path, value, 2), PLAIN, kind="a table")


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02ccollections\nOrderedDict\n}X\x01\0\0\0aK\x01sb.",  # gives a stand-in a state
        b"\x80\x02cnumpy.core.multiarray\nscalar\nN}X\x01\0\0\0aK\x01s\x86b.",
        b"\x80\x02ccollections\nOrderedDict\nK\x05\x85R.",
        b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x05\0\0\0rot13\x86R.",
        b"\x80\x02}}b.",
    ],
)
def test_stand_ins_cannot_be_changed_or_abused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NasxError, match="damaged"):
        load_pickle(write(tmp_path, content), PLAIN, kind="a table")
    assert load_pickle(write(tmp_path, OrderedDict(a=1), 2), PLAIN, kind="a table") == {"a": 1}


@pytest.mark.parametrize("protocol", [2, 4])
def test_named_classes_become_records(tmp_path: Path, protocol: int) -> None:
    path = write(tmp_path, {"cell": Foreign()}, protocol)
    record = load_pickle(path, {f"{__name__}.Foreign": Record}, kind="a table")["cell"]
    assert type(record) is Record
    assert record.fields == {"accuracy": 91.5}


def test_anything_else_is_refused_by_name_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NasxError, match=r"posix\.mkdir|nt\.mkdir"):
        load_pickle(write(tmp_path, Evil()), {}, kind="a table")
    assert not (tmp_path / "pickled-code-was-run").exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04.", b"\x80\x04cos\nsystem\n.", b"\x80\x02R."])
def test_foreign_files(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NasxError, match="a table"):
        load_pickle(write(tmp_path, content), {}, kind="a table")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(NasxError, match="could not be read"):
        load_pickle(tmp_path / "absent", {}, kind="a table")


def test_truncated_file(tmp_path: Path) -> None:
    whole = pickle.dumps({i: [float(i), "x" * i] for i in range(20)})
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(NasxError):
            load_pickle(write(tmp_path, whole[:length]), {}, kind="a table")


WHOLE = pickle.dumps({i: {"a": np.float64(i), "b": (1, "z", Foreign())} for i in range(5)}, protocol=3)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_flipped_byte_is_a_value_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    content = bytearray(WHOLE)
    content[position] = byte
    path = write(tmp_path_factory.getbasetemp(), bytes(content))
    allowed = {**NUMPY_FLOATS, f"{__name__}.Foreign": Record}
    with contextlib.suppress(NasxError):
        load_pickle(path, allowed, kind="a table")
