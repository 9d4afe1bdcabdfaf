"""The search loop: propose, evaluate, refit, and at the end say how far the predictor could be trusted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.acquisition import acquire, check_acquisition
from nasx.benchmark import Benchmark, BudgetSpent
from nasx.result import SearchResult
from nasx.search_spaces import get_search_space
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation, TrialStore, open_storage
from nasx.strategies import make_strategy, strategy_class
from nasx.strategies.base import Direction, Strategy
from nasx.strategies.guided import Proposal, ask_unseen, propose, unseen

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

Objective = Callable[[Any], float]


@dataclass(frozen=True)
class Progress:
    """What a progress callback is told.

    Attributes:
        phase: What is going on: ``"evaluating"``, ``"fitting"``, ``"proposing"`` or ``"ranking"``.
        done: Evaluations finished.
        budget: Evaluations allowed.
        best: Best value so far; NaN before the first.
    """

    phase: str
    done: int
    budget: int
    best: float


class Stopwatch:
    """Adds up the seconds spent under each name."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seconds: dict[str, float] = {"fit": 0.0, "score": 0.0}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times the block under it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    @property
    def total(self) -> float:
        """Seconds since the watch was made."""
        return time.perf_counter() - self.start


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
    store = TrialStore(space, open_storage(storage), study_name=study_name, direction=direction, resume=resume)
    allowed = _measured(benchmark) if benchmark else None
    run = _Run(space, objective, allowed, strategy, direction, seed, budget, store, progress, candidates)
    if predictor is None:
        run.direct()
        fitted = None
    else:
        fitted = run.guided(predictor, initial, batch, exploration, acquisition)
    if benchmark and not run.history:
        raise NasxError(
            f"none of the architectures drawn from {space.name} is among the {len(benchmark):,} of '{benchmark.name}'; "
            "a search needs a table that holds a larger share of its space"
        )
    return SearchResult.from_run(
        space=space,
        benchmark=benchmark,
        direction=direction,
        history=run.history,
        predictor=fitted,
        watch=run.watch,
        rank_all=rank_all,
        report=run.report,
    )


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


def _measured(benchmark: Benchmark) -> Callable[[Hashable], bool] | None:
    """Says which architectures have a value of the target; None where all of the space have one."""
    finite = np.isfinite(benchmark.values())
    if len(finite) == benchmark.space.size and finite.all():
        return None

    def measured(architecture: Hashable) -> bool:
        row = int(benchmark.rows([architecture])[0])
        return row >= 0 and bool(finite[row])

    return measured


