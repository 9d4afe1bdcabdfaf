"""How well does a predictor rank architectures it has not seen? Repeated, with fresh splits and seeds, and recorded."""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nasx.benchmark import Benchmark
from nasx.evaluation_report import EvaluationReport, Key
from nasx.evaluation_task import Mode, Outcome, Source, Task
from nasx.family_splits import ALL, FamilySplit
from nasx.interrupts import deaf_children
from nasx.metric import find_metric
from nasx.noise import noise_ceiling
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.network_table import families_of
from nasx.splits import Protocol, get_protocol
from nasx.train_sizes import train_sizes as counts_of

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

#: Where repeats run: name -> the package that must be installed for it.
BACKENDS = {"loky": "joblib", "threading": "joblib", "dask": "distributed", "ray": "ray"}
_INSTALL = {"dask": '"dask[distributed]"', "ray": "ray"}


def evaluate(
    predictor: str | Predictor | Sequence[str | Predictor] | Mapping[str, str | Predictor] | None,
    benchmark: Benchmark | Sequence[Benchmark],
    *,
    train_sizes: Sequence[int | str] | int | str | None = None,
    repeats: int = 5,
    seed: int | Sequence[int] = 0,
    losses: Sequence[str] | None = None,
    target: str | None = None,
    rank_against: str | None = None,
    split: str | Protocol = "uniform",
    validation_size: int | None = None,
    test_size: int | None = None,
    adapt_from: str | None = None,
    source_size: int | str | None = None,
    n_jobs: int = 1,
    backend: str = "loky",
    progress: Callable[[int, int], None] | None = None,
    out: str | Path | None = None,
) -> EvaluationReport:
    """Measures how well predictors rank architectures: a grid of predictors, losses, training sizes, data sets, seeds.

    Each repeat draws a fresh split from (seed, repeat, training size), the same for every predictor, fits the
    predictor on the target metric of the training rows, and ranks the test rows that have the metric to rank against:
    by default all others, so that no predictor is asked for what it was told. The report shows Kendall's tau beside
    the noise ceiling, where one can be estimated.

    Args:
        predictor: A predictor, its name, several of them, or label -> predictor; ``"nar-former-v2"`` by default.
        benchmark: The ground truth, or several: the same benchmark on several data sets, or different ones.
        train_sizes: Training sizes, as counts or percentages of the benchmark (``"5%"``); 781 by default.
        repeats: Number of repeats of each setting, for each seed.
        seed: The source of all randomness, or several.
        losses: Losses that each predictor is trained with in turn (``nasx predictors`` lists them); its own by default.
        target: The metric to train on; the benchmark's own by default.
        rank_against: The metric to rank against; the benchmark's own by default (the target, if that was given).
        split: How rows are divided: a protocol or its name, ``uniform``, ``uniform-stratified``, ``by-function`` or the
            papers' ``prefix`` (see :mod:`nasx.splits`); of whole networks ``in-domain`` or ``leave-one-family-out``
            (:mod:`nasx.family_splits`), which train on all networks there are unless sizes are given.
        validation_size: Rows that validate, for predictors that choose their best step by them; by default the
            protocol's own number.
        test_size: How many of the rows that the protocol tests on are ranked, drawn at random from (seed, repeat); by
            default all.
        adapt_from: Another metric (another device, another data set). Each predictor is measured three times: fitted to
            the few training rows alone; fitted to ``adapt_from`` and used as it is; and that one adapted with the
            training rows (:class:`nasx.predictors.adapted.Adapted`). The training rows are some of those that the
            predictor of ``adapt_from`` learns; neither are tested on.
        source_size: How many rows the predictor of ``adapt_from`` learns; all that may train under a split by family,
            else 781.
        n_jobs: Repeats that run at once, each in a process of its own; -1 for one a core.
        backend: Where they run, a backend of joblib: ``loky`` (processes here), ``threading``, ``dask`` or ``ray`` (the
            cluster that this process is connected to).
        progress: Called as ``progress(done, total)`` after every repeat.
        out: Folder for ``evaluation.csv``, ``summary.csv``, ``pairs.csv`` and ``config.json``, written after every
            repeat. What an earlier call with the same settings finished there is not run again.

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
    benchmarks = [benchmark] if isinstance(benchmark, Benchmark) else list(benchmark)
    seeds = [seed] if isinstance(seed, int) else list(dict.fromkeys(seed))
    if not benchmarks or not seeds:
        raise UsageError("give at least one benchmark and one seed")
    if repeats < 1 or min(seeds) < 0 or n_jobs == 0:
        raise UsageError(
            f"repeats ({repeats}) must be at least 1, seed ({min(seeds)}) at least 0, n_jobs ({n_jobs}) not 0"
        )
    if test_size is not None and test_size < 2:
        raise UsageError(f"a ranking needs at least 2 architectures; the test size is {test_size}")
    _check_backend(backend)
    protocol = get_protocol(split, validation_size=validation_size)
    prototypes = _prototypes(predictor, losses)
    modes = list(Mode) if adapt_from else [Mode.ALONE]
    contenders = {
        label + (f", {mode.value}" if adapt_from else ""): (prototype, mode)
        for label, prototype in prototypes.items()
        for mode in modes
    }
    tasks: dict[str, Task] = {}
    config: dict[str, Any] = {
        "benchmarks": {},
        "protocol": protocol.label + (f", a sample of {test_size:,} ranked" if test_size else ""),
        "tested_on": (f"at most {test_size:,} " if test_size else "") + protocol.tests_on,
        "seeds": seeds,
        "predictors": {label: _describe(prototype) for label, (prototype, _) in contenders.items()},
        "repeats": repeats,
    }
    for one in benchmarks:
        ranked = find_metric(one.metrics, rank_against or target or one.rank_against).name
        learnt = find_metric(one.metrics, target or one.target).name
        label = one.name + (f" on {one.dataset}" if one.dataset else "")
        if label in tasks:
            raise UsageError(f"'{label}' is given twice; give every benchmark and data set once")
        source = _source(one, adapt_from, learnt, protocol, source_size) if adapt_from else None
        tasks[label] = task = Task.of(one, learnt, ranked, protocol, test_size, source)
        config["benchmarks"][label] = {
            "benchmark": one.name,
            "dataset": one.dataset,
            "space": one.space.name,
            "architectures": len(one),
            "target": learnt,
            "rank_against": ranked,
            "values": task.fingerprint(),
            "train_sizes": _sizes(train_sizes, one, learnt, protocol, source),
            **({"adapted_from": source.metric, "source_size": source.size} if source else {}),
        }
    report = EvaluationReport(config) if out is None else EvaluationReport.resume(Path(out), config)
    for one, (label, task) in zip(benchmarks, tasks.items(), strict=True):
        if label not in report.ceilings:
            described = config["benchmarks"][label]
            found = noise_ceiling(one, described["target"], described["rank_against"], groups=task.groups)
            report.set_ceiling(label, found)
    wanted = [
        Key(name, label, size, number, repeat, family)
        for name, described in config["benchmarks"].items()
        for size in described["train_sizes"]
        for number in seeds
        for repeat in range(repeats)
        for family in tasks[name].folds
        for label in contenders
    ]
    missing = [key for key in wanted if key not in report]
    if adapt_from:  # one after the other what is adapted from the same predictor
        missing.sort(
            key=lambda key: (key.benchmark, key.seed, key.repeat, key.family, key.predictor.rpartition(",")[0])
        )
    if out is not None:
        report.save(out)
    jobs = (_Job(tasks[key.benchmark], key, *contenders[key.predictor]) for key in missing)
    done = len(wanted) - len(missing)
    for number, outcome in enumerate(_outcomes(jobs, len(missing), n_jobs, backend), start=1 + done):
        for place, row in enumerate(outcome.rows):
            report.add(row, outcome.pairs if place == 0 else None)
        if out is not None:
            report.save(out)
        if progress is not None:
            progress(number, len(wanted))
    return report


class _Job(NamedTuple):
    task: Task
    key: Key
    prototype: Predictor
    mode: Mode

    def run(self) -> Outcome:
        return self.task.run(self.key, self.prototype, self.mode)


def _sizes(
    sizes: Sequence[int | str] | int | str | None,
    benchmark: Benchmark,
    target: str,
    protocol: Protocol,
    source: Source | None,
) -> list[int]:
    """Training sizes as counts; under a split by family ``"all"`` is what most rows can train on."""
    if source is not None:
        found = counts_of(50 if sizes is None else sizes, len(benchmark))
        if max(found) > source.size:
            raise UsageError(
                f"{max(found)} training rows are more than the {source.size} that the predictor of {source.metric} "
                "learns; ask for fewer (--train-size), or for more of the other (--source-size)"
            )
        return found
    if not isinstance(protocol, FamilySplit):
        return counts_of(781 if sizes is None else sizes, len(benchmark))
    families = families_of(benchmark.space)
    most = protocol.most(np.flatnonzero(~np.isnan(benchmark.values(metric=target))), families)
    each: list[int | str] = [ALL] if sizes is None else [sizes] if isinstance(sizes, int | str) else list(sizes)
    found = [most if str(size) == ALL else counts_of(size, len(benchmark))[0] for size in each]
    if max(found) > most:
        raise UsageError(f"{max(found):,} training networks were asked for, but at most {most:,} may train; type {ALL}")
    return list(dict.fromkeys(found))


def _source(benchmark: Benchmark, metric: str, target: str, protocol: Protocol, size: int | str | None) -> Source:
    """The metric to adapt from."""
    found = find_metric(benchmark.metrics, metric).name
    if found == target:
        raise UsageError(f"'{found}' is the target itself; adapt from another metric (--adapt-from)")
    values = benchmark.values(metric=found)
    if isinstance(protocol, FamilySplit) and size in (None, ALL):
        count = protocol.most(np.flatnonzero(~np.isnan(values)), families_of(benchmark.space))
    else:
        count = counts_of(781 if size is None else size, len(benchmark))[0]
    return Source(found, values, benchmark.direction_of(found), count)


def _outcomes(jobs: Iterable[_Job], count: int, n_jobs: int, backend: str) -> Iterator[Outcome]:
    """What each repeat found, as they finish."""
    if n_jobs == 1 or count < 2:
        yield from (job.run() for job in jobs)
        return
    from joblib import Parallel, delayed, parallel_config

    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    tasks = (delayed(_Job.run)(job) for job in jobs)
    with parallel_config(backend=backend, n_jobs=min(n_jobs, count)):
        if backend != "ray":
            # whoever interrupts knows that tasks are cancelled
            warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed", UserWarning)
            with deaf_children():  # which this process ends; by themselves they would complain
                outcomes = Parallel(return_as="generator_unordered")(tasks)
                time.sleep(0.1)  # loky's thread takes the tasks; workers that end before it did let it fail (KeyError)
            yield from outcomes
            return
        # ray's backend gives lists only: so many at a time, lest any be lost
        while some := list(islice(tasks, n_jobs)):
            yield from Parallel()(some)


def _check_backend(backend: str) -> None:
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if importlib.util.find_spec(BACKENDS[backend]) is None:
        raise UsageError(
            f"the backend '{backend}' needs a package that is not installed; type: pip install {_INSTALL[backend]}"
        )


def _prototypes(
    predictor: str | Predictor | Sequence[str | Predictor] | Mapping[str, str | Predictor] | None,
    losses: Sequence[str] | None,
) -> dict[str, Predictor]:
    """Label -> unfitted predictor; a label is the name it was given by, or its class, and the loss."""
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
    return prototypes if not losses else _with_losses(prototypes, losses)


def _with_losses(prototypes: Mapping[str, Predictor], losses: Sequence[str]) -> dict[str, Predictor]:
    """Each predictor with each loss; one that takes no loss stays as it is."""
    from sklearn.base import clone

    from nasx.predictors.loss_table import find_loss

    crossed: dict[str, Predictor] = {}
    for label, prototype in prototypes.items():
        if "loss" not in prototype.get_params():
            crossed[label] = prototype
            continue
        for loss in losses:
            crossed[f"{label}, {find_loss(loss)}"] = clone(prototype).set_params(loss=loss)
    return crossed


def _describe(predictor: Predictor) -> dict[str, Any]:
    """Class and parameters, without those that :func:`evaluate` sets itself."""
    params = {k: v for k, v in predictor.get_params().items() if k not in {"seed", "direction"}}
    return {"class": type(predictor).__name__, "params": params}
