"""The cache folder: kept, shared, and never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nasx.search_spaces.cache import cache_dir, cached_arrays
from nasx.search_spaces.errors import NasxError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "deep" / "data"))
    return tmp_path / "deep" / "data"


def test_folder_is_made_on_first_use(folder: Path) -> None:
    assert not folder.exists()
    assert cache_dir() == folder
    assert folder.is_dir()


def test_default_is_the_cache_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASX_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_dir().name == "nasx"


def test_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(NasxError, match="set NASX_DATA to another"):
        cache_dir()
    assert cached_arrays("numbers", lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]


def test_arrays_are_computed_once(folder: Path) -> None:
    calls = []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(3), "y": np.array([b"a", b"b"])}

    for _ in range(3):
        arrays = cached_arrays("numbers", compute)
        assert arrays["x"].tolist() == [0, 1, 2]
        assert arrays["y"].tolist() == [b"a", b"b"]
    assert len(calls) == 1
    assert [file.name for file in folder.iterdir()] == ["numbers.npz"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_damaged_files_are_computed_again(folder: Path, content: bytes) -> None:
    (cache_dir() / "numbers.npz").write_bytes(content)
    assert cached_arrays("numbers", lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
    assert cached_arrays("numbers", lambda: {})["x"].tolist() == [0, 1, 2]


def test_pickled_objects_are_not_read(folder: Path) -> None:
    np.savez(cache_dir() / "numbers.npz", x=np.array([{"a": 1}], dtype=object))
    assert cached_arrays("numbers", lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