class _Run:
    """One search in progress: the space, the store, and the history so far."""

    def __init__(
        self,
        space: SearchSpace,
        objective: Objective,
        allowed: Callable[[Hashable], bool] | None,
        strategy: str,
        direction: Direction,
        seed: int,
        budget: int,
        store: TrialStore,
        progress: Callable[[Progress], None] | None,
        candidates: int | None = None,
    ) -> None:
        self.space, self.objective, self.allowed, self.store = space, objective, allowed, store
        self.strategy, self.direction, self.seed, self.budget = strategy, direction, seed, budget
        self.progress, self.candidates = progress, candidates
        self.history: list[Evaluation] = []
        self.watch = Stopwatch()

    def direct(self) -> None:
        """The strategy proposes one architecture at a time and is told its value.

        A resumed search asks again for what is recorded: the strategy repeats itself, and its state is as it was.
        """
        strategy = self._strategy(0)
        known: dict[str, float] = {}
        for index in range(self.budget):
            proposals, avoided = ask_unseen(strategy, 1, known, self.allowed)
            if not proposals:
                break  # the space has no architecture left
            self._round(index, lambda p=proposals, a=avoided: (p, a), size=1)  # type: ignore[misc]
            last = self.history[-1]
            known[last.key] = last.value
            strategy.tell([last.architecture], [last.value])

    def guided(
        self, predictor: str | Predictor, initial: int, batch: int, exploration: float, acquisition: str
    ) -> Predictor | None:
        """Rounds of fit, propose, evaluate; returns the predictor fitted on everything at the end."""
        self._round(0, lambda: unseen(self.space, self._rng(0), initial, (), self.allowed), size=initial)
        index = 0
        while len(self.history) < self.budget:
            index += 1
            size = min(batch, self.budget - len(self.history))
            before = len(self.history)
            make = partial(self._propose, predictor, index, size, exploration, acquisition)
            self._round(index, make, size=size)
            if len(self.history) == before:
                break  # the space has no architecture left
        return self._fit(predictor, index + 1)

    def _propose(
        self, predictor: str | Predictor, index: int, n: int, exploration: float, acquisition: str
    ) -> tuple[list[Proposal], int]:
        fitted = self._fit(predictor, index)
        seen = {evaluation.key for evaluation in self.history}
        if fitted is None:
            return unseen(self.space, self._rng(index), n, seen, self.allowed)
        self.report("proposing")
        evaluated = [evaluation.architecture for evaluation in self.history if not evaluation.failed]
        known = {*self.operations, *self.space.graphs(evaluated).vocabulary}
        value = partial(self._score, fitted.predict, known)
        score = value
        if acquisition != "mean":
            score = partial(self._score, self._acquisition(fitted, index, acquisition), known)
        proposals, avoided = propose(
            self._strategy(index, inner=True),
            score,
            n,
            evaluated=evaluated,
            seen=seen,
            exploration=exploration,
            candidates=self.candidates,
            allowed=self.allowed,
        )
        if acquisition != "mean" and proposals:  # what is written down is the value that was expected
            expected = value([proposal.architecture for proposal in proposals])
            proposals = [replace(p, predicted=float(v)) for p, v in zip(proposals, expected, strict=True)]
        return proposals, avoided

    def _acquisition(self, fitted: Predictor, index: int, acquisition: str) -> Callable[[GraphBatch], np.ndarray]:
        """Graphs -> how much they are worth an evaluation."""
        values = [evaluation.value for evaluation in self.history if not evaluation.failed]
        best, rng = (max if self.direction == "maximize" else min)(values), self._rng(index, stream=3)

        def worth(graphs: GraphBatch) -> np.ndarray:
            expected, deviations = fitted.predict_distribution(graphs)
            return acquire(acquisition, expected, deviations, best=best, direction=self.direction, rng=rng)

        return worth

    def _fit(self, predictor: str | Predictor, index: int) -> Predictor | None:
        """Fits a fresh predictor on the successful evaluations; None where there are fewer than two."""
        known = [evaluation for evaluation in self.history if not evaluation.failed]
        if len(known) < 2:
            return None
        self.report("fitting")
        seed = int(self._rng(index, stream=1).integers(2**31))
        with self.watch("fit"):
            fresh = fresh_predictor(predictor, seed=seed, direction=self.direction)
            graphs = self.space.graphs([evaluation.architecture for evaluation in known])
            graphs = graphs.recode(sorted({*self.operations, *graphs.vocabulary}))
            return fresh.fit(graphs, np.array([evaluation.value for evaluation in known]))

    @cached_property
    def operations(self) -> set[str]:
        """The operations of 256 random architectures: a predictor learns a code for each, trained on it or not."""
        return set(self.space.graphs(self.space.samples(256, self._rng(0, stream=2))).vocabulary)

    def _score(
        self, ask: Callable[[GraphBatch], np.ndarray], known: set[str], architectures: Sequence[Hashable]
    ) -> np.ndarray:
        """Scores `(n,)`; an architecture with an operation the predictor has no code for gets the worst."""
        with self.watch("score"):
            graphs = self.space.graphs(architectures)
            alien = [code for code, operation in enumerate(graphs.vocabulary) if operation not in known]
            readable = np.flatnonzero(~np.isin(graphs.operations, alien).any(axis=1))
            scores = np.full(len(graphs), -math.inf if self.direction == "maximize" else math.inf)
            scores[readable] = ask(graphs[readable])
            return scores

    def _round(self, index: int, make: Callable[[], tuple[list[Proposal], int]], *, size: int) -> None:
        """Plans a round unless it is planned already, evaluates what is open, and appends it to the history."""
        if self.store.planned(index) < size:
            proposals, avoided = make()
            self.store.plan(index, proposals, avoided)
        done = len(self.history) + self.store.planned(index) - len(self.store.open_trials(index))
        for trial in self.store.open_trials(index):
            self.report("evaluating", done)
            self.store.start(trial)
            value, error = self._evaluate(self.space.parse(trial.user_attrs["architecture"]))
            self.store.finish(trial, value, error)
            done += 1
        self.history += self.store.evaluations(index)

    def _evaluate(self, architecture: Hashable) -> tuple[float, str | None]:
        """The objective's value, or NaN and the reason where it has none."""
        try:
            value = float(self.objective(architecture))
        except BudgetSpent:
            raise
        except Exception as error:  # whatever a user's objective raises costs one evaluation, not the search
            return math.nan, f"{type(error).__name__}: {error}"
        if not math.isfinite(value):
            return math.nan, f"the objective returned {value}"
        return value, None

    def _strategy(self, index: int, *, inner: bool = False) -> Strategy:
        return make_strategy(self.strategy, self.space, rng=self._rng(index), direction=self.direction, inner=inner)

    def _rng(self, index: int, stream: int = 0) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, index])

    def report(self, phase: str, done: int | None = None) -> None:
        """Tells the progress callback where the search stands."""
        if self.progress is None:
            return
        values = [evaluation.value for evaluation in self.history if not evaluation.failed]
        best = (max if self.direction == "maximize" else min)(values, default=math.nan)
        self.progress(Progress(phase, len(self.history) if done is None else done, self.budget, best))


def fresh_predictor(predictor: str | Predictor, **params: Any) -> Predictor:
    """An unfitted predictor from a name or a prototype, with those of ``params`` set that it knows."""
    from sklearn.base import clone

    from nasx.predictors import make_predictor

    fresh = make_predictor(predictor) if isinstance(predictor, str) else clone(predictor)
    known = fresh.get_params()
    return fresh.set_params(**{name: value for name, value in params.items() if name in known})
