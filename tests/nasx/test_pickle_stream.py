"""Pickles read through a window: the same objects as from the plain unpickler, also after damage."""

from __future__ import annotations

import io
import pickle
import random
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.pickle_stream import load_stream
from nasx.pickle_window import LARGEST_ITEM, Memo, Window
from nasx.search_spaces.errors import NasxError
from nasx.torch_pickle import load_torch
from nasx.unpickle import PLAIN, RestrictedUnpickler


def stream(content: bytes, **options: Any) -> Any:
    return load_stream(Window(io.BytesIO(content)), PLAIN, path="file", kind="a table", **options)


def curves(epochs: int, names: tuple[str, ...] = ("x-valid", "ori-test")) -> dict[str, Any]:
    """Learning curves as the official files have them, with keys that are shared and keys that are not."""
    shared = [f"{name}@{epoch}" for name in names for epoch in range(epochs)]
    return {
        "train": {epoch: epoch / 7 for epoch in range(epochs)},
        "times": OrderedDict((epoch, 2.5) for epoch in range(epochs)),
        "accuracies": dict.fromkeys(shared, 1.5),
        "losses": dict.fromkeys(shared, -2.5),
        "seconds": {f"{name}@{epoch}": epoch + 0.25 for name in names for epoch in range(epochs)},
        "last": {f"x-test@{epochs - 1}": 1.0},
        "params": np.float64(0.5),
        "empty": {},
        "mixed": {"x-valid@0": 1.0, "x-valid@1": None, "x-valid@2": "text", 3: 4.0, (1, 2): [5.0]},
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("epochs", [1, 2, 12, 200, 300])
def test_learning_curves_of_every_protocol(protocol: int, epochs: int) -> None:
    value = {index: curves(epochs) for index in range(6)}
    loaded = stream(pickle.dumps(value, protocol=protocol))
    assert loaded == value
    assert [list(curve) for curve in loaded.values()] == [list(curve) for curve in value.values()]


@pytest.mark.parametrize("protocol", [2, 4])
def test_runs_across_the_edge_of_the_window(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle.dumps({index: curves(40) for index in range(5)}, protocol=protocol)
    for chunk in (1, 7, 64, 1000):
        monkeypatch.setattr("nasx.pickle_window._CHUNK", chunk)
        monkeypatch.setattr("nasx.pickle_stream._CHUNK", chunk, raising=False)
        assert stream(content) == {index: curves(40) for index in range(5)}


def test_names_are_not_kept_twice() -> None:
    loaded = stream(pickle.dumps([curves(200) for _ in range(3)], protocol=2))
    first, second = (list(entry["seconds"]) for entry in loaded[1:])
    assert all(one is other for one, other in zip(first, second, strict=True))


simple = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.integers(0, 700) | st.from_regex(r"[a-z-]{1,8}@[0-9]{1,3}", fullmatch=True), inner, max_size=9
        )
        | st.dictionaries(st.integers(0, 70_000), st.floats(allow_nan=False), max_size=20)
        | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(value=simple, protocol=st.integers(0, 5))
def test_anything_plain(value: Any, protocol: int) -> None:
    assert stream(pickle.dumps(value, protocol=protocol)) == value


@settings(max_examples=100, deadline=None)
@given(value=simple)
def test_pickles_without_needless_memory(value: Any) -> None:
    """What ``pickletools.optimize`` leaves has gaps in its numbers."""
    import pickletools

    shared = [value, {"x-valid@0": 1.0, "x-valid@1": 2.0}, value]
    for protocol in (2, 4):
        assert stream(pickletools.optimize(pickle.dumps(shared, protocol=protocol))) == shared


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_damage_ends_as_in_the_plain_unpickler(protocol: int) -> None:
    """The same object, or both refuse."""
    whole = pickle.dumps({index: curves(9) for index in range(2)}, protocol=protocol)
    rng, agreed = random.Random(protocol), 0
    for _ in range(1500):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 2)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            expected = RestrictedUnpickler(io.BytesIO(bytes(content)), PLAIN, "{name}").load()
        except Exception:
            expected = None
        try:
            found = stream(bytes(content))
        except NasxError:
            found = None
        if expected is not None and found is not None:
            assert repr(found) == repr(expected)
            agreed += 1
        else:
            assert found is None
            assert expected is None
    assert agreed > 100


