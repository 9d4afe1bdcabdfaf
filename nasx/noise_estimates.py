"""Estimating how noisy labels are, from repeats and from functional twins.

A *perfect predictor* knows the expected value of every architecture: what training it again and again would give on
average. The *noise ceiling* is its Kendall's tau against the labels of the table. Nothing in the labels themselves says
how noisy they are; two kinds of evidence do.

**Repeats.** Where the table has the same quantity of several runs, tau between two runs shows the noise of one. Under a
Gaussian copula tau and the correlation r of the normal scores are linked by r = sin(pi tau / 2) (Kruskal, 1958). The
correlation of two runs is the reliability r1 of one; the mean of k runs has r_k = k r1 / (1 + (k - 1) r1) (Spearman,
1910; Brown, 1910; where rows have different k, their harmonic mean); a perfect predictor correlates sqrt(r_k) with it
(attenuation: Spearman, 1904), so the ceiling is (2 / pi) arcsin(sqrt(r_k)). Where noise is small against the spread of
the values this needs no copula: the share of misordered pairs falls by sqrt(2) from two runs to a run and the truth,
and by sqrt(k) for a mean of k, whatever the distribution of the values and however the noise differs between
architectures, as long as the difference of two runs of one architecture is about normal. Both formulas have that limit.

**Twins.** Functionally equal architectures, trained apart, are repeats of one function. Only some architectures have
twins and they are not like the others, so the noise is carried over: random pairs of twins give residuals
(difference / sqrt(2)) at each level of the metric; expected values are the class means and, where there is no twin, the
labels, drawn together in normal scores by the square root of their reliability (labels are spread wider than what they
measure); labels are simulated by adding to each expected value a residual of twins at its level; the ceiling is tau
between expected and simulated values. The assumption is that architectures with and without twins of one level are
equally noisy.

What all runs share, such as the choice of the test images, is not noise here: it would be the same next time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.bootstrap import pair_intervals
from nasx.metrics import kendall_tau
from nasx.twins import random_pairs

Floats = NDArray[np.float64]

FEWEST_ROWS, FEWEST_CLASSES = 100, 50
"""Below as many rows with two runs, or classes with two twins, nothing is estimated."""

MOST_ROWS = 30_000
"""Twins are looked at in as many rows at most: random classes, each as a whole."""

_DRAWS, _NEIGHBOURS, _SIMULATIONS, _RESAMPLES = 20, 30, 10, 40


@dataclass(frozen=True)
class Estimate:
    """A noise ceiling from one kind of evidence.

    Attributes:
        method: ``repeats`` or ``twins``.
        tau: Kendall's tau of a perfect predictor against the labels of all rows.
        low: Lower end of its 95 % bootstrap interval (over rows, or over classes of twins).
        high: Upper end.
        agreement: Kendall's tau between two runs, or between the labels of two twins.
        rows: Rows it rests on.
        classes: Classes of twins among them, 0 for repeats.
        runs: Runs that a label averages (their harmonic mean); 0 where that is not known.
        leave_one_out: tau between the mean of an architecture's twins and its own label; NaN for repeats.
    """

    method: str
    tau: float
    low: float
    high: float
    agreement: float
    rows: int
    classes: int = 0
    runs: float = 0.0
    leave_one_out: float = math.nan

    def __str__(self) -> str:
        ceiling = f"{self.tau:.3f} [{self.low:.3f}, {self.high:.3f}]"
        if self.method == "repeats":
            return f"{ceiling} (two runs agree to {self.agreement:.3f}; labels average {self.runs:.3g} runs)"
        return (
            f"{ceiling} (two twins agree to {self.agreement:.3f}; {self.rows:,} architectures in {self.classes:,} "
            f"classes; the mean of the others ranks an architecture at {self.leave_one_out:.3f})"
        )


def from_repeats(runs: Sequence[ArrayLike], label: ArrayLike | None = None, *, seed: int = 0) -> Estimate | None:
    """The noise ceiling from repeated runs.

    Args:
        runs: k vectors (n,), one a run; NaN where a run is missing.
        label: (n,) what is ranked against: one of the runs, or by default the mean of those each row has.
        seed: Seed of the bootstrap.

    Returns:
        The estimate; None where fewer than 100 rows have two runs, or two runs have nothing in common.

    >>> rng = np.random.default_rng(0)
    >>> quality = rng.normal(size=2000)
    >>> estimate = from_repeats([quality + 0.1 * rng.normal(size=2000) for _ in range(3)])
    >>> mean = np.mean([quality + 0.1 * rng.normal(size=2000) for _ in range(3)], axis=0)
    >>> abs(estimate.tau - kendall_tau(quality, mean)) < 0.005
    True
    """
    table = np.array([np.asarray(run, dtype=np.float64) for run in runs])
    known = (~np.isnan(table)).sum(axis=0)
    rows = np.flatnonzero(known > 1)
    if len(table) < 2 or len(rows) < FEWEST_ROWS:
        return None
    pairs = [(i, j) for i in range(len(table)) for j in range(i) if (~np.isnan(table[i] + table[j])).sum() > 1]

    def agreement(numbers: Floats, _: Floats) -> float:
        chosen = table[:, numbers.astype(np.int64)]
        return float(np.mean([kendall_tau(chosen[i], chosen[j]) for i, j in pairs]))

    everything = rows.astype(np.float64)
    between = agreement(everything, everything)
    if not between > 0:
        return None
    single = label is not None and any(np.array_equal(run, label, equal_nan=True) for run in table)
    k = 1.0 if single else float(1 / np.mean(1 / known[known > 0]))
    ends = pair_intervals({"tau": agreement}, everything, everything, resamples=100, seed=seed)["tau"]
    tau, low, high = (ceiling_of(value, k) for value in (between, *ends))
    return Estimate("repeats", tau, low, high, between, len(rows), runs=k)


def from_twins(values: ArrayLike, groups: ArrayLike, *, seed: int = 0) -> Estimate | None:
    """The noise ceiling from functional twins.

    Args:
        values: (n,) labels, NaN where there is none.
        groups: (n,) functional class of each row.
        seed: Seed of pairing, simulation and bootstrap.

    Returns:
        The estimate; None where fewer than 50 classes have two labels, or twins have nothing in common.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    group = np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    if len(known) > MOST_ROWS:
        drawn = np.random.default_rng(seed).random(int(group.max()) + 1) < MOST_ROWS / len(known)
        known, group = known[drawn[group]], np.unique(group[drawn[group]], return_inverse=True)[1]
    labels = values[known]
    sizes = np.bincount(group)
    classes = int((sizes > 1).sum())
    if classes < FEWEST_CLASSES or labels.min() == labels.max():
        return None
    rng = np.random.default_rng(seed)
    first, second = (np.array(side) for side in zip(*(random_pairs(group, rng) for _ in range(_DRAWS)), strict=True))
    agreement = float(np.mean([kendall_tau(labels[a], labels[b]) for a, b in zip(first, second, strict=True)]))
    if not agreement > 0:
        return None
    sums = np.bincount(group, labels)
    means, own = (sums / sizes)[group], sizes[group]
    twin = own > 1
    others = (sums[group] - labels)[twin] / (own[twin] - 1)
    expected = _drawn_together(means, np.sqrt(_mean_of(normal_correlation(agreement), own)))
    levels, residuals = (labels[first] + labels[second]) / 2, (labels[first] - labels[second]) / math.sqrt(2)
    taus = [_simulated(expected, levels, residuals, rng) for _ in range(_SIMULATIONS)]
    resampled = []
    for _ in range(_RESAMPLES):
        again = rng.integers(classes, size=classes)
        resampled.append(_simulated(expected, levels[:, again], residuals[:, again], rng))
    tau, error = float(np.mean(taus)), float(np.std(resampled, ddof=1))
    return Estimate(
        "twins",
        tau,
        tau - 1.96 * error,
        min(1.0, tau + 1.96 * error),
        agreement,
        int(twin.sum()),
        classes,
        leave_one_out=kendall_tau(others, labels[twin]),
    )


