"""A search with several objectives and limits: what front do few real evaluations find?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.benchmark import Benchmark
from nasx.claims import refuse_shared
from nasx.metric import find_metric, infer_metric
from nasx.metrics import Direction, check_direction
from nasx.parallel_search import ParallelRun
from nasx.pareto_guide import ParetoGuide, predictor_for
from nasx.pareto_measure import MeasureRow
from nasx.pareto_result import ParetoResult, Truth
from nasx.pareto_store import ParetoClaims, ParetoStore
from nasx.search_loop import check_search, label_of
from nasx.search_progress import Progress
from nasx.search_run import SearchRun
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.space import SearchSpace, check_variety
from nasx.store import open_storage
from nasx.strategies.goals import Goal, Goals
from nasx.workers import Call, evaluating

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

Floats = NDArray[np.float64]
Objective = Callable[[Any], Sequence[float] | Mapping[str, float]]


def pareto_search(
    space: SearchSpace | str,
    objective: Objective | Benchmark,
    objectives: Sequence[str],
    *,
    limits: Mapping[str, float] | None = None,
    directions: Mapping[str, Direction] | None = None,
    predictor: str | Predictor | Mapping[str, Any] | None = "nar-former-v2",
    strategy: str = "nsga2",
    budget: int = 150,
    initial: int = 20,
    batch: int = 10,
    exploration: float = 0.1,
    candidates: int | None = None,
    own_deviations: bool = False,
    reference: Mapping[str, float] | None = None,
    seed: int = 0,
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
) -> ParetoResult:
    """Searches a space for its Pareto front with few real evaluations.

    Like :func:`nasx.search`, with a predictor for every goal: ``initial`` random architectures are evaluated; then,
    round by round, the predictors are fitted, NSGA-II and random sampling look at thousands of candidates, and the
    ``batch`` with the largest expected gain in hypervolume are evaluated. Where there are limits, the gain counts times
    the chance to keep them. Without predictors NSGA-II proposes directly.

    Args:
        space: The search space, or its name.
        objective: A benchmark, or a function that returns one number for every objective, then one for every limit
            that is no objective, in the order they are named here; or a mapping with these names. One that raises or
            returns NaN for an architecture costs that evaluation only.
        objectives: What to optimise: metrics of the benchmark, or what the function's numbers are called.
        limits: The worst values allowed: ``{"latency_ms": 5}``. At most for what is to be small, at least for what is
            to be large; of objectives or of other metrics.
        directions: ``"maximize"`` or ``"minimize"`` by name; by default the benchmark's own, or what the name says.
        predictor: A predictor, its name, or a mapping with one for each name. A function ``architectures -> (n,)`` in
            it stands for what is known for nothing, such as parameters. None for no predictors.
        strategy: ``"nsga2"`` or ``"random"``, or a strategy of your own that takes ``goals``.
        budget: Number of real evaluations.
        initial: Number of random ones among them that come first (with a predictor).
        batch: Number of evaluations between two fits of the predictors.
        exploration: Share of each batch drawn at random.
        candidates: How many architectures are scored in a round.
        own_deviations: Whether predictors that say how sure they are, are believed; by default a prediction is as
            unsure as earlier ones were wrong.
        reference: The value of each objective beyond which nothing counts; by default what 95 % of the benchmark, or
            of the first ``initial`` architectures, are better than.
        seed: The search's seed.
        storage: None (memory), the path of a journal file, or an Optuna storage URL.
        study_name: Name of the study in the storage.
        resume: Whether to continue the study in the storage.
        rank_all: Whether to score every architecture of a benchmark at the end (Kendall's tau comes from there).
        progress: Called before every step.
        workers: How many evaluations run at once; this and what follows are as in :func:`nasx.search`.
        executor: Where evaluations run instead: any :class:`concurrent.futures.Executor`.
        timeout: Seconds after which an evaluation is given up.
        shared: Whether other processes work on the same study.
        heartbeat: Seconds between two signs of life in a shared study.

    Returns:
        The result; see :class:`nasx.pareto_result.ParetoResult`.

    Raises:
        UsageError: If an argument makes no sense, or the function returns another number of values.
        NasxError: If every evaluation failed, or the benchmark holds too little of its space to be searched.
        BudgetSpent: If the benchmark has a budget and it is spent; what was evaluated is in the storage.

    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> def both(cell):
    ...     return cell.count("nor_conv_3x3"), cell.count("nor_conv_3x3") + cell.count("avg_pool_3x3")
    >>> result = pareto_search(NASBench201(), both, ["accuracy", "latency_ms"], predictor=None, budget=80, seed=0)
    >>> result.evaluations, bool(result.pareto["accuracy"].max() >= 4)
    (80, True)
    """
    space = get_search_space(space) if isinstance(space, str) else space
    benchmark = objective if isinstance(objective, Benchmark) else None
    goals = make_goals(objectives, limits, directions, benchmark)
    check_search(None, strategy, budget=budget, initial=initial, batch=batch, exploration=exploration)
    guesses = None if predictor is None else predictor_for(goals, predictor)
    if guesses is not None:
        rounds = {"budget": budget, "initial": initial, "batch": batch, "exploration": exploration}
        first = next((guess for guess in guesses.values() if not callable(guess)), "trees")
        check_search(first, strategy, **rounds, candidates=candidates)  # type: ignore[arg-type]
    if benchmark is None:
        check_variety(space, np.random.default_rng(seed))
    bound = None if reference is None else _reference(goals, reference)
    allowed = benchmark.measured(goals.names) if benchmark else None
    guide = ParetoGuide(
        space, strategy, goals, seed, allowed,
        exploration=exploration, candidates=candidates, reference=bound, own_deviations=own_deviations,
    )  # fmt: skip
    how = MeasureRow(tuple(goals.names))
    run: SearchRun
    if workers is None and executor is None and timeout is None and not shared:
        store = ParetoStore(space, open_storage(storage), goals, study_name=study_name, resume=resume)
        refuse_shared(store)
        run = SearchRun(guide, Call(objective, how), store, budget, progress)
        fitted = run.start(guesses, initial, batch)
    else:
        options = {
            "space": space.name, "objective": label_of(objective, ", ".join(goals.names)),
            "predictor": _labels(guesses), "strategy": strategy,
            "initial": initial, "batch": batch, "exploration": exploration, "candidates": candidates, "seed": seed,
            "own_deviations": own_deviations, "reference": None if bound is None else bound.tolist(),
        }  # fmt: skip
        with evaluating(objective, workers, executor, timeout, how) as workplace:
            claims = ParetoClaims(
                space, open_storage(storage), goals, study_name=study_name, budget=budget, options=options,
                heartbeat=heartbeat if shared else 0.0, resume=resume or shared, inline=workplace.inline,
            )  # fmt: skip
            run = ParallelRun(guide, claims, workplace, timeout=timeout, shared=shared, progress=progress)
            fitted = run.start(guesses, initial, batch)
    if benchmark and not run.history:
        raise NasxError(
            f"none of the architectures drawn from {space.name} is among the {len(benchmark):,} of '{benchmark.name}' "
            f"with {' and '.join(goals.names)}; a search needs a table that holds a larger share of its space"
        )
    return ParetoResult.from_run(
        space=space,
        goals=goals,
        history=run.history,
        initial=initial,
        reference=bound,
        truth=Truth.of(benchmark, goals, bound) if benchmark else None,
        predictors=fitted,
        benchmark=benchmark if rank_all else None,
        labels=[benchmark.metrics[name].label if benchmark else name.replace("_", " ") for name in goals.names],
        watch=guide.watch,
        report=run.report,
    )


def make_goals(
    objectives: Sequence[str],
    limits: Mapping[str, float] | None = None,
    directions: Mapping[str, Direction] | None = None,
    benchmark: Benchmark | None = None,
) -> Goals:
    """What is wanted, from names.

    Raises:
        UsageError: A name is unknown or given twice, a limit is no number, or nobody knows which end of it is good.

    >>> make_goals(["accuracy"], {"latency_ms": 5}).all[1].demand
    'latency_ms <= 5'
    """
    if isinstance(objectives, str):
        objectives = [objectives]
    if not objectives:
        raise UsageError("there is no objective; name at least one")

    def full(name: str) -> str:
        return find_metric(benchmark.metrics, name).name if benchmark else name

    said = {full(name): check_direction(direction) for name, direction in (directions or {}).items()}
    bounds = {full(name): _number(name, value) for name, value in (limits or {}).items()}
    names = [full(name) for name in objectives]
    both = [*names, *(name for name in bounds if name not in names)]
    for name in said:
        if name not in both:
            raise UsageError(f"'{name}' has a direction but is neither an objective nor limited; leave it out")

    def direction(name: str) -> Direction:
        if name in said:
            return said[name]
        if benchmark is not None:
            return benchmark.direction_of(name)
        guess = infer_metric(name, np.zeros(0)).direction
        if guess is None:
            raise UsageError(
                f"whether a high or a low '{name}' is better is not clear from its name; "
                f"say it with directions={{'{name}': 'maximize'}} (or 'minimize')"
            )
        return guess

    return Goals(tuple(Goal(name, direction(name), name in names, bounds.get(name)) for name in both))


def _labels(guesses: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Goal -> what its predictor is called when two processes compare what they were started with."""
    return None if guesses is None else {name: label_of(guess) for name, guess in guesses.items()}


def _reference(goals: Goals, reference: Mapping[str, float]) -> Floats:
    """The reference point as losses ``(m,)``."""
    names = [goal.name for goal in goals.objectives]
    if set(reference) != set(names):
        raise UsageError(f"a reference needs one value for every objective: {', '.join(names)}")
    return np.array([goal.sign * _number(goal.name, reference[goal.name]) for goal in goals.objectives])


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"'{value}' of {name} is no number; write it like {name}=5")
    return number
