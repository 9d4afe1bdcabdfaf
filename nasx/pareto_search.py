"""A search with several objectives and limits: what front do few real evaluations find?"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.benchmark import Benchmark, BudgetSpent
from nasx.metric import find_metric, infer_metric
from nasx.metrics import Direction, check_direction
from nasx.pareto_guide import ParetoGuide, predictor_for
from nasx.pareto_result import ParetoResult, Truth
from nasx.pareto_store import ParetoStore
from nasx.search_loop import check_search
from nasx.search_progress import Progress
from nasx.search_run import SearchRun
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.space import SearchSpace, check_variety
from nasx.store import Evaluation, open_storage
from nasx.strategies.goals import Goal, Goals

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

Floats = NDArray[np.float64]
Objective = Callable[[Any], Sequence[float]]


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
) -> ParetoResult:
    """Searches a space for its Pareto front with few real evaluations.

    Like :func:`nasx.search`, with a predictor for every goal: ``initial`` random architectures are evaluated; then,
    round by round, the predictors are fitted, NSGA-II and random sampling look at thousands of candidates, and the
    ``batch`` with the largest expected gain in hypervolume are evaluated. Where there are limits, the gain counts times
    the chance to keep them. Without predictors NSGA-II proposes directly.

    Args:
        space: The search space, or its name.
        objective: A benchmark, or a function that returns one number for every objective, then one for every limit
            that is no objective, in the order they are named here. One that raises or returns NaN for an architecture
            costs that evaluation only.
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
    store = ParetoStore(space, open_storage(storage), goals, study_name=study_name, resume=resume)
    run = ParetoRun(guide, objective, store, budget, progress)  # type: ignore[arg-type]
    fitted = None
    if guesses is None:
        run.direct()
    else:
        fitted = run.guided(guesses, initial, batch)  # type: ignore[arg-type]
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
        predictors=fitted,  # type: ignore[arg-type]
        benchmark=benchmark if rank_all else None,
        labels=[benchmark.metrics[name].label if benchmark else name.replace("_", " ") for name in goals.names],
        watch=guide.watch,
        report=run.report,
    )


class ParetoRun(SearchRun):
    """One search in progress, where an evaluation gives a row of values."""

    guide: ParetoGuide

    def _evaluate(self, architecture: Hashable) -> tuple[tuple[float, ...], str | None]:
        """The values, or NaN and the reason where one of them is missing."""
        names = self.guide.goals.names
        try:
            if isinstance(self.objective, Benchmark):
                answer: Any = [self.objective.query(architecture, name) for name in names]
            else:
                answer = self.objective(architecture)
        except BudgetSpent:
            raise
        except (Exception, SystemExit) as error:  # what a user's objective raises costs one evaluation, not the search
            return (math.nan,) * len(names), f"{type(error).__name__}: {error}"
        row = _row(answer, names)
        for name, value in zip(names, row, strict=True):
            if not math.isfinite(value):
                return (math.nan,) * len(names), f"{name} is {value}"
        return row, None

    def _outcome(self, evaluation: Evaluation) -> Any:
        """The row of values; a strategy that ignores values is told one number."""
        return evaluation.values if self.guide.takes_rows else evaluation.value

    def report(self, phase: str, done: int | None = None) -> None:
        """Tells the progress callback where the search stands; there is no best value."""
        if self.progress is not None:
            self.progress(Progress(phase, len(self.history) if done is None else done, self.budget, math.nan))


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


def _row(answer: Any, names: Sequence[str]) -> tuple[float, ...]:
    """What an objective returned, as one number a goal; NaN for what is no number."""
    if isinstance(answer, str | bytes) or not hasattr(answer, "__len__"):
        raise UsageError(
            f"the objective returned {answer!r:.80}; it must return {len(names)} numbers: {', '.join(names)}"
        )
    if len(answer) != len(names):
        raise UsageError(
            f"the objective returned {len(answer)} values for {len(names)} goals; it must return {', '.join(names)}"
        )
    values = []
    for value in answer:
        try:
            values.append(float(value))
        except (TypeError, ValueError):
            values.append(math.nan)
    return tuple(values)


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
