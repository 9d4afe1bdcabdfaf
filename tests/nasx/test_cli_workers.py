"""``nasx search`` with workers: the options, what is printed when it ends early, and runs that share a study."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from nasx.cli import main

_OBJECTIVE = """
import os, time

def objective(cell):
    if cell[0] == "none":
        os._exit(3)
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return cell.count("nor_conv_3x3")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "slow_objective.py").write_text(_OBJECTIVE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


FIXED = [
    "search", "--space", "nasbench201", "--objective", "slow_objective:objective", "--predictor", "none", "--strategy",
    "random", "--budget", "12",
]  # fmt: skip


def nasx(*arguments: object) -> int:
    sys.argv = ["nasx", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


MISTAKES = [
    (["--study", "ours"], "--study needs a --storage"),
    (["--dask", "tcp://x:1", "--slurm", "partition=a"], "not on both"),
    (["--slurm", "partition=a"], "--slurm needs --workers"),
    (["--workers", "0"], "type at least 1"),
    (["--timeout", "0"], "leaves no time"),
    (["--heartbeat", "0"], "type a number of seconds"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes_are_one_sentence(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nasx(*FIXED, *arguments) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in folder.iterdir() if path.is_dir()] in ([], ["__pycache__"])


@pytest.mark.slow
def test_terminated_like_interrupted_then_resumed_with_other_workers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "nasx", *FIXED, "--workers", "2", "--out", "run"]
    environment = {**os.environ, "PAUSE": "1.5", "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    journal = folder / "run" / "journal.log"
    while running.poll() is None and (not journal.exists() or journal.read_text().count('"state":1,"values"') < 3):
        time.sleep(0.05)
    assert nasx("search", "--resume", "run") == 1
    assert f"nasx: run is in use by process {running.pid} on" in capsys.readouterr().err
    running.send_signal(signal.SIGTERM)
    out, errors = running.communicate(timeout=60)
    assert errors == "nasx: interrupted; nothing is lost, continue with: nasx search --resume run\n"
    assert (running.returncode, out) == (1, "")
    assert nasx("search", "--resume", "run", "--workers", 1, "--timeout", 60) == 0
    history = pd.read_csv(folder / "run" / "history.csv")
    assert len(history) == 12
    assert history["architecture"].is_unique
    assert not (folder / "run" / "lock").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_before_anything_began(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nasx.search_spaces.available", lambda: signal.raise_signal(number))
    before = signal.getsignal(signal.SIGTERM)
    interrupts = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes in the background ignore them
    try:
        assert nasx("spaces") == 1
    finally:
        signal.signal(signal.SIGINT, interrupts)
    assert capsys.readouterr().err == "nasx: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_runs_of_the_same_command_share_a_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = ["--storage", folder / "shared.log", "--study", "ours"]
    evaluations = [*FIXED[:4], "builtins:len", *FIXED[5:]]
    assert nasx(*evaluations, *shared, "--out", "first") == 0
    assert nasx(*evaluations, *shared, "--out", "second") == 0  # joins, and finds the budget spent
    histories = [(folder / name / "history.csv").read_text() for name in ("first", "second")]
    assert histories[0] == histories[1]
    assert json.loads((folder / "first" / "summary.json").read_text())["evaluations"] == 12
    capsys.readouterr()
    assert nasx(*evaluations, *shared, "--seed", 4, "--out", "third") == 2
    assert "was started with seed 0, this search with seed 4" in capsys.readouterr().err
    assert nasx("search", "--resume", "first", "--budget", 15) == 0
    assert len(pd.read_csv(folder / "first" / "history.csv")) == 15


def test_a_password_is_asked_for_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    options = {"storage": "postgresql://ada:***@nowhere/nasx", "study": "ours"}
    (folder / "run" / "config.json").write_text(json.dumps({"options": options}))
    assert nasx("search", "--resume", "run") == 2
    assert "add --storage postgresql://ada:***@nowhere/nasx with it" in capsys.readouterr().err
