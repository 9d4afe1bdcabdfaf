from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx import metrics
from nasx.search_spaces.errors import UsageError

vectors = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(-5, 5)).map(lambda pair: (float(pair[0]), float(pair[1]))),
    min_size=2,
    max_size=30,
)


def tau_b_by_definition(p: np.ndarray, t: np.ndarray) -> float:
    concordance = untied_p = untied_t = 0.0
    for i, j in itertools.combinations(range(len(p)), 2):
        a, b = np.sign(p[i] - p[j]), np.sign(t[i] - t[j])
        concordance, untied_p, untied_t = concordance + a * b, untied_p + abs(a), untied_t + abs(b)
    return concordance / math.sqrt(untied_p * untied_t)


@settings(deadline=None)
@given(vectors)
def test_tau_is_the_textbook_formula(pairs: list[tuple[float, float]]) -> None:
    p, t = np.array(pairs).T
    if len(set(p)) > 1 and len(set(t)) > 1:
        assert metrics.kendall_tau(p, t) == pytest.approx(tau_b_by_definition(p, t))


@settings(deadline=None)
@given(vectors)
def test_correlations_agree_with_scipy_and_numpy(pairs: list[tuple[float, float]]) -> None:
    from scipy.stats import spearmanr

    p, t = np.array(pairs).T
    if len(set(p)) > 1 and len(set(t)) > 1:
        assert metrics.spearman(p, t) == pytest.approx(spearmanr(p, t).statistic, abs=1e-12)
        assert metrics.pearson(p, t) == pytest.approx(np.corrcoef(p, t)[0, 1], abs=1e-12)


@settings(deadline=None)
@given(vectors, st.integers(1, 40))
def test_minimize_is_maximize_of_the_negatives(pairs: list[tuple[float, float]], k: int) -> None:
    p, t = np.array(pairs).T
    up = metrics.ranking_metrics(p, t, "maximize", ks=[k])
    down = metrics.ranking_metrics(-p, -t, "minimize", ks=[k])
    for name, value in up.items():
        sign = -1 if name.startswith("best") else 1
        assert down[name] == pytest.approx(sign * value, nan_ok=True), name


def test_missing_pairs_are_dropped_and_counted() -> None:
    p, t = np.array([1.0, 2, np.nan, 4, 5]), np.array([1.0, np.nan, 3, 5, 4])
    scores = metrics.ranking_metrics(p, t)
    assert (scores["rows"], scores["dropped"], scores["pairs"]) == (3, 2, 3)
    assert scores["kendall_tau"] == metrics.kendall_tau([1, 4, 5], [1, 5, 4])


def test_constant_prediction_is_zero_and_constant_truth_is_nan() -> None:
    for function in (metrics.kendall_tau, metrics.spearman, metrics.pearson):
        assert function([1, 1, 1], [1, 2, 3]) == 0.0
        assert math.isnan(function([1, 2, 3], [1, 1, 1]))
        assert math.isnan(function([1], [1]))
        assert math.isnan(function([], []))
    counts = {"rows", "dropped", "pairs", "ties_predicted", "ties_true"}
    nothing = metrics.ranking_metrics([], [], intervals=True)
    assert all(nothing[name] == 0 for name in counts)
    assert all(math.isnan(value) for name, value in nothing.items() if name not in counts)


def test_tiny_and_huge_numbers_keep_their_correlation() -> None:
    x = np.array([1.0, 2.0, 4.0])
    for scale in (1e-200, 1e200):
        assert metrics.pearson(x * scale, x) == pytest.approx(1.0)


def test_precision_at_k_counts_ties_at_the_edge_as_hits() -> None:
    assert metrics.precision_at_k([9, 8, 7, 1], [5, 1, 1, 1], k=2) == 1.0
    assert metrics.precision_at_k([1, 2, 3, 4], [4, 3, 2, 1], k=2) == 0.0
    assert metrics.precision_at_k([1, 2], [1, 2], k=10) == 1.0
    assert metrics.precision_at_k([1, 2, 3, 4], [4, 3, 2, 1], k=2, direction="minimize") == 0.0


def test_a_constant_prediction_gains_nothing_from_the_order_of_the_rows() -> None:
    true = np.arange(10_000.0)
    for order in (true, true[::-1]):
        assert metrics.precision_at_k(np.zeros(10_000), order, k=50) <= 0.04


def test_tau_top_looks_at_the_best_end_only() -> None:
    true = np.arange(100.0)
    predicted = true.copy()
    predicted[95:] = predicted[95:][::-1]
    assert metrics.tau_top(predicted, true) == pytest.approx(-1)
    assert metrics.tau_top(predicted, true, direction="minimize") == pytest.approx(1)
    assert metrics.tau_top(predicted, true, percent=100) > 0.9


def test_regret_and_best() -> None:
    scores = metrics.ranking_metrics([1, 2, 3], [3.0, 2.0, 1.0], "minimize", ks=[1, 3])
    assert scores["best_in_top_1"] == 3.0
    assert scores["regret_at_1"] == 2.0
    assert scores["best_in_top_3"] == 1.0
    assert scores["regret_at_3"] == 0.0


def test_misuse_is_explained() -> None:
    with pytest.raises(UsageError, match="one length"):
        metrics.kendall_tau([1, 2], [1, 2, 3])
    with pytest.raises(UsageError, match="at least 1"):
        metrics.precision_at_k([1, 2], [1, 2], k=0)
    with pytest.raises(UsageError, match="maximize, minimize"):
        metrics.ranking_metrics([1, 2], [1, 2], "up")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="percent"):
        metrics.tau_top([1, 2], [1, 2], percent=0)


def test_a_whole_benchmark_is_quick() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=423_624).round(3)
    start = time.perf_counter()
    assert 0.3 < metrics.kendall_tau(true + rng.normal(size=len(true)), true) < 0.7
    assert time.perf_counter() - start < 20  # a guard against a quadratic algorithm, not a measurement


@settings(deadline=None)
@given(vectors)
def test_pairs_and_ties_are_counted(pairs: list[tuple[float, float]]) -> None:
    p, t = np.array(pairs).T
    scores = metrics.ranking_metrics(p, t)
    both = list(itertools.combinations(range(len(p)), 2))
    assert scores["pairs"] == len(both)
    assert scores["ties_predicted"] == sum(p[i] == p[j] for i, j in both)
    assert scores["ties_true"] == sum(t[i] == t[j] for i, j in both)


def test_a_correlation_carries_its_interval_pairs_and_ties() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=300)
    predicted = (true + rng.normal(size=300)).round(1)
    for kind, function in metrics.CORRELATIONS.items():
        found = metrics.correlation(predicted, true, kind)
        assert found.value == function(predicted, true)
        assert found.low < found.value < found.high
        assert (found.rows, found.pairs, found.ties_true) == (300, 44_850, 0)
        assert found.ties_predicted > 0
        assert found == metrics.correlation(predicted, true, kind)
        assert "44,850 pairs" in str(found)
    scores = metrics.ranking_metrics(predicted, true, intervals=True)
    assert scores["kendall_tau_low"] < scores["kendall_tau"] < scores["kendall_tau_high"]
    assert scores["pearson_high"] == found.high
    with pytest.raises(UsageError, match="unknown correlation 'tau'"):
        metrics.correlation([1, 2], [1, 2], "tau")
