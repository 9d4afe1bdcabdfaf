"""How well does a predictor rank architectures it has not seen? Repeated, with fresh splits and seeds, and recorded."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx import splits
from nasx.benchmark import Benchmark, Floats
from nasx.evaluation_report import EvaluationReport
from nasx.metrics import Direction, ranking_metrics
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor


def evaluate(
    predictor: str | Predictor | Sequence[str | Predictor] | Mapping[str, str | Predictor] | None,
    benchmark: Benchmark,
    *,
    train_sizes: Sequence[int | str] | int | str | None = None,
    repeats: int = 5,
    seed: int = 0,
    target: str | None = None,
    rank_against: str | None = None,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    out: str | Path | None = None,
) -> EvaluationReport:
    """Measures how well predictors rank architectures they were not trained on.

    Each repeat draws a fresh split from (seed, repeat, training size), the same for every predictor, fits the
    predictor on the target metric of the training rows, and ranks every other row that has the metric to rank against.

    Args:
        predictor: A predictor, its name, several of them, or label -> predictor; ``"nar-former-v2"`` by default.
        benchmark: The ground truth.
        train_sizes: Training sizes, as counts or percentages of the benchmark (``"5%"``); 781 by default.
        repeats: Number of repeats of each setting.
        seed: The source of all randomness.
        target: The metric to train on; the benchmark's own by default.
        rank_against: The metric to rank against; the benchmark's own by default (the target, if that was given).
        n_jobs: Repeats that run at once, each in a process of its own; -1 for one a core.
        progress: Called as ``progress(done, total)`` after every repeat.
        out: Folder for ``evaluation.csv``, ``summary.csv`` and ``config.json``, written after every repeat. What an
            earlier call with the same settings finished there is not run again.

    Returns:
        The report: ``report.table()`` has one row a repeat, ``report.summary()`` one row a setting.

    Raises:
        UsageError: An argument is wrong, or ``out`` holds an evaluation with other settings.
        NasxError: A predictor fails, or ``out`` cannot be read or written.

    >>> from nasx.benchmark import load_benchmark
    >>> bench = load_benchmark("nasbench-graph", dataset="proteins")
    >>> report = evaluate("trees", bench, train_sizes=[100], repeats=2)
    >>> len(report.table()), bool(report.summary().kendall_tau_mean[0] > 0.5)
    (2, True)
    """
    sizes = splits.train_sizes(781 if train_sizes is None else train_sizes, len(benchmark))
    if repeats < 1 or seed < 0 or n_jobs == 0:
        raise UsageError(f"repeats ({repeats}) must be at least 1, seed ({seed}) at least 0, n_jobs ({n_jobs}) not 0")
    rank_against = rank_against or (target or benchmark.rank_against)
    target = target or benchmark.target
    prototypes = _prototypes(predictor)
    task = _Task.of(benchmark, target, rank_against, seed)
    config = {
        "benchmark": benchmark.name,
        "dataset": benchmark.dataset,
        "space": benchmark.space.name,
        "architectures": len(benchmark),
        "target": target,
        "rank_against": rank_against,
        "values": task.fingerprint(),
        "protocol": "uniform",
        "seed": seed,
        "predictors": {label: _describe(prototype) for label, prototype in prototypes.items()},
        "train_sizes": sizes,
        "repeats": repeats,
    }
    report = EvaluationReport(config) if out is None else EvaluationReport.resume(Path(out), config)
    wanted = [(label, size, repeat) for size in sizes for repeat in range(repeats) for label in prototypes]
    missing = [key for key in wanted if key not in report]
    if out is not None:
        report.save(out)
    for number, row in enumerate(_rows(task, prototypes, missing, n_jobs), start=1 + len(wanted) - len(missing)):
        report.add(row)
        if out is not None:
            report.save(out)
        if progress is not None:
            progress(number, len(wanted))
    return report


@dataclass(frozen=True)
class _Task:
    """What every repeat needs to know."""

    graphs: GraphBatch
    targets: Floats
    truth: Floats
    direction: Direction
    truth_direction: Direction
    seed: int

    @classmethod
    def of(cls, benchmark: Benchmark, target: str, rank_against: str, seed: int) -> _Task:
        return cls(
            graphs=benchmark.graphs(),
            targets=benchmark.values(metric=target),
            truth=benchmark.values(metric=rank_against),
            direction=benchmark.direction_of(target),
            truth_direction=benchmark.direction_of(rank_against),
            seed=seed,
        )

    def fingerprint(self) -> str:
        """Changes when a value of the table does."""
        return hashlib.sha256(self.targets.tobytes() + self.truth.tobytes()).hexdigest()[:16]

    def run(self, label: str, prototype: Predictor, size: int, repeat: int) -> dict[str, Any]:
        """One repeat: split, fit, score, compare."""
        stream = [self.seed, repeat, size]
        split = splits.uniform(
            np.flatnonzero(~np.isnan(self.targets)),
            size,
            np.random.default_rng(stream),
            test_rows=np.flatnonzero(~np.isnan(self.truth)),
        )
        predictor_seed = int(np.random.SeedSequence([*stream, 1]).generate_state(1)[0] >> 1)
        model = _fresh(prototype, predictor_seed, self.direction)
        start = time.perf_counter()
        model.fit(self.graphs[split.train], self.targets[split.train])
        fitted = time.perf_counter()
        predicted = np.asarray(model.predict(self.graphs[split.test]), dtype=np.float64)
        scored = time.perf_counter()
        wrong = int((~np.isfinite(predicted)).sum())
        if wrong:
            raise NasxError(f"predictor '{label}' gave {wrong} of {len(predicted)} architectures no finite value")
        oriented = predicted if self.direction == self.truth_direction else -predicted
        scores = ranking_metrics(oriented, self.truth[split.test], self.truth_direction)
        del scores["dropped"]
        return {
            "predictor": label,
            "train_size": size,
            "repeat": repeat,
            "seed": self.seed,
            "predictor_seed": predictor_seed,
            "test_rows": scores.pop("pairs"),
            **scores,
            "fit_seconds": round(fitted - start, 4),
            "score_seconds": round(scored - fitted, 4),
        }


def _rows(
    task: _Task, prototypes: Mapping[str, Predictor], keys: Sequence[tuple[str, int, int]], n_jobs: int
) -> Iterator[dict[str, Any]]:
    """The row of each repeat, as they finish."""
    if n_jobs == 1 or len(keys) < 2:
        for label, size, repeat in keys:
            yield task.run(label, prototypes[label], size, repeat)
        return
    from joblib import Parallel, delayed

    calls = (delayed(task.run)(label, prototypes[label], size, repeat) for label, size, repeat in keys)
    yield from Parallel(n_jobs=min(n_jobs, len(keys)), return_as="generator_unordered")(calls)


def _prototypes(
    predictor: str | Predictor | Sequence[str | Predictor] | Mapping[str, str | Predictor] | None,
) -> dict[str, Predictor]:
    """Label -> unfitted predictor; a label is the name it was given by, or its class."""
    from nasx.predictors import make_predictor

    if isinstance(predictor, Mapping):
        named = list(predictor.items())
    else:
        listed = predictor if isinstance(predictor, Sequence) and not isinstance(predictor, str) else [predictor]
        named = [(p if isinstance(p, str) else type(p).__name__, p) for p in (p or "nar-former-v2" for p in listed)]
    if not named:
        raise UsageError("give at least one predictor to evaluate, for example 'nar-former-v2'")
    prototypes: dict[str, Predictor] = {}
    for label, one in named:
        if label in prototypes:
            raise UsageError(f"two predictors are called '{label}'; give them labels: {{'first': ..., 'second': ...}}")
        prototypes[label] = make_predictor(one) if isinstance(one, str) else one
    return prototypes


def _fresh(prototype: Predictor, seed: int, direction: str) -> Predictor:
    """An unfitted copy with its own seed that knows which end matters."""
    from sklearn.base import clone

    model = clone(prototype)
    known = model.get_params()
    return model.set_params(**{k: v for k, v in (("seed", seed), ("direction", direction)) if k in known})


def _describe(predictor: Predictor) -> dict[str, Any]:
    """Class and parameters, without those that :func:`evaluate` sets itself."""
    params = {k: v for k, v in predictor.get_params().items() if k not in {"seed", "direction"}}
    return {"class": type(predictor).__name__, "params": params}
