"""The command line: what it prints and writes, and one sentence with an exit code for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from nasx.cli import main
from nasx.search_spaces.nasbench201 import NASBench201

SPACE = NASBench201()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table over every tenth cell of NAS-Bench-201 with made-up accuracies."""
    cells = [SPACE.architecture(i) for i in range(0, 15625, 10)]
    accuracy = [
        50 + 5 * cell.count("nor_conv_3x3") + 3 * cell.count("nor_conv_1x1") - cell.count("none") for cell in cells
    ]
    path = tmp_path_factory.mktemp("table") / "mine.csv"
    noisy = [value + (i * 7919 % 100) / 200 for i, value in enumerate(accuracy)]
    pd.DataFrame({"architecture": map(SPACE.format, cells), "accuracy": accuracy, "test_accuracy": noisy}).to_csv(
        path, index=False
    )
    return path


def nasx(*arguments: object) -> int:
    """Runs the command line; returns its exit code."""
    sys.argv = ["nasx", *map(str, arguments)]
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def search(table: Path, out: Path, *more: object) -> int:
    return nasx(
        "search", "--benchmark", table, "--space", "nasbench201", "--target", "accuracy", "--predictor", "trees",
        "--strategy", "random", "--budget", 16, "--initial", 8, "--batch", 8, "--out", out, *more,
    )  # fmt: skip


def test_search_writes_the_run_folder_and_says_where(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(table, tmp_path / "run") == 0
    screen = capsys.readouterr()
    assert str(tmp_path / "run") in screen.out.replace("\n", "")
    assert "without predictor" in screen.out
    assert screen.err == ""  # no progress bar where there is no terminal
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(summary) >= {
        "best_architecture", "best_value", "best_rank", "regret", "evaluations", "failed", "duplicates_avoided",
        "kendall_tau", "kendall_tau_pairs", "fit_seconds", "score_seconds", "total_seconds",
    }  # fmt: skip
    assert summary["evaluations"] == 16
    assert summary["failed"] == 0  # only cells that the table holds are proposed
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "best.json", "config.json", "history.csv", "history-without-predictor.csv", "journal.log", "predictor",
        "ranking.parquet", "ranking.png", "search.png", "summary.json",
    }  # fmt: skip
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert list(history.columns) == ["round", "architecture", "predicted", "value", "best_so_far", "state"]
    assert len(history) == 16
    ranking = pd.read_parquet(tmp_path / "run" / "ranking.parquet")
    assert len(ranking) == 1563
    assert summary["kendall_tau_pairs"] == 1563 - ranking["trained"].sum()


def test_resume_continues_and_extends(table: Path, tmp_path: Path) -> None:
    assert search(table, tmp_path / "run") == 0
    first = pd.read_csv(tmp_path / "run" / "history.csv")
    assert nasx("search", "--resume", tmp_path / "run", "--budget", 24) == 0
    second = pd.read_csv(tmp_path / "run" / "history.csv")
    assert len(second) == 24
    pd.testing.assert_frame_equal(second.head(16), first)


