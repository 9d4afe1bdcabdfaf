"""The search loop: propose, evaluate, refit, and at the end say how far the predictor could be trusted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.acquisition import check_acquisition
from nasx.benchmark import Benchmark
from nasx.claims import Claims, refuse_shared
from nasx.guide import Guide, fresh_predictor
from nasx.parallel_search import ParallelRun
from nasx.result import SearchResult
from nasx.search_progress import Progress, Stopwatch
from nasx.search_run import SearchRun
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.space import SearchSpace, check_variety
from nasx.store import TrialStore, open_storage
from nasx.strategies import strategy_class
from nasx.strategies.base import Direction
from nasx.workers import Call, evaluating

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

__all__ = ["Objective", "Progress", "Stopwatch", "check_search", "fresh_predictor", "search"]

Objective = Callable[[Any], float]


def search(
    space: SearchSpace | str,
    objective: Objective | Benchmark,
    *,
    predictor: str | Predictor | None = "nar-former-v2",
    strategy: str = "evolution",
    budget: int = 150,
    initial: int = 20,
    batch: int = 10,
    exploration: float = 0.1,
    acquisition: str = "mean",
    candidates: int | None = None,
    seed: int = 0,
    direction: Direction | None = None,
    storage: str | Path | None = None,
    study_name: str = "nasx",
    resume: bool = False,
    rank_all: bool = True,
    progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    timeout: float | None = None,
    shared: bool = False,
    heartbeat: float = 10.0,
) -> SearchResult:
    """Searches a space for its best architecture with few real evaluations.

    With a predictor: ``initial`` random architectures are evaluated; then, round by round, the predictor is fitted from
    scratch on everything known, the strategy searches against it, and the ``batch`` most promising unseen architectures
    are evaluated. Without one (``predictor=None``) the strategy proposes directly, one architecture at a time.

    All randomness is derived from ``seed`` and the round, and every evaluation is durable in the storage, so that an
    interrupted search that is resumed ends with the same history as an undisturbed one.

    Args:
        space: The search space, or its name.
        objective: A benchmark, or any function ``architecture -> float``. One that raises or returns NaN for an
            architecture costs that evaluation only.
        predictor: A predictor, its name, or None.
        strategy: The name of a strategy.
        budget: Number of real evaluations.
        initial: Number of random ones among them that come first (with a predictor).
        batch: Number of evaluations between two fits of the predictor.
        exploration: Share of each batch drawn at random.
        acquisition: What makes a candidate promising: ``"mean"``, its predicted value; or ``"ucb"``, ``"ei"``,
            ``"thompson"``, which also ask the predictor how sure it is (see :mod:`nasx.acquisition`).
        candidates: How many architectures the predictor scores in each round; the strategy's own number by default.
            They stream by: a million take no more memory than twenty thousand.
        seed: The search's seed.
        direction: ``"maximize"`` or ``"minimize"``; by default the benchmark's own, ``"maximize"`` for a function.
        storage: None (memory), the path of a journal file, or an Optuna storage URL.
        study_name: Name of the study in the storage.
        resume: Whether to continue the study in the storage.
        rank_all: Whether to score every architecture of a benchmark at the end (Kendall's tau comes from there).
        progress: Called before every step.
        workers: How many evaluations run at once, in processes of their own; None for one after the other in this
            process. Candidates are then proposed one by one, as soon as a worker is free
            (:class:`nasx.candidates.RankedCandidates`). A benchmark is asked in threads instead.
        executor: Where evaluations run instead: any :class:`concurrent.futures.Executor` (Dask, Slurm: see
            :mod:`nasx.executors`). It is not shut down.
        timeout: Seconds after which an evaluation is given up; without ``workers``, evaluations run in one process of
            their own, so that it can be ended.
        shared: Whether other processes, on this machine or others, work on the same study: whoever comes first makes
            it, the others join it, and together they stop at the budget (:class:`nasx.claims.Claims`).
        heartbeat: Seconds between two signs of life in a shared study; what a worker was evaluating is taken up by the
            others after six missing ones.

    Returns:
        The result; see :class:`nasx.result.SearchResult`.

    Raises:
        UsageError: If an argument makes no sense; the sentence says what does.
        NasxError: If every evaluation failed, or the benchmark holds too little of its space to be searched.
        BudgetSpent: If the benchmark has a budget and it is spent; what was evaluated is in the storage.

    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> result = search(NASBench201(), lambda cell: cell.count("nor_conv_3x3"), predictor=None, budget=60, seed=0)
    >>> result.evaluations, result.best_value >= 5
    (60, True)
    """
    space = get_search_space(space) if isinstance(space, str) else space
    benchmark = objective if isinstance(objective, Benchmark) else None
    if direction is None:
        direction = benchmark.direction if benchmark else "maximize"
    rounds = {"budget": budget, "initial": initial, "batch": batch, "exploration": exploration}
    check_search(predictor, strategy, **rounds, acquisition=acquisition, candidates=candidates)  # type: ignore[arg-type]
    if benchmark is None:
        check_variety(space, np.random.default_rng(seed))
    allowed = benchmark.measured() if benchmark else None
    guide = Guide(
        space, strategy, direction, seed, allowed,
        exploration=exploration, acquisition=acquisition, candidates=candidates,
    )  # fmt: skip
    run: SearchRun
    if workers is None and executor is None and timeout is None and not shared:
        store = TrialStore(space, open_storage(storage), study_name=study_name, direction=direction, resume=resume)
        refuse_shared(store)
        run = SearchRun(guide, Call(objective), store, budget, progress)
        fitted = run.start(predictor, initial, batch)
    else:
        options = {
            "space": space.name, "objective": label_of(objective), "predictor": label_of(predictor),
            "strategy": strategy, "initial": initial, "batch": batch, "exploration": exploration,
            "acquisition": acquisition, "candidates": candidates, "seed": seed,
        }  # fmt: skip
        with evaluating(objective, workers, executor, timeout) as workplace:
            claims = Claims(
                space, open_storage(storage), study_name=study_name, direction=direction, budget=budget,
                options=options, heartbeat=heartbeat if shared else 0.0, resume=resume or shared,
                inline=workplace.inline,
            )  # fmt: skip
            run = ParallelRun(guide, claims, workplace, timeout=timeout, shared=shared, progress=progress)
            fitted = run.start(predictor, initial, batch)
    if benchmark and not run.history:
        raise NasxError(
            f"none of the architectures drawn from {space.name} is among the {len(benchmark):,} of '{benchmark.name}'; "
            "a search needs a table that holds a larger share of its space"
        )
    result = SearchResult.from_run(
        space=space,
        benchmark=benchmark,
        direction=direction,
        history=run.history,
        predictor=fitted,
        watch=run.watch,
        rank_all=rank_all,
        report=run.report,
    )
    result.skipped = max(guide.buildable.skipped, len(getattr(space, "failures", ())))  # some spaces skip them alone
    return result


def label_of(what: Any, goals: str | None = None) -> str:
    """What to call an objective or a predictor when two processes compare what they were started with.

    Args:
        what: The objective or predictor.
        goals: The metrics of a benchmark that are wanted; by default the one that it is asked for.
    """
    if isinstance(what, Benchmark):
        return "/".join(str(part) for part in (what.name, what.dataset, goals or what.target) if part)
    return what if isinstance(what, str) else str(getattr(what, "__qualname__", type(what).__name__))


def check_search(
    predictor: str | Predictor | None,
    strategy: str,
    *,
    budget: int,
    initial: int,
    batch: int,
    exploration: float,
    acquisition: str = "mean",
    candidates: int | None = None,
) -> None:
    """Refuses arguments of :func:`search` that make no sense, before anything is evaluated or written.

    Raises:
        UsageError: With a sentence that says what does make sense.
    """
    strategy_class(strategy)
    if budget < 1:
        raise UsageError(f"a budget of {budget} evaluations is none; type at least 1")
    check_acquisition(acquisition)
    if predictor is None:
        return
    if acquisition != "mean" and not fresh_predictor(predictor).knows_uncertainty:
        raise UsageError(
            f"acquisition '{acquisition}' asks how sure the predictor is, which '{predictor}' does not know; "
            "use nar-former-v2 or gaussian-process, or acquisition mean"
        )
    fresh_predictor(predictor)
    if initial < 1 or batch < 1:
        raise UsageError(f"initial ({initial}) and batch ({batch}) must be at least 1")
    if budget < initial:
        raise UsageError(
            f"a budget of {budget} is smaller than the initial sample of {initial}; raise --budget or lower --initial"
        )
    if candidates is not None and candidates < 1:
        raise UsageError(f"a predictor cannot choose among {candidates} candidates; type at least 1")
    if not 0 <= exploration <= 1:
        raise UsageError(f"an exploration share of {exploration} is outside 0 to 1")
