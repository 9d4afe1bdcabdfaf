"""Run folders: written before the run begins, never over another run, readable afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasx.runs import CONFIG, complete_options, create_run, read_options
from nasx.search_spaces.errors import NasxError, UsageError


def test_options_come_back_and_versions_are_written(tmp_path: Path) -> None:
    folder = create_run(tmp_path / "run", "name", {"seed": 3, "budget": 50})
    assert read_options(folder) == {"seed": 3, "budget": 50}
    config = json.loads((folder / CONFIG).read_text())
    assert config["seed"] == 3
    assert {"python", "nasx", "torch", "numpy"} <= set(config["versions"])


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    create_run(tmp_path / "run", "name", {})
    with pytest.raises(UsageError, match="--resume"):
        create_run(tmp_path / "run", "name", {})


def test_two_runs_in_one_second_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({create_run(None, "name", {}) for _ in range(3)}) == 3


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NasxError, match="choose another --out"):
        create_run(tmp_path / "file" / "run", "name", {})


@pytest.mark.parametrize("text", [None, "{", "[]", '{"options": 3}'])
def test_a_folder_without_a_run(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / CONFIG).write_text(text)
    with pytest.raises(UsageError):
        read_options(tmp_path)


def test_passwords_are_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://ada:secret@host/nasx"
    monkeypatch.setattr("sys.argv", ["nasx", "search", "--storage", url])
    folder = create_run(tmp_path / "run", "name", {"storage": url})
    assert "secret" not in (folder / CONFIG).read_text()
    assert read_options(folder) == {"storage": "postgresql://ada:***@host/nasx"}


def test_a_run_of_an_older_version_takes_defaults_for_what_it_did_not_know(tmp_path: Path) -> None:
    defaults = {"budget": 150, "acquisition": "mean", "workers": None}
    assert complete_options(tmp_path, {"budget": 40}, defaults) == {**defaults, "budget": 40}
    assert complete_options(tmp_path, {"budget": 40, "gone": None}, defaults)["budget"] == 40
    assert complete_options(tmp_path, {"workers": None}, {"workers": 2}) == {"workers": None}
    with pytest.raises(UsageError, match=r"was started with islands=4, which this version of nasx does not know"):
        complete_options(tmp_path, {"islands": 4}, defaults)
    with pytest.raises(UsageError, match="says budget='many', which is no number"):
        complete_options(tmp_path, {"budget": "many"}, defaults)
