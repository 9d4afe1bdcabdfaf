"""How well could a perfect predictor rank? Labels are noisy, so that Kendall's tau cannot reach 1.

The noise ceiling of a metric is the tau of a predictor that knows the expected value of every architecture;
:mod:`nasx.noise_estimates` says how it is estimated.

A predictor is often trained on another metric than it is judged by (validation against test accuracy). What knowing the
expected values of *that* metric would give is estimated too: the correlation of both metrics' labels, divided by the
correlation of the trained metric's labels with what they measure (attenuation: Spearman, 1904), turned back into tau by
(2 / pi) arcsin(r). This takes the noise of the two metrics for independent, which it is not where both were read off
the same runs. Then different runs of each are correlated instead, where the table has single runs; else the correlation
is multiplied by how much lower it is between twins (one's validation, the other's test accuracy) than within an
architecture. It bounds a predictor that has learnt the target faithfully; one that has learnt only what both metrics
have in common may do a little better.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.metric import find_metric
from nasx.metrics import kendall_tau
from nasx.noise_estimates import FEWEST_CLASSES, Estimate, from_repeats, from_twins, normal_correlation, tau_of
from nasx.twins import function_groups, random_pairs

if TYPE_CHECKING:
    from nasx.benchmark import Benchmark
    from nasx.metric import Metric


@dataclass(frozen=True)
class NoiseCeiling:
    """How well a perfect predictor could rank.

    Attributes:
        name: The benchmark, with its data set.
        target: The metric trained on.
        rank_against: The metric ranked against.
        estimates: The ceiling of ``rank_against`` from each kind of evidence there is, the best first.
        target_estimates: The same of ``target``, if it is another metric.
        target_tau: tau between the values of both metrics: what knowing every target exactly would give.
        through_target: tau, against ``rank_against``, of a predictor that knows the *expected* value of every target:
            what endless training data would give. NaN where it cannot be estimated.
    """

    name: str
    target: str
    rank_against: str
    estimates: tuple[Estimate, ...]
    target_estimates: tuple[Estimate, ...] = ()
    target_tau: float = math.nan
    through_target: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is any estimate."""
        return bool(self.estimates)

    @property
    def tau(self) -> float:
        """The ceiling: from repeats where there are any, else from twins, else NaN."""
        return self.estimates[0].tau if self.estimates else math.nan

    def rows(self) -> list[tuple[str, str]]:
        """What is known, as (what, value) for the screen."""
        if not self.estimates:
            return [("noise ceiling", f"not known: {self.rank_against} has neither repeats nor enough twins")]
        rows = [(f"ceiling of {self.rank_against}, from {e.method}", str(e)) for e in self.estimates]
        rows += [(f"ceiling of {self.target}, from {e.method}", str(e)) for e in self.target_estimates]
        if not math.isnan(self.target_tau):
            rows.append(("knowing every target as measured", f"{self.target_tau:.3f}"))
        if not math.isnan(self.through_target):
            rows.append(("knowing every target without its noise", f"{self.through_target:.3f}"))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Everything in plain JSON values; NaN is None."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(entry) for key, entry in value.items()}
            if isinstance(value, list | tuple):
                return [plain(entry) for entry in value]
            return None if isinstance(value, float) and math.isnan(value) else value

        return {"tau": plain(self.tau), **plain(asdict(self))}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> NoiseCeiling:
        """The inverse of :meth:`to_dict`.

        Raises:
            KeyError, TypeError: It is no such dictionary.
        """

        def known(entry: dict[str, Any]) -> dict[str, Any]:
            return {key: math.nan if value is None else value for key, value in entry.items()}

        fields = known({key: value for key, value in stored.items() if key != "tau"})
        for name in ("estimates", "target_estimates"):
            fields[name] = tuple(Estimate(**known(entry)) for entry in fields[name])
        return cls(**fields)

    def __str__(self) -> str:
        width = max(len(what) for what, _ in self.rows())
        lines = [f"{what.ljust(width)}  {value}" for what, value in self.rows()]
        return "\n".join([f"{self.name}: Kendall's tau of a perfect predictor", *lines])


