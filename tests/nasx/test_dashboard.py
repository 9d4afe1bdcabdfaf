"""optuna-dashboard shows architectures, predictions and drawings."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from threading import Thread
from wsgiref.simple_server import make_server

import optuna
import pytest
from typer.testing import CliRunner

import nasx
from nasx import cli
from nasx.dashboard import annotate, note
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.storages import open_storage

SPACE = NASBench201()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with a journal, as ``nasx search`` leaves it."""
    options = {"space": "nasbench201", "objective": "math:fsum", "direction": None, "seed": 0, "storage": None}
    (tmp_path / "config.json").write_text(json.dumps({"options": options}))
    common = {"budget": 8, "initial": 5, "batch": 3, "candidates": 50, "storage": tmp_path / "journal.log"}
    nasx.search(SPACE, lambda cell: cell.count("nor_conv_3x3"), predictor="trees", **common)
    return tmp_path


def study_of(run: Path) -> optuna.Study:
    return optuna.load_study(study_name="nasx", storage=open_storage(run / "journal.log"))


def test_every_trial_has_a_note(run: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard: pip install 'nasx[dashboard]'")
    study = study_of(run)
    assert annotate(study, SPACE, run / "artifacts") == 8
    again = study_of(run)  # as another process reads the journal
    last = again.get_trials()[-1]
    body = dashboard.get_note(optuna.trial.Trial(again, last._trial_id))
    assert body.startswith(f"`{last.user_attrs['architecture']}`")
    assert f"**{last.user_attrs['predicted']:.6g}**" in body
    assert "│ output │" in body
    assert annotate(again, SPACE, run / "artifacts") == 0
    best = dashboard.get_note(again)
    assert again.best_trial.user_attrs["architecture"] in best
    pictures = list((run / "artifacts").iterdir())
    assert pictures
    assert all(path.read_text().startswith("<svg") for path in pictures)
    assert all(path.name in best for path in pictures)


def test_the_picture_is_where_the_note_says(run: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard: pip install 'nasx[dashboard]'")
    done = CliRunner().invoke(cli.app, ["dashboard", str(run), "--no-serve"])
    assert done.exit_code == 0, done.output
    assert "notes of 8 trials written" in done.output
    study = study_of(run)
    store = optuna.artifacts.FileSystemArtifactStore(run / "artifacts")
    server = make_server("127.0.0.1", 0, dashboard.wsgi(study._storage, artifact_store=store))
    thread = Thread(target=server.handle_request, daemon=True)
    thread.start()
    address = dashboard.get_note(study).split("![picture](")[1].split(")")[0]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{server.server_port}{address}", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.read().startswith(b"<svg")
    thread.join()
    server.server_close()


def test_notes_of_every_kind_of_prediction() -> None:
    graph = SPACE.graph(("nor_conv_3x3",) * 6)
    assert "**nothing**" in note("cell", graph, None)
    assert "accuracy **93.5**, latency **nothing**" in note("cell", graph, {"accuracy": 93.5, "latency": None})


def test_without_the_package(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(NasxError, match=r'pip install "nasx\[dashboard\]"'):
        annotate(study_of(run), SPACE)
    failed = CliRunner().invoke(cli.app, ["dashboard", str(run)])
    assert isinstance(failed.exception, NasxError)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard: pip install 'nasx[dashboard]'")
    failed = CliRunner().invoke(cli.app, ["dashboard", str(tmp_path)])
    assert isinstance(failed.exception, NasxError)
    assert "holds no run" in str(failed.exception)
