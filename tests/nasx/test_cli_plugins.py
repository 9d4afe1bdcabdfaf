"""Plug-ins on the command line, from modules in the current folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nasx.cli_subject import subject_of
from nasx.search_spaces.errors import UsageError

MODULE = '''
"""A space of a user."""
import nasx


def build(chosen):
    return nasx.Graph.from_edges(["input", chosen["a"], chosen["b"], "output"], [(0, 1), (1, 2), (2, 3)])


def Mine():
    return nasx.ChoiceSpace("mine", {"a": ["conv", "pool", "skip"], "b": ["conv", "pool", "skip"]}, build)


def error(architecture):
    return float(architecture.count("pool"))


constant = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cli_users_module.py").write_text(MODULE)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from nasx.cli import main; main()", *arguments]
    # "-c" puts the current folder on the path; "-P" takes it away, as for the installed command
    return subprocess.run([command[0], "-P", *command[1:]], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_searching_a_space_and_an_objective_of_ones_own(folder: Path) -> None:
    options = ["--predictor", "trees", "--budget", "6", "--initial", "3", "--batch", "1", "--out", "run"]
    subject = ["--space", "cli_users_module:Mine", "--objective", "cli_users_module:error", "--direction", "minimize"]
    done = run(folder, "search", *subject, *options)
    assert done.returncode == 0, done.stderr
    assert "mine: value" in done.stdout
    assert "without predictor" not in done.stdout  # no real evaluations are spent for a comparison nobody asked for
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["best_value"] == 0
    assert summary["evaluations"] == 6
    assert run(folder, "search", "--resume", "run", "--budget", "8").returncode == 0
    assert json.loads((folder / "run" / "summary.json").read_text())["evaluations"] == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objective", "cli_users_module:error"], "with --space"),
        (["--space", "cli_users_module:Mine", "--objective", "error"], "no address of an objective"),
        (["--space", "cli_users_module:Mine", "--objective", "cli_users_module:eror"], "did you mean 'error'"),
        (["--space", "nowhere:Mine", "--objective", "cli_users_module:error"], "there is no module 'nowhere'"),
    ],
)
def test_a_wrong_subject_is_one_sentence(folder: Path, arguments: list[str], message: str) -> None:
    done = run(folder, "search", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("changed", "typed", "message"),
    [
        ({"objective": "os:getcwd", "space": "nasbench201"}, {"benchmark"}, "--benchmark belongs to a benchmark"),
        ({"objective": "os:getcwd", "space": "nasbench201", "direction": "up"}, set(), "unknown direction 'up'"),
        ({"objective": "os:name", "space": "nasbench201"}, set(), "must be a function"),
        ({"direction": "minimize"}, set(), "--direction belongs to --objective"),
    ],
)
def test_options_that_do_not_fit_together(changed: dict[str, str], typed: set[str], message: str) -> None:
    options = dict.fromkeys(("dataset", "target", "rank_against", "space", "objective", "direction"))
    with pytest.raises(UsageError, match=message):
        subject_of({"benchmark": "nasbench201", **options, **changed}, typed)
