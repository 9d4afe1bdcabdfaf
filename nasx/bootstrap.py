"""Intervals by resampling: of a statistic over many rows, and of a mean over a few repeats.

An interval over rows says how far a number would move if another sample of test architectures had been drawn: it is
about the rows, with the predictor and its training set held fixed. An interval over repeats says how far the mean would
move with other training sets and seeds. A report shows both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.search_spaces.errors import UsageError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float]

#: Above this number of rows a resample has this many, and deviations are scaled back.
MOST_ROWS = 2000


class Interval(NamedTuple):
    """From ``low`` to ``high``; both NaN where there is none."""

    low: float
    high: float


def pair_intervals(
    statistics: Mapping[str, Statistic],
    predicted: Floats,
    true: Floats,
    *,
    confidence: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile bootstrap intervals of statistics of n pairs (predicted, true), all from the same resamples.

    With n above 2,000 each resample has m = 2,000 rows, and its deviation from the statistic of all rows is scaled by
    sqrt(m / n): the m-out-of-n bootstrap (Bickel, Götze & van Zwet, 1997) of statistics whose error falls with the
    square root of n, as that of a correlation does. It takes the same time whatever n is.

    Args:
        statistics: Name -> function of (predicted, true).
        predicted: (n,) values without NaN.
        true: (n,) values without NaN.
        confidence: The share of cases in which an interval is to hold the truth.
        resamples: How many resamples; 200 give each end to about a twentieth of the width.
        seed: The source of randomness, fixed so that a report can be recomputed.

    Returns:
        Name -> interval; NaN where the statistic is.

    >>> from nasx.metrics import pearson
    >>> x = np.arange(30.0)
    >>> low, high = pair_intervals({"r": pearson}, x + 9 * np.sin(x * 9), x)["r"]
    >>> low < pearson(x + 9 * np.sin(x * 9), x) < high
    True
    """
    _check_confidence(confidence)
    n, rng = len(true), np.random.default_rng(seed)
    m = min(n, MOST_ROWS)
    found = {name: np.full(resamples, np.nan) for name in statistics}
    if n:
        for resample in range(resamples):
            rows = rng.integers(n, size=m)
            for name, statistic in statistics.items():
                found[name][resample] = statistic(predicted[rows], true[rows])
    return {
        name: _interval(statistic(predicted, true), found[name], np.sqrt(m / n) if n else 1.0, confidence)
        for name, statistic in statistics.items()
    }


def mean_interval(values: ArrayLike, *, confidence: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean of a few repeats.

    Resamples of so few numbers vary too little, by a factor of sqrt((n - 1) / n); deviations are widened by as much.
    Even so an interval of three or five repeats is a rough guide and no more.

    Args:
        values: (n,) one number a repeat.
        confidence: The share of cases in which the interval is to hold the truth.
        resamples: How many resamples.
        seed: The source of randomness.

    Returns:
        The interval; NaN with fewer than two repeats, or where one of them is NaN.

    >>> [round(end, 2) for end in mean_interval([0.80, 0.82, 0.81, 0.84, 0.83])]
    [0.81, 0.83]
    """
    _check_confidence(confidence)
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n < 2 or np.isnan(sample).any():
        return Interval(float("nan"), float("nan"))
    means = sample[np.random.default_rng(seed).integers(n, size=(resamples, n))].mean(axis=1)
    return _interval(float(sample.mean()), means, np.sqrt(n / (n - 1)), confidence)


def _interval(value: float, resampled: Floats, scale: float, confidence: float) -> Interval:
    known = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(known):
        return Interval(float("nan"), float("nan"))
    ends = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = value + scale * (ends - value)
    return Interval(float(low), float(high))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"the confidence must be between 0 and 1, not {confidence}")