def test_evaluate_prints_and_writes_tables(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = nasx(
        "evaluate", "--benchmark", table, "--space", "nasbench201", "--target", "accuracy", "--rank-against",
        "test_accuracy", "--predictor", "trees", "--train-size", "50", "--train-size", "5%", "--repeats", 2,
        "--out", tmp_path / "evaluation",
    )  # fmt: skip
    assert code == 0
    assert "tau" in capsys.readouterr().out
    summary = pd.read_csv(tmp_path / "evaluation" / "summary.csv")
    assert list(summary["train_size"]) == [50, 78]
    assert {"predictor", "repeats", "kendall_tau_mean", "kendall_tau_std", "spearman_mean"} <= set(summary.columns)
    assert (summary["kendall_tau_mean"] > 0.3).all()
    assert len(pd.read_csv(tmp_path / "evaluation" / "evaluation.csv")) == 4


def test_a_large_grid_is_one_table_on_the_screen(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [word for size in (20, 30, 40, 50, 60) for word in ("--train-size", size)]
    fixed = ["--benchmark", table, "--space", "nasbench201", "--target", "accuracy", "--predictor", "trees"]
    assert nasx("evaluate", *fixed, *sizes, "--repeats", 1) == 0
    out = capsys.readouterr().out
    assert out.count("trees") == 1
    assert "fit at the" in out
    assert "precision" not in out
    assert "perfect predictor" in out


def test_evaluate_by_a_named_split(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = ["--benchmark", table, "--space", "nasbench201", "--target", "accuracy", "--predictor", "trees"]
    rest = ["--train-size", "50", "--repeats", 1, "--split", "prefix", "--validation-size", 20, "--out", tmp_path / "p"]
    assert nasx("evaluate", *fixed, *rest) == 0
    out = capsys.readouterr().out
    assert "split: prefix, 20 for validation" in out
    assert "perfect predictor" in out
    row = pd.read_csv(tmp_path / "p" / "evaluation.csv").iloc[0]
    assert row["test_rows"] > 50
    assert row["split"].startswith("prefix-")
    assert nasx("evaluate", *fixed, "--split", "sideways") == 2
    assert "by-function" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["spaces", "predictors", "strategies", "data list"])
def test_listings_are_one_line_each(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nasx(*command.split()) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) >= 2
    assert all(len(line.split()) > 2 for line in lines)


def test_import_then_use_by_name(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nasx("data", "import", "mine", table, "--space", "nasbench201") == 0
    assert nasx("data", "list") == 0
    assert "mine" in capsys.readouterr().out
    code = nasx(
        "search", "--benchmark", "mine", "--target", "accuracy", "--predictor", "none", "--budget", 5,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0


MISTAKES = [
    (["search", "--benchmark", "nasbench202"], 2, "did you mean 'nasbench201'"),
    (["search", "--predictor", "tree"], 2, "did you mean 'trees'"),
    (["search", "--strategy", "evolve"], 2, "known: evolution"),
    (["search", "--benchmark", "nasbench-graph", "--dataset", "cara"], 2, "did you mean 'cora'"),
    (
        ["search", "--benchmark", "nasbench-graph", "--dataset", "cora", "--target", "accuracy"],
        2,
        "validation_accuracy",
    ),
    (
        ["search", "--benchmark", "nasbench-graph", "--dataset", "cora", "--budget", "10"],
        2,
        "smaller than the initial sample of 20",
    ),
    (["search", "--benchmark", "nasbench-graph", "--dataset", "cora", "--budget", "ten"], 2, "--budget"),
    (["search", "--resume", "nowhere"], 2, "holds no run"),
    (["search", "--resume", "nowhere", "--seed", "3"], 2, "--seed cannot be changed"),
    (["evaluate", "--benchmark", "nasbench-graph", "--dataset", "cora", "--train-size", "0"], 2, "0"),
    (["evaluate", "--benchmark", "nasbench-graph", "--dataset", "cora", "--train-size", "-5"], 2, "-5"),
    (["evaluate", "--benchmark", "nasbench-graph", "--dataset", "cora", "--train-size", "30000"], 2, "26,206"),
    (["evaluate", "--benchmark", "nasbench-graph", "--dataset", "cora", "--train-size", "abc%"], 2, "abc%"),
    (["evaluate", "--benchmark", "missing.csv", "--space", "nasbench201"], 2, "missing.csv"),
    (["data", "import", "x", "missing.csv", "--space", "nasbench201"], 2, "missing.csv"),
    (["dance"], 2, "dance"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), MISTAKES)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nasx(*arguments) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []  # nothing half-written


def test_a_run_folder_is_not_overwritten(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert search(table, tmp_path) == 2
    assert "already holds a run" in capsys.readouterr().err


def test_ctrl_c_says_how_to_continue(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nasx.tabular import TabularBenchmark

    calls = 0

    def interrupted(self: TabularBenchmark, architecture: object) -> float:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise KeyboardInterrupt
        return float(calls)

    with monkeypatch.context() as patch:
        patch.setattr(TabularBenchmark, "__call__", interrupted)
        assert search(table, tmp_path / "run") == 1
    assert f"nasx search --resume {tmp_path / 'run'}" in capsys.readouterr().err
    assert nasx("search", "--resume", tmp_path / "run") == 0
    values = pd.read_csv(tmp_path / "run" / "history.csv")["value"]
    assert list(values[:11]) == [float(i) for i in range(1, 12)]


def test_ctrl_c_while_a_compiled_module_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(prog_name: str) -> None:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    monkeypatch.setattr("nasx.cli.app", load)
    assert nasx("spaces") == 1
    assert capsys.readouterr().err == "nasx: interrupted\n"


def test_help_needs_no_heavy_import() -> None:
    script = (
        "import sys; sys.argv = ['nasx', '--help']\n"
        "from nasx.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'optuna', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_a_grid_becomes_a_report(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "grid"
    fixed = ["--benchmark", table, "--space", "nasbench201", "--target", "accuracy", "--predictor", "trees"]
    assert (
        nasx("evaluate", *fixed, "--seed", "1", "--seed", "2", "--repeats", "1", "--train-size", "20", "--out", out)
        == 0
    )
    assert f"nasx report {out} makes tables" in " ".join(capsys.readouterr().out.split())
    assert nasx("report", out, "--out", tmp_path / "report") == 0
    assert "trees" in capsys.readouterr().out
    assert "| predictor | 20 | fit at the largest, s |" in (tmp_path / "report" / "report.md").read_text()
    assert nasx("report", tmp_path, "--out", tmp_path / "report") == 2
    assert "holds no evaluation" in capsys.readouterr().err