def test_lies_about_names_and_numbers() -> None:
    """A run in which a length or a number is wrong is read entry by entry."""
    whole = pickle.dumps({f"x-valid@{epoch}": float(epoch) for epoch in range(10, 40)}, protocol=2)
    place = whole.index(b"x-valid@20")
    shorter = bytearray(whole)
    shorter[place - 4] = 9
    with pytest.raises(NasxError, match="at byte"):
        stream(bytes(shorter))
    other = whole.replace(b"x-valid@20q\x0b", b"x-valid@20q\xfb")
    assert other != whole
    assert stream(other) == pickle.loads(whole)


def test_an_item_of_gigabytes_is_refused() -> None:
    content = b"\x80\x02X" + struct.pack("<I", LARGEST_ITEM + 1) + b"a" * 100
    with pytest.raises(NasxError, match=r"an item of 16,777,217 bytes"):
        stream(content)


def test_dictionaries_may_be_emptied_on_the_way() -> None:
    def drop(items: dict[Any, Any]) -> None:
        if 0 in items:
            items.clear()

    loaded = stream(pickle.dumps([curves(20)] * 2, protocol=2), on_dict=drop)
    assert loaded[0]["train"] == {}
    assert loaded[0]["losses"] == curves(20)["losses"]


def test_memory_does_not_grow_with_the_names() -> None:
    """200,000 names are remembered as one thousand at most."""
    content = pickle.dumps([{f"x-valid@{epoch}": 0.5 for epoch in range(200)} for _ in range(1000)], protocol=2)
    loaded = stream(content)
    distinct = {id(name) for curve in loaded for name in curve}
    assert len(distinct) <= 1000
    assert len(content) > 20 * sys.getsizeof(loaded)


def test_memo() -> None:
    memo = Memo()
    memo[0] = "a"
    memo.extend(("x", "y"))
    memo[3] = "b"
    assert [memo[index] for index in range(4)] == ["a", "x", "y", "b"]
    assert (len(memo), memo.next, memo.regular) == (4, 4, True)
    assert memo.several([1, 2]) == ("x", "y")
    assert memo.several([2, 3]) == ["y", "b"]
    assert memo.several([3, 9]) is None
    memo[1] = "again"
    memo[7] = "far"
    assert (memo[1], memo[7], len(memo), memo.regular) == ("again", "far", 5, False)
    for missing in (-1, 4, 8):
        with pytest.raises(KeyError):
            memo[missing]


@pytest.mark.parametrize("legacy", [True, False])
def test_files_of_torch(legacy: bool, tmp_path: Path) -> None:
    import torch

    value = {"curves": curves(30), "set": {1, 2}, "bytes": b"\xff\x00"}
    path = tmp_path / "file.pth"
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    calls: list[int] = []
    assert load_torch(path, PLAIN, kind="a table", progress=calls.append) == value
    assert 0 < calls[-1] <= path.stat().st_size
    with pytest.raises(NasxError, match=r"collections\.OrderedDict"):
        load_torch(path, {}, kind="a table")
    for wrong in (path.read_bytes() + b"more", path.read_bytes()[:-1], b"", b"PK\x03\x04 not an archive"):
        (tmp_path / "wrong").write_bytes(wrong)
        if legacy or not wrong.startswith(path.read_bytes()):
            with pytest.raises(NasxError, match="a table"):
                load_torch(tmp_path / "wrong", PLAIN, kind="a table")
    with pytest.raises(NasxError, match="could not be read"):
        load_torch(tmp_path / "absent", PLAIN, kind="a table")
