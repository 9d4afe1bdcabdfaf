"""The journal: durable lines, one way of measuring, one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasx.latency_journal import Journal
from nasx.search_spaces.errors import NasxError, UsageError

SETTINGS = {"runs": 3, "shapes": {"x": (1, 2)}}


def test_lines_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.jsonl"
    with Journal(path, SETTINGS, {"processor": "fast"}) as journal:
        journal.append({"network": "a", "latency_ms": 1.5})
        assert path.read_bytes().endswith(b'{"network": "a", "latency_ms": 1.5}\n')
    path.write_bytes(path.read_bytes() + b'{"network": "b", "lat')
    with Journal(path, SETTINGS, {"processor": "other"}) as journal:
        assert journal.records == [{"network": "a", "latency_ms": 1.5}]
        assert journal.machine == {"processor": "fast"}
        journal.append({"network": "b", "latency_ms": 2.5})
    with Journal(path, SETTINGS, {}) as journal:
        assert [record["network"] for record in journal.records] == ["a", "b"]


def test_a_half_written_first_line_is_a_new_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"format": "nas')
    with Journal(path, SETTINGS, {}) as journal:
        assert journal.records == []
    assert path.read_text().count("\n") == 1


def test_other_settings_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    Journal(path, SETTINGS, {}).__exit__(None, None, None)
    with pytest.raises(UsageError, match="was begun with runs=3, not 4"):
        Journal(path, {**SETTINGS, "runs": 4}, {})
    for text in ("no journal\n", '{"a": 1}\n', '{"format": "nasx-latency-journal"}\n'):
        path.write_text(text)
        with pytest.raises(NasxError, match="no journal of nasx latency measure"):
            Journal(path, SETTINGS, {})
        assert path.read_text() == text


def test_one_process_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl", reason="file locks of POSIX systems")
    with Journal(tmp_path / "a.jsonl", SETTINGS, {}), pytest.raises(NasxError, match="another process is measuring"):
        Journal(tmp_path / "a.jsonl", SETTINGS, {})
