"""nasx search with several objectives, as it is typed."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pandas as pd
import pytest

from nasx import cli

CORA = ["search", "--benchmark", "nasbench-graph", "--dataset", "cora"]
FRONT = [*CORA, "--objective", "validation_accuracy", "--objective", "latency", "--budget", "16", "--initial", "8"]


@pytest.fixture
def nasx(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Types a command; gives its exit code and what it printed."""

    def typed(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["nasx", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return typed


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = types.ModuleType("my_goals")
    functions.accuracy = lambda cell: float(cell.count("nor_conv_3x3"))  # type: ignore[attr-defined]
    functions.latency_ms = lambda cell: 1.0 + 2.0 * cell.count("nor_conv_3x3")  # type: ignore[attr-defined]
    functions.charm = lambda cell: 1.0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_goals", functions)


def test_search_resume_and_the_folder(nasx, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "run"
    code, text = nasx(*FRONT, "--predictor", "trees", "--candidates", "100", "--batch", "8", "--out", out)
    assert code == 0, text
    assert "true Pareto points found" in text
    assert "without predictors" in text
    names = {path.name for path in out.iterdir()}
    assert names >= {"config.json", "history.csv", "pareto.csv", "pareto.png", "hypervolume.png", "summary.json"}
    first = (out / "history.csv").read_bytes()
    code, text = nasx("search", "--resume", out)
    assert code == 0, text
    assert (out / "history.csv").read_bytes() == first
    summary = json.loads((out / "summary.json").read_text())
    assert summary["share_of_true_hypervolume"] > 0
    assert summary["without_predictors"]["evaluations"] == 16


def test_one_objective_and_a_limit_nobody_keeps(nasx, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "run"
    code, text = nasx(*CORA, "--limit", "latency=0.0000001", "--predictor", "none", "--budget", "12", "--out", out)
    assert code == 0, text
    assert "keeps latency <= 1e-07; closest is" in " ".join(text.split())
    assert len(pd.read_csv(out / "pareto.csv")) == 0


def test_functions_of_ones_own(nasx, module: None, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    words = ["search", "--space", "nasbench201", "--objective", "my_goals:accuracy", "--predictor", "none"]
    out = tmp_path / "run"
    code, text = nasx(
        *words, "--objective", "my_goals:latency_ms", "--limit", "latency_ms=9", "--budget", "30", "--out", out
    )
    assert code == 0, text
    front = pd.read_csv(out / "pareto.csv")
    assert (front["latency_ms"] == 1 + 2 * front["accuracy"]).all()
    assert front["latency_ms"].max() <= 9
    again = [*words, "--objective", "my_goals:charm", "--budget", "12"]
    code, text = nasx(*again, "--out", tmp_path / "unclear")
    assert (code, "not clear from its name" in text) == (2, True)
    code, text = nasx(*again, "--direction", "charm=minimize", "--out", tmp_path / "said")
    assert code == 0, text


def test_several_workers(nasx, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "run"
    code, text = nasx(*FRONT, "--predictor", "none", "--workers", "2", "--out", out)
    assert code == 0, text
    assert len(pd.read_csv(out / "history.csv")) == 16
    code, text = nasx("search", "--resume", out, "--budget", "18", "--workers", "3")
    assert code == 0, text
    history = pd.read_csv(out / "history.csv")
    assert (len(history), history["architecture"].is_unique) == (18, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*CORA, "--objective", "accuracy", "--objective", "latency"], "unknown metric 'accuracy'"),
        ([*CORA, "--objective", "latency", "--objective", "latency"], "given twice"),
        ([*CORA, "--objective", "latency"], "A single metric of a benchmark is a --target"),
        ([*CORA, "--limit", "latency"], "name=value"),
        ([*CORA, "--limit", "latency=quick"], "no number"),
        ([*CORA, "--limit", "speed=1"], "unknown metric 'speed'"),
        ([*CORA, "--limit", "latency=1", "--limit", "latency=2"], "given twice"),
        ([*FRONT, "--strategy", "evolution"], "one objective only"),
        ([*FRONT, "--acquisition", "ei"], "--acquisition does not go with several"),
        ([*FRONT, "--workers", "0"], "0 workers evaluate nothing"),
        ([*FRONT, "--study", "ours"], "--study needs a --storage"),
        ([*FRONT, "--budget", "4"], "smaller than the initial"),
        ([*FRONT, "--objective", "my_goals:accuracy"], "not some of each"),
        (["search", "--objective", "my_goals:accuracy", "--objective", "my_goals:charm"], "with --space"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    nasx, module: None, words: list[str], sentence: str, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    code, text = nasx(*words, "--out", tmp_path / "run")
    assert code == 2
    assert sentence in text
    assert text.count("\n") == 1
    assert not (tmp_path / "run").exists()
