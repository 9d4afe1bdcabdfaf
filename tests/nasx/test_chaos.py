"""A search that is killed again and again: benchmarks/chaos.py, with fewer kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "chaos.py"


def chaos(*options: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), *options],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("{"), done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_killed_at_random_moments_one_process_ends_with_the_undisturbed_history() -> None:
    result = chaos("--kills", "4", "--seed", "3", "--budget", "20", "--pause", "0.02")
    assert result["kills"] >= 1  # type: ignore[operator]
    assert result["same_history"]
    assert result["best_disturbed"] == result["best_undisturbed"]
    assert result["evaluations"] == result["architectures"] == 20


@pytest.mark.slow
def test_killed_at_random_moments_workers_evaluate_everything_once() -> None:
    result = chaos("--kills", "2", "--seed", "1", "--workers", "2", "--budget", "16", "--predictor", "none")
    assert result["kills"] >= 1  # type: ignore[operator]
    assert result["evaluations"] == result["architectures"] == 16
    assert result["open"] == 0
