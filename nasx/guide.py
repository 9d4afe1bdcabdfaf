"""The predictor in the loop: fitted on what is known, searched by a strategy, it says what to evaluate next."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.acquisition import acquire
from nasx.buildable import Buildable
from nasx.search_progress import Stopwatch
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation
from nasx.strategies import make_strategy
from nasx.strategies.base import Direction, Strategy
from nasx.strategies.guided import Proposal, ask_unseen, propose, unseen

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor

Known = Sequence[tuple[Hashable, float]]


class Guide:
    """Fits predictors and lets strategies search against them; knows no storage and no budget.

    Args:
        space: The search space.
        strategy: The name of a strategy.
        direction: Whether larger or smaller values are better.
        seed: The search's seed; all randomness comes from it and the index of a round.
        allowed: Says which architectures may be proposed.
        exploration: Share of random proposals.
        acquisition: What makes a candidate promising.
        candidates: How many architectures are scored in a round; None for the strategy's own number.
        salt: Another part of the seed, so that several processes of one search draw differently; 0 for none.
        report: Told what is going on.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: str,
        direction: Direction,
        seed: int,
        allowed: Callable[[Hashable], bool] | None,
        *,
        exploration: float = 0.1,
        acquisition: str = "mean",
        candidates: int | None = None,
        salt: int = 0,
        report: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self.space, self.strategy, self.direction, self.seed = space, strategy, direction, seed
        self.exploration, self.acquisition, self.candidates = exploration, acquisition, candidates
        self.salt, self.report = salt, report
        self.buildable = Buildable(space, allowed)
        self.watch = Stopwatch()

    def rng(self, index: int, stream: int = 0) -> np.random.Generator:
        """The random numbers of a round."""
        return np.random.default_rng([self.seed, stream, index, *([self.salt] if self.salt else [])])

    def make_strategy(self, index: int, *, inner: bool = False) -> Strategy:
        """A fresh strategy for a round."""
        return make_strategy(self.strategy, self.space, rng=self.rng(index), direction=self.direction, inner=inner)

    def exhausted(self, count: int) -> bool:
        """Whether so many different architectures are all there are."""
        return self.space.size is not None and count >= self.space.size

    def key(self, architecture: Hashable) -> str:
        """What tells an architecture from those that need no evaluation of their own any more: its canonical key."""
        return self.space.canonical_key(architecture)

    def outcome(self, evaluation: Evaluation) -> Any:
        """What a strategy is told of an evaluation."""
        return evaluation.value

    def usual(self, history: Sequence[Evaluation]) -> Any:
        """The median outcome: what a strategy is told of an architecture that is still being evaluated."""
        values = [evaluation.value for evaluation in history if not evaluation.failed]
        return statistics.median(values) if values else math.nan

    def best(self, history: Sequence[Evaluation]) -> float:
        """The best value there is; NaN for none."""
        values = [evaluation.value for evaluation in history if not evaluation.failed]
        return (max if self.direction == "maximize" else min)(values, default=math.nan)

    def ask(self, strategy: Strategy, known: dict[str, Any]) -> tuple[list[Proposal], int]:
        """One new architecture of a strategy, if there is one, and the number of duplicates avoided.

        Args:
            strategy: The strategy.
            known: Key -> what it is told of an architecture that has it.
        """
        return ask_unseen(strategy, 1, known, self.buildable, self.key)

    def random(self, rng: np.random.Generator, n: int, seen: Collection[str]) -> tuple[list[Proposal], int]:
        """Random architectures that are new."""
        return unseen(self.space, rng, n, seen, self.buildable, self.key)

    def fit(self, predictor: str | Predictor, index: int, history: Sequence[Evaluation], also: Known = ()) -> Any:
        """Fits a fresh predictor on the successful evaluations; None where there are fewer than two.

        Args:
            predictor: The predictor or its name.
            index: The round.
            history: The evaluations.
            also: Further architectures and the values to take for true.
        """
        known = [(evaluation.architecture, evaluation.value) for evaluation in history if not evaluation.failed]
        if len(known) < 2:
            return None
        self.report("fitting")
        seed = int(self.rng(index, stream=1).integers(2**31))
        with self.watch("fit"):
            fresh = fresh_predictor(predictor, seed=seed, direction=self.direction)
            architectures, values = zip(*known, *also, strict=True)
            graphs = self.space.graphs(architectures)
            graphs = graphs.recode(sorted({*self.operations, *graphs.vocabulary}))
            return fresh.fit(graphs, np.array(values))

    def propose(
        self,
        fitted: Predictor | None,
        index: int,
        n: int,
        history: Sequence[Evaluation],
        seen: Collection[str],
        also: Known = (),
    ) -> tuple[list[Proposal], int]:
        """The ``n`` most promising new architectures, and the number of duplicates avoided.

        Args:
            fitted: The predictor; random architectures are proposed without one.
            index: The round.
            n: How many.
            history: The evaluations.
            seen: Keys (:meth:`key`) that must not be proposed.
            also: What is being evaluated, and the values to take for true; here the predictor alone knows of it.
        """
        if self.exhausted(len(seen)):
            return [], 0
        if fitted is None:
            return self.random(self.rng(index), n, seen)
        self.report("proposing")
        evaluated = [evaluation.architecture for evaluation in history if not evaluation.failed]
        known = {*self.operations, *self.space.graphs(evaluated).vocabulary}
        value = partial(self._score, fitted.predict, known)
        score = value
        if self.acquisition != "mean":
            score = partial(self._score, self._worth(fitted, index, history), known)
        proposals, avoided = propose(
            self.make_strategy(index, inner=True),
            score,
            n,
            evaluated=evaluated,
            seen=seen,
            exploration=self.exploration,
            candidates=self.candidates,
            allowed=self.buildable,
        )
        if self.acquisition != "mean" and proposals:  # what is written down is the value that was expected
            expected = value([proposal.architecture for proposal in proposals])
            proposals = [replace(p, predicted=float(v)) for p, v in zip(proposals, expected, strict=True)]
        return proposals, avoided

    def _worth(
        self, fitted: Predictor, index: int, history: Sequence[Evaluation]
    ) -> Callable[[GraphBatch], np.ndarray]:
        """Graphs -> how much they are worth an evaluation."""
        values = [evaluation.value for evaluation in history if not evaluation.failed]
        best, rng = (max if self.direction == "maximize" else min)(values), self.rng(index, stream=3)

        def worth(graphs: GraphBatch) -> np.ndarray:
            expected, deviations = fitted.predict_distribution(graphs)
            return acquire(self.acquisition, expected, deviations, best=best, direction=self.direction, rng=rng)

        return worth

    @cached_property
    def operations(self) -> set[str]:
        """The operations of some random architectures: a predictor learns a code for each, trained on it or not."""
        count = min(256, self.space.inner_candidates or 256)
        some = self.space.samples(count, np.random.default_rng([self.seed, 2, 0]))
        return set(self.buildable.graphs(some)[0].vocabulary)

    def _score(
        self, ask: Callable[[GraphBatch], np.ndarray], known: set[str], architectures: Sequence[Hashable]
    ) -> np.ndarray:
        """Scores `(n,)`; one without a graph, or with an operation the predictor has no code for, gets the worst."""
        with self.watch("score"):
            scores = np.full(len(architectures), -math.inf if self.direction == "maximize" else math.inf)
            graphs, places = self.buildable.graphs(architectures)
            alien = [code for code, operation in enumerate(graphs.vocabulary) if operation not in known]
            readable = np.flatnonzero(~np.isin(graphs.operations, alien).any(axis=1))
            scores[places[readable]] = ask(graphs[readable])
            return scores


def fresh_predictor(predictor: str | Predictor, **params: Any) -> Predictor:
    """An unfitted predictor from a name or a prototype, with those of ``params`` set that it knows."""
    from sklearn.base import clone

    from nasx.predictors import make_predictor

    fresh = make_predictor(predictor) if isinstance(predictor, str) else clone(predictor)
    known = fresh.get_params()
    return fresh.set_params(**{name: value for name, value in params.items() if name in known})
