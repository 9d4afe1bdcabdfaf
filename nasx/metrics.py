"""How well a prediction ranks: correlations over all pairs, and what the top of the ranking is worth.

All functions take two vectors of length n, drop the rows in which either value is missing (NaN), and return a float.

Sign: predictions are on the scale of the true values, so a larger prediction always stands for a larger true value, and
+1 is perfect agreement whatever ``direction`` says. ``direction`` names the good end of the true values; only metrics
of the top read it.

Ties: Kendall's tau is tau-b. Of the n (n - 1) / 2 pairs of rows, those tied in either vector count neither for nor
against, and the two numbers of untied pairs, of the prediction and of the truth, are averaged geometrically in the
denominator: tau_b = (concordant - discordant) / sqrt((pairs - ties_predicted) (pairs - ties_true)).

Degenerate input: where the *prediction* is constant it ranks nothing, and every correlation is 0. Where fewer than two
rows are left or the *true* values are constant there is nothing to rank, and the answer is NaN.

Ties in the prediction at the edge of a top k are broken by a fixed shuffle, so that the order of the rows can neither
help nor harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.bootstrap import pair_intervals
from nasx.search_spaces.errors import UsageError, unknown

Direction = Literal["maximize", "minimize"]
Floats = NDArray[np.float64]


def check_direction(direction: str) -> Direction:
    """Returns ``direction`` if it is ``"maximize"`` or ``"minimize"``; raises :class:`UsageError` otherwise."""
    if direction == "maximize":
        return "maximize"
    if direction == "minimize":
        return "minimize"
    raise UsageError(f"unknown direction '{direction}'; known: maximize, minimize")


def kendall_tau(predicted: ArrayLike, true: ArrayLike) -> float:
    """Kendall's tau-b: the share of concordant minus discordant pairs, corrected for ties (Kendall, 1945).

    >>> round(kendall_tau([1, 2, 3, 4], [10, 20, 40, 30]), 4)
    0.6667
    """
    from scipy.stats import kendalltau

    return _correlation(kendalltau, predicted, true)


def spearman(predicted: ArrayLike, true: ArrayLike) -> float:
    """Spearman's rank correlation: Pearson's correlation of the ranks, ties sharing their mean rank.

    >>> round(spearman([1, 2, 3, 4], [1, 4, 9, 16]), 6)
    1.0
    """
    from scipy.stats import rankdata

    return _correlation(lambda p, t: _pearson(rankdata(p), rankdata(t)), predicted, true)


def pearson(predicted: ArrayLike, true: ArrayLike) -> float:
    """Pearson's linear correlation.

    >>> round(pearson([1, 2, 3], [2, 4, 6]), 6)
    1.0
    """
    return _correlation(_pearson, predicted, true)


@dataclass(frozen=True)
class Correlation:
    """A correlation and what it rests on.

    Attributes:
        value: The correlation.
        low: Lower end of its bootstrap interval over rows.
        high: Upper end.
        confidence: The confidence of that interval.
        rows: Rows compared.
        pairs: Pairs of rows, n (n - 1) / 2.
        ties_predicted: Pairs whose predictions are equal.
        ties_true: Pairs whose true values are equal.
    """

    value: float
    low: float
    high: float
    confidence: float
    rows: int
    pairs: int
    ties_predicted: int
    ties_true: int

    def __str__(self) -> str:
        return (
            f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}] over {self.rows:,} rows, {self.pairs:,} pairs "
            f"(ties: {self.ties_predicted:,} predicted, {self.ties_true:,} true)"
        )


CORRELATIONS = {"kendall_tau": kendall_tau, "spearman": spearman, "pearson": pearson}


def correlation(
    predicted: ArrayLike, true: ArrayLike, kind: str = "kendall_tau", *, confidence: float = 0.95, seed: int = 0
) -> Correlation:
    """A correlation with its interval, its number of pairs and its ties.

    Args:
        predicted: (n,) predictions.
        true: (n,) true values; NaN where there is no measurement.
        kind: ``kendall_tau``, ``spearman`` or ``pearson``.
        confidence: Confidence of the bootstrap interval (:func:`nasx.bootstrap.pair_intervals`).
        seed: Seed of the bootstrap.

    Raises:
        UsageError: There is no such correlation, or the vectors differ in length.

    >>> tau = correlation([1, 2, 3, 4, 4], [10, 20, 40, 30, 50])
    >>> round(tau.value, 3), tau.rows, tau.pairs, tau.ties_predicted, tau.ties_true
    (0.738, 5, 10, 1, 0)
    """
    if kind not in CORRELATIONS:
        raise unknown("correlation", kind, CORRELATIONS)
    p, t = _pairs(predicted, true)
    function = CORRELATIONS[kind]
    low, high = pair_intervals({kind: function}, p, t, confidence=confidence, seed=seed)[kind]
    return Correlation(
        function(p, t), low, high, confidence, len(t), len(t) * (len(t) - 1) // 2, tied_pairs(p), tied_pairs(t)
    )


def tied_pairs(values: ArrayLike) -> int:
    """The number of pairs of equal values; missing ones (NaN) left out.

    >>> tied_pairs([1.0, 2.0, 2.0, 2.0, float("nan"), float("nan")])
    3
    """
    array = np.asarray(values, dtype=np.float64)
    counts = np.unique(array[~np.isnan(array)], return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def tau_top(predicted: ArrayLike, true: ArrayLike, percent: float = 5.0, direction: Direction = "maximize") -> float:
    """Kendall's tau among the truly best ``percent`` of the rows: can the prediction tell the good from the best?

    The count is rounded up; rows tied with the last one of them are included.
    """
    if not 0 < percent <= 100:
        raise UsageError(f"the top share must be above 0 and at most 100 percent, not {percent}")
    predicted, true = _pairs(predicted, true)
    if not len(true):
        return float("nan")
    score = _oriented(true, direction)
    count = max(1, int(np.ceil(len(true) * percent / 100)))
    best = score >= np.partition(score, len(score) - count)[len(score) - count]
    return kendall_tau(predicted[best], true[best])


def precision_at_k(predicted: ArrayLike, true: ArrayLike, k: int, direction: Direction = "maximize") -> float:
    """The share of the predicted top k that belongs to the true top k (rows tied with the k-th best belong to it).

    With fewer than k rows, k is the number of rows.

    >>> precision_at_k([0.9, 0.8, 0.1, 0.2], [91, 60, 92, 50], k=2)
    0.5
    """
    predicted, true = _pairs(predicted, true)
    top = _predicted_top(predicted, k, direction)
    if not len(top):
        return float("nan")
    score = _oriented(true, direction)
    edge = np.partition(score, len(score) - len(top))[len(score) - len(top)]
    return float(np.mean(score[top] >= edge))


def best_in_top_k(predicted: ArrayLike, true: ArrayLike, k: int, direction: Direction = "maximize") -> float:
    """The best true value among the predicted top k: what evaluating these k for real would have found.

    >>> best_in_top_k([0.9, 0.8, 0.1], [91, 93, 95], k=2)
    93.0
    """
    predicted, true = _pairs(predicted, true)
    top = _predicted_top(predicted, k, direction)
    if not len(top):
        return float("nan")
    return float(true[top].max() if direction == "maximize" else true[top].min())


def regret(value: float, optimum: float, direction: Direction = "maximize") -> float:
    """How far ``value`` falls short of ``optimum``, in the unit of both; 0 at the optimum, never a matter of sign.

    >>> regret(93.5, 94.0), regret(3.0, 2.5, "minimize")
    (0.5, 0.5)
    """
    return float(optimum - value if direction == "maximize" else value - optimum)


def ranking_metrics(
    predicted: ArrayLike,
    true: ArrayLike,
    direction: Direction = "maximize",
    *,
    ks: Sequence[int] = (10, 50),
    top_percent: float = 5.0,
    intervals: bool = False,
) -> dict[str, Any]:
    """Everything above in one dictionary.

    Args:
        predicted: (n,) predictions, larger meaning a larger true value.
        true: (n,) true values; NaN where there is no measurement.
        direction: Which end of the true values is good.
        ks: The k of ``precision_at_k``, ``best_in_top_k`` and ``regret_at_k``.
        top_percent: The share of ``tau_top_5_percent``.
        intervals: Whether each correlation is followed by the ends of its 95 % bootstrap interval over rows,
            ``kendall_tau_low`` and ``kendall_tau_high`` and so on.

    Returns:
        ``rows`` (rows compared), ``dropped`` (rows left out for a missing value), ``pairs`` (pairs of rows compared),
        ``ties_predicted``, ``ties_true`` (pairs tied), ``kendall_tau``, ``spearman``, ``pearson``,
        ``tau_top_5_percent``, and for each k ``precision_at_k``, ``best_in_top_k`` and ``regret_at_k`` (against the
        best of the rows given).

    >>> scores = ranking_metrics([3, 1, 2, 9], [30, 10, float("nan"), 90], ks=[1])
    >>> scores["kendall_tau"], scores["rows"], scores["dropped"], scores["pairs"], scores["best_in_top_1"]
    (1.0, 3, 1, 3, 90.0)
    """
    check_direction(direction)
    total = np.size(true)
    predicted, true = _pairs(predicted, true)
    scores: dict[str, Any] = {
        "rows": len(true),
        "dropped": total - len(true),
        "pairs": len(true) * (len(true) - 1) // 2,
        "ties_predicted": tied_pairs(predicted),
        "ties_true": tied_pairs(true),
    }
    ends = pair_intervals(CORRELATIONS, predicted, true) if intervals else {}
    for name, function in CORRELATIONS.items():
        scores[name] = function(predicted, true)
        if name in ends:
            scores[f"{name}_low"], scores[f"{name}_high"] = ends[name]
    scores[f"tau_top_{top_percent:g}_percent"] = tau_top(predicted, true, top_percent, direction)
    optimum = float(_oriented(true, direction).max() * (1 if direction == "maximize" else -1)) if len(true) else np.nan
    for k in ks:
        best = best_in_top_k(predicted, true, k, direction)
        scores[f"precision_at_{k}"] = precision_at_k(predicted, true, k, direction)
        scores[f"best_in_top_{k}"] = best
        scores[f"regret_at_{k}"] = regret(best, optimum, direction)
    return scores


def relative_errors(predicted: ArrayLike, true: ArrayLike) -> dict[str, float]:
    """How far predictions of positive quantities (a latency, an energy) are off, relative to the true values.

    Args:
        predicted: (n,) predictions, in the unit of the true values.
        true: (n,) true values, positive; NaN where there is no measurement.

    Returns:
        ``mape_percent``: the mean absolute percentage error, mean |p - t| / t. ``acc_10_percent`` and
        ``acc_5_percent``: the Acc(10 %) and Acc(5 %) of the literature, the percentage of rows that are at most so far
        off (NNLQP, ICPP 2022; NAR-Former V2, NeurIPS 2023, tables 1, 2, 5 and 6). All NaN where there is no row.

    Raises:
        UsageError: A true value is not positive.

    >>> relative_errors([10.0, 11.0, 14.0, 26.0], [10.0, 10.0, 20.0, 25.0])
    {'mape_percent': 11.0, 'acc_10_percent': 75.0, 'acc_5_percent': 50.0}
    """
    p, t = _pairs(predicted, true)
    if (t <= 0).any():
        raise UsageError(f"relative errors are of positive values; the smallest true value is {t.min():g}")
    off = 100 * np.abs(p - t) / t
    within = {
        f"acc_{limit}_percent": 100 * float((off <= limit + 1e-9).mean()) if len(t) else np.nan for limit in (10, 5)
    }
    return {"mape_percent": float(off.mean()) if len(t) else np.nan, **within}


def _pairs(predicted: ArrayLike, true: ArrayLike) -> tuple[Floats, Floats]:
    """Both vectors as float64 without the rows in which either is NaN."""
    p, t = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if p.ndim != 1 or p.shape != t.shape:
        raise UsageError(f"predicted and true values must be two vectors of one length, not {p.shape} and {t.shape}")
    known = ~(np.isnan(p) | np.isnan(t))
    return (p, t) if known.all() else (p[known], t[known])


def _oriented(values: Floats, direction: Direction) -> Floats:
    return values if direction == "maximize" else -values


def _predicted_top(predicted: Floats, k: int, direction: Direction) -> NDArray[np.int64]:
    """Rows of the k best predictions, best first."""
    if k < 1:
        raise UsageError(f"k must be at least 1, not {k}")
    shuffle = np.random.default_rng(0).permutation(len(predicted))
    best_first = np.argsort(-_oriented(predicted, direction)[shuffle], kind="stable")
    return shuffle[best_first[:k]]


def _correlation(function: Any, predicted: ArrayLike, true: ArrayLike) -> float:
    p, t = _pairs(predicted, true)
    if len(t) < 2 or t.min() == t.max():
        return float("nan")
    if p.min() == p.max():
        return 0.0
    result = function(p, t)
    return float(getattr(result, "statistic", result))


def _pearson(p: Floats, t: Floats) -> float:
    p, t = p - p.mean(), t - t.mean()
    # Scaled first: the squares of very small or very large numbers would vanish or overflow.
    p, t = p / np.abs(p).max(), t / np.abs(t).max()
    return float(np.clip(p @ t / np.sqrt((p @ p) * (t @ t)), -1.0, 1.0))
