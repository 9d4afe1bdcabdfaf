from __future__ import annotations

import math

import numpy as np
import pytest

from nasx.bootstrap import MOST_ROWS, mean_interval, pair_intervals
from nasx.metrics import kendall_tau, pearson
from nasx.search_spaces.errors import UsageError


def pairs(n: int, rho: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.normal(size=n)
    return rho * true + math.sqrt(1 - rho**2) * rng.normal(size=n), true


@pytest.mark.parametrize("n", [60, 4 * MOST_ROWS])
def test_intervals_hold_the_truth_about_as_often_as_they_say(n: int) -> None:
    truth, held, runs = 2 / math.pi * math.asin(0.8), 0, 25
    for seed in range(runs):
        low, high = pair_intervals({"tau": kendall_tau}, *pairs(n, 0.8, seed), confidence=0.9, resamples=60)["tau"]
        held += low < truth < high
    assert 0.7 <= held / runs <= 1


def test_more_rows_give_narrower_intervals_as_the_square_root_says() -> None:
    def width(n: int) -> float:
        low, high = pair_intervals({"r": pearson}, *pairs(n, 0.5, 0), resamples=300)["r"]
        return high - low

    assert width(1600) / width(100) == pytest.approx(1 / 4, rel=0.35)
    assert width(160_000) / width(1600) == pytest.approx(1 / 10, rel=0.35)


def test_nothing_to_resample_is_nan() -> None:
    empty = np.zeros(0)
    assert all(math.isnan(end) for end in pair_intervals({"tau": kendall_tau}, empty, empty)["tau"])
    assert all(math.isnan(end) for end in pair_intervals({"tau": kendall_tau}, np.ones(3), np.ones(3))["tau"])
    low, high = pair_intervals({"tau": kendall_tau}, np.arange(3.0), np.arange(3.0))["tau"]
    assert low == pytest.approx(high) == pytest.approx(1)


def test_intervals_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        low, high = mean_interval(rng.normal(size=8), resamples=500)
        held += low < 0 < high
    assert 0.85 <= held / 200 <= 0.98
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert all(math.isnan(end) for end in mean_interval([0.5]))
    assert all(math.isnan(end) for end in mean_interval([0.5, math.nan, 0.5]))
    assert mean_interval([0.1, 0.3]) == mean_interval([0.1, 0.3])
    with pytest.raises(UsageError, match="confidence"):
        mean_interval([1, 2], confidence=95)