def noise_ceiling(
    benchmark: Benchmark,
    target: str | None = None,
    rank_against: str | None = None,
    *,
    groups: ArrayLike | None = None,
) -> NoiseCeiling:
    """Estimates the noise ceiling of a benchmark; see the head of this module.

    Args:
        benchmark: The ground truth.
        target: The metric trained on; the benchmark's own by default.
        rank_against: The metric ranked against; the target if that was given, else the benchmark's own.
        groups: (n,) the functional class of every row, where it is known already.

    Raises:
        UsageError: There is no such metric.

    >>> from nasx.benchmark import load_benchmark
    >>> print(noise_ceiling(load_benchmark("nasbench-graph", dataset="proteins")))
    nasbench-graph, proteins: Kendall's tau of a perfect predictor
    noise ceiling  not known: validation_accuracy has neither repeats nor enough twins
    """
    rank_against = rank_against or target or benchmark.rank_against
    judged = find_metric(benchmark.metrics, rank_against)
    trained = find_metric(benchmark.metrics, target or benchmark.target)
    groups = function_groups(benchmark) if groups is None else np.asarray(groups)
    name = ", ".join(filter(None, (benchmark.name, benchmark.dataset)))
    estimates = _estimates(benchmark, judged, groups)
    if trained.name == judged.name:
        return NoiseCeiling(name, trained.name, judged.name, estimates)
    sign = -1 if {trained.direction, judged.direction} == {"maximize", "minimize"} else 1
    target_estimates = _estimates(benchmark, trained, groups)
    tau = sign * kendall_tau(benchmark.values(metric=trained.name), benchmark.values(metric=judged.name))
    through = math.nan
    if target_estimates:
        knows = normal_correlation(target_estimates[0].tau)
        across = _across_runs(benchmark, trained, judged)
        if across is not None and estimates and estimates[0].method == target_estimates[0].method == "repeats":
            apart = sign * normal_correlation(across) * _gain(estimates[0]) * _gain(target_estimates[0])
        else:
            apart = normal_correlation(tau) * _share_apart(benchmark, trained, judged, groups)
        through = tau_of(apart / knows)
    return NoiseCeiling(name, trained.name, judged.name, estimates, target_estimates, tau, through)


def _estimates(benchmark: Benchmark, metric: Metric, groups: NDArray[Any]) -> tuple[Estimate, ...]:
    label = benchmark.values(metric=metric.name)
    runs = [benchmark.values(metric=name) for name in _runs_of(benchmark, metric).values()]
    return tuple(e for e in (from_repeats(runs, label) if len(runs) > 1 else None, from_twins(label, groups)) if e)


def _runs_of(benchmark: Benchmark, metric: Metric) -> dict[int, str]:
    """Seed -> metric of the single runs of a metric's quantity, where the metric is one of them or their mean."""
    alike = (metric.quantity, metric.epochs, metric.dataset)
    runs = {
        other.seed: other.name
        for other in benchmark.metrics.values()
        if (other.quantity, other.epochs, other.dataset) == alike and isinstance(other.seed, int)
    }
    if len(runs) < 2 or metric.name in runs.values():
        return runs
    table = np.array([benchmark.values(metric=name) for name in runs.values()])
    known = ~np.isnan(table).all(axis=0)
    label = benchmark.values(metric=metric.name)[known]
    mean = np.nanmean(table[:, known], axis=0)
    # A column that is not the mean of these runs (the best of them, say) has a noise of another kind.
    return runs if np.isclose(mean, label, rtol=1e-4, atol=1e-9, equal_nan=True).mean() > 0.99 else {}


def _across_runs(benchmark: Benchmark, one: Metric, two: Metric) -> float | None:
    """Mean tau between different runs of two metrics; None where they have no runs in common."""
    first, second = _runs_of(benchmark, one), _runs_of(benchmark, two)
    if len(set(first) & set(second)) < 2:
        return None
    values = {name: benchmark.values(metric=name) for name in (*first.values(), *second.values())}
    taus = [kendall_tau(values[a], values[b]) for i, a in first.items() for j, b in second.items() if i != j]
    return float(np.nanmean(taus))


def _gain(estimate: Estimate) -> float:
    """How much better the labels correlate with what they measure than a single run does."""
    return normal_correlation(estimate.tau) / math.sqrt(normal_correlation(estimate.agreement))


def _share_apart(benchmark: Benchmark, one: Metric, two: Metric, groups: NDArray[Any]) -> float:
    """Correlation of two metrics between twins as a share of that within an architecture; 1 where nothing is shared."""
    values = [benchmark.values(metric=metric.name) for metric in (one, two)]
    known = np.flatnonzero(~np.isnan(values[0] + values[1]))
    x, y = (each[known] for each in values)
    rng = np.random.default_rng(0)
    within, across = [], []
    for _ in range(20):
        a, b = random_pairs(groups[known], rng)
        if len(a) < FEWEST_CLASSES:
            return 1.0
        within += [kendall_tau(x[a], y[a]), kendall_tau(x[b], y[b])]
        across += [kendall_tau(x[a], y[b]), kendall_tau(x[b], y[a])]
    share = normal_correlation(float(np.mean(across))) / normal_correlation(float(np.mean(within)))
    return min(1.0, share) if share > 0 else 1.0