def normal_correlation(tau: float) -> float:
    """The correlation of normal variables that have this Kendall's tau: sin(pi tau / 2)."""
    return math.sin(math.pi * tau / 2)


def ceiling_of(agreement: float, runs: float = 1.0) -> float:
    """The tau of a perfect predictor against the mean of k runs, from tau between two single runs.

    >>> round(ceiling_of(0.91), 3), round(ceiling_of(0.91, runs=3), 3)
    (0.936, 0.963)
    """
    if math.isnan(agreement):
        return math.nan
    return tau_of(math.sqrt(_mean_of(max(0.0, normal_correlation(agreement)), runs)))


def tau_of(correlation: float) -> float:
    """Kendall's tau of normal variables that correlate so: (2 / pi) arcsin(r), the inverse of the above."""
    return 2 / math.pi * math.asin(max(-1.0, min(1.0, correlation)))


def _mean_of(reliability: float, runs: Any) -> Any:
    """Reliability of the mean of that many runs (Spearman-Brown)."""
    return runs * reliability / (1 + (runs - 1) * reliability)


def _drawn_together(values: Floats, factors: Floats) -> Floats:
    """Values whose normal scores are multiplied by factors below 1."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    scores = ndtri((rankdata(values) - 0.5) / len(values))
    order = np.argsort(scores, kind="stable")
    return np.interp(scores * factors, scores[order], values[order])


def _simulated(expected: Floats, levels: Floats, residuals: Floats, rng: np.random.Generator) -> float:
    """tau between expected values and labels simulated with residuals of twins at the same level."""
    order = np.argsort(levels, axis=None)
    pool, sorted_levels = residuals.ravel()[order], levels.ravel()[order]
    # The class of each pair was drawn _DRAWS times; as many neighbours are so many classes.
    width = min(len(pool), _NEIGHBOURS * len(levels))
    start = np.searchsorted(sorted_levels, expected) - width // 2
    place = np.clip(start, 0, len(pool) - width) + rng.integers(width, size=len(expected))
    return kendall_tau(expected, expected + pool[place] * rng.choice([-1.0, 1.0], size=len(expected)))
