"""How well does a predictor rank architectures it has not seen? Repeated, with fresh splits and seeds, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasx.benchmark import Benchmark
from nasx.evaluation_report import EvaluationReport
from nasx.evaluation_task import Task
from nasx.metric import find_metric
from nasx.noise import noise_ceiling
from nasx.search_spaces.errors import UsageError
from nasx.splits import Protocol, get_protocol
from nasx.splits import train_sizes as counts_of

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
    split: str | Protocol = "uniform",
    validation_size: int | None = None,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    out: str | Path | None = None,
) -> EvaluationReport:
    """Measures how well predictors rank architectures.

    Each repeat draws a fresh split from (seed, repeat, training size), the same for every predictor, fits the
    predictor on the target metric of the training rows, and ranks the test rows that have the metric to rank against:
    by default all others, so that no predictor is asked for what it was told. The report shows Kendall's tau beside
    the noise ceiling, where one can be estimated.

    Args:
        predictor: A predictor, its name, several of them, or label -> predictor; ``"nar-former-v2"`` by default.
        benchmark: The ground truth.
        train_sizes: Training sizes, as counts or percentages of the benchmark (``"5%"``); 781 by default.
        repeats: Number of repeats of each setting.
        seed: The source of all randomness.
        target: The metric to train on; the benchmark's own by default.
        rank_against: The metric to rank against; the benchmark's own by default (the target, if that was given).
        split: How rows are divided: a protocol or its name, ``uniform``, ``uniform-stratified``, ``by-function`` or the
            papers' ``prefix`` (see :mod:`nasx.splits`).
        validation_size: Rows that validate, for predictors that choose their best step by them; by default the
            protocol's own number.
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
    >>> report.table()["split"].nunique(), report.ceiling.known
    (2, False)
    """
    sizes = counts_of(781 if train_sizes is None else train_sizes, len(benchmark))
    if repeats < 1 or seed < 0 or n_jobs == 0:
        raise UsageError(f"repeats ({repeats}) must be at least 1, seed ({seed}) at least 0, n_jobs ({n_jobs}) not 0")
    protocol = get_protocol(split, validation_size=validation_size)
    rank_against = find_metric(benchmark.metrics, rank_against or target or benchmark.rank_against).name
    target = find_metric(benchmark.metrics, target or benchmark.target).name
    prototypes = _prototypes(predictor)
    task = Task.of(benchmark, target, rank_against, protocol, seed)
    config = {
        "benchmark": benchmark.name,
        "dataset": benchmark.dataset,
        "space": benchmark.space.name,
        "architectures": len(benchmark),
        "target": target,
        "rank_against": rank_against,
        "values": task.fingerprint(),
        "protocol": protocol.label,
        "tested_on": protocol.tests_on,
        "seed": seed,
        "predictors": {label: _describe(prototype) for label, prototype in prototypes.items()},
        "train_sizes": sizes,
        "repeats": repeats,
    }
    report = EvaluationReport(config) if out is None else EvaluationReport.resume(Path(out), config)
    if report.ceiling is None:
        report.ceiling = noise_ceiling(benchmark, target, rank_against, groups=task.groups)
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


def _rows(
    task: Task, prototypes: Mapping[str, Predictor], keys: Sequence[tuple[str, int, int]], n_jobs: int
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


def _describe(predictor: Predictor) -> dict[str, Any]:
    """Class and parameters, without those that :func:`evaluate` sets itself."""
    params = {k: v for k, v in predictor.get_params().items() if k not in {"seed", "direction"}}
    return {"class": type(predictor).__name__, "params": params}
