"""Predictors in the loop of a search with several goals: one a goal, NSGA-II against all of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.guide import Guide, fresh_predictor
from nasx.pareto_proposals import Forecast, choose, usual_errors
from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation
from nasx.strategies import STRATEGIES, make_strategy, strategy_class
from nasx.strategies.base import Strategy
from nasx.strategies.goals import Goals
from nasx.strategies.guided import Proposal

Floats = NDArray[np.float64]

_RANDOM_SHARE = 0.2


def takes_rows(name: str) -> bool:
    """Whether a strategy works with several goals: its constructor takes ``goals``, and ``tell`` a row of values each.

    Raises:
        UsageError: It does not, and does not ignore values either; or there is no such strategy.

    >>> takes_rows("nsga2"), takes_rows("random")
    (True, False)
    """
    cls, _ = strategy_class(name)
    if "goals" in inspect.signature(cls).parameters:
        return True
    if name == "random":
        return False
    able = [each for each in STRATEGIES if each == "random" or "goals" in _parameters(each)]
    raise UsageError(f"the strategy '{name}' knows one objective only; with several there are: {', '.join(able)}")


def _parameters(name: str) -> Collection[str]:
    return inspect.signature(strategy_class(name)[0]).parameters


class ParetoGuide(Guide):
    """Fits a predictor for every goal and proposes by expected gain in hypervolume.

    Args:
        space: The search space.
        strategy: ``"nsga2"``, ``"random"``, or a strategy of your own that takes ``goals``.
        goals: What is measured, and what is wanted of it.
        seed: The search's seed; all randomness comes from it and the index of a round.
        allowed: Says which architectures may be proposed.
        exploration: Share of random proposals.
        candidates: How many architectures are scored in a round, a fifth of them random; None for the strategy's own
            number.
        reference: Losses ``(m,)`` beyond which nothing is worth anything; None to take them from round 0.
        own_deviations: Whether to believe predictors that say how sure they are. By default all are as unsure as their
            earlier predictions were wrong: accuracies have a long tail at the bad end, and deviations that are wide
            because of it make the search explore where nothing can be gained.
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: str,
        goals: Goals,
        seed: int,
        allowed: Callable[[Hashable], bool] | None,
        *,
        exploration: float = 0.1,
        candidates: int | None = None,
        reference: Floats | None = None,
        own_deviations: bool = False,
    ) -> None:
        super().__init__(space, strategy, "maximize", seed, allowed, exploration=exploration, candidates=candidates)
        self.goals, self.reference, self.own_deviations = goals, reference, own_deviations
        self.takes_rows = takes_rows(strategy)

    def make_strategy(self, index: int, *, inner: bool = False) -> Strategy:
        """A fresh strategy for a round."""
        make = partial(make_strategy, self.strategy, self.space, rng=self.rng(index), inner=inner)
        return make(goals=self.goals) if self.takes_rows else make()

    def key(self, architecture: Hashable) -> str:
        """Its canonical key; the architecture as it is written where a device is measured.

        Cells that compute the same function need not take the same time: the faster one is worth an evaluation.
        """
        return self.space.format(architecture) if self.goals.of_device else super().key(architecture)

    def outcome(self, evaluation: Evaluation) -> Any:
        """The row of values; one number for a strategy that ignores values."""
        return evaluation.values if self.takes_rows else evaluation.value

    def usual(self, history: Sequence[Evaluation]) -> Any:
        """The median of each value."""
        known = [evaluation for evaluation in history if not evaluation.failed]
        if not self.takes_rows:
            return super().usual(known)
        return np.median(self.rows(known), axis=0).tolist() if known else [math.nan] * len(self.goals.all)

    def best(self, history: Sequence[Evaluation]) -> float:
        """NaN: there is a front, and no best value."""
        return math.nan

    def rows(self, history: Sequence[Evaluation]) -> Floats:
        """The values ``(n, k)`` of evaluations."""
        return self.goals.rows([evaluation.values for evaluation in history])

    def bound(self, history: Sequence[Evaluation]) -> Floats:
        """The reference point ``(m,)``: given, or what 95 % of the random architectures of round 0 stay below."""
        if self.reference is not None:
            return self.reference
        known = [evaluation for evaluation in history if not evaluation.failed]
        first = [evaluation for evaluation in known if evaluation.round == 0]
        return self.goals.worst(self.rows(first if len(first) > 1 else known))

    def fit(  # type: ignore[override]
        self, predictor: Mapping[str, Any], index: int, history: Sequence[Evaluation], also: Sequence[Any] = ()
    ) -> dict[str, Any] | None:
        """Fits a fresh predictor for every goal on the successful evaluations; None where there are fewer than two.

        Args:
            predictor: Goal -> a predictor, its name, or a function that knows the values.
            index: The round.
            history: The evaluations.
            also: Further architectures and the rows of values to take for true.

        Returns:
            Goal -> fitted predictor, or the function.
        """
        known = [(evaluation.architecture, evaluation.values) for evaluation in history if not evaluation.failed]
        if len(known) < 2:
            return None
        self.report("fitting")
        seeds = self.rng(index, stream=1).integers(2**31, size=len(self.goals.all))
        with self.watch("fit"):
            architectures, values = zip(*known, *also, strict=True)
            rows = self.goals.rows(values)
            graphs = self.space.graphs(architectures)
            graphs = graphs.recode(sorted({*self.operations, *graphs.vocabulary}))
            fitted: dict[str, Any] = {}
            for goal, column, seed in zip(self.goals.all, rows.T, seeds, strict=True):
                guess = predictor[goal.name]
                if not is_exact(guess):
                    # what a device needs depends on the dead parts of cells, too
                    device = {"as_written": True} if goal.of_device else {}
                    fresh = fresh_predictor(guess, seed=int(seed), direction=goal.direction, **device)
                    guess = fresh.fit(graphs, np.ascontiguousarray(column))
                fitted[goal.name] = guess
            return fitted

    def propose(  # type: ignore[override]
        self,
        fitted: Mapping[str, Any] | None,
        index: int,
        n: int,
        history: Sequence[Evaluation],
        seen: Collection[str],
        also: Sequence[Any] = (),
    ) -> tuple[list[Proposal], int]:
        """The ``n`` most promising new architectures, and the number of duplicates avoided; see :class:`Guide`.

        What is being evaluated counts as measured with its expected values, so that no other worker goes there.
        """
        if self.exhausted(len(seen)):
            return [], 0
        if fitted is None:
            return self.random(self.rng(index), n, seen)
        self.report("proposing")
        known = [evaluation for evaluation in history if not evaluation.failed]
        evaluated = [evaluation.architecture for evaluation in known]
        operations = {*self.operations, *self.space.graphs(evaluated).vocabulary}
        predictions = self.goals.rows([evaluation.predictions for evaluation in known])
        errors = usual_errors(self.rows(known), predictions)
        ask = partial(self.forecast, fitted, operations, errors)
        book = self._look_around(self.make_strategy(index, inner=True), ask, evaluated)
        candidates = list(book)
        table = np.array(list(book.values()))
        k = len(self.goals.all)
        taken: dict[str, int] = {}
        avoided, known_already = 0, set(evaluated)

        def acceptable(place: int) -> bool:
            nonlocal avoided
            architecture = candidates[place]
            if architecture in known_already or not self.buildable(architecture):
                return False
            key = self.key(architecture)
            if key in seen or key in taken:
                avoided += 1
                return False
            taken[key] = place
            return True

        explore = min(n, round(self.exploration * n))
        measured = np.vstack([self.rows(known), self.goals.rows([values for _, values in also])])
        choose(Forecast(table[:, :k], table[:, k:]), self.goals, measured, self.bound(history), n - explore, acceptable)
        proposals = [_proposal(candidates[place], key, table[place, :k]) for key, place in taken.items()]
        random, more = self.random(self.rng(index, stream=4), n - len(proposals), {*seen, *taken})
        if random:
            expected = ask([proposal.architecture for proposal in random])[:, :k]
            proposals += [_proposal(p.architecture, p.key, row) for p, row in zip(random, expected, strict=True)]
        return proposals, avoided + more

    def forecast(
        self,
        fitted: Mapping[str, Any],
        operations: Collection[str],
        errors: Floats,
        architectures: Sequence[Hashable],
    ) -> Floats:
        """Expected values and their deviations side by side, ``(n, 2 k)``; NaN where a predictor cannot read a graph.

        Args:
            fitted: Goal -> fitted predictor, or a function that knows the values.
            operations: The operations that predictors know.
            errors: ``(k,)`` deviations of predictors whose own are unknown or not believed.
            architectures: The n architectures.
        """
        with self.watch("score"):
            k = len(self.goals.all)
            table = np.full((len(architectures), 2 * k), math.nan)
            graphs, places = self.buildable.graphs(architectures)
            alien = [code for code, operation in enumerate(graphs.vocabulary) if operation not in operations]
            readable = np.flatnonzero(~np.isin(graphs.operations, alien).any(axis=1))
            graphs, places = graphs[readable], places[readable]
            for column, goal in enumerate(self.goals.all):
                guess = fitted[goal.name]
                if is_exact(guess):
                    table[places, column] = guess([architectures[place] for place in places])
                    table[places, k + column] = 0.0
                elif self.own_deviations and guess.knows_uncertainty:
                    table[places, column], table[places, k + column] = guess.predict_distribution(graphs)
                else:
                    table[places, column] = guess.predict(graphs)
                    table[places, k + column] = errors[column]
            return table

    def _look_around(
        self, strategy: Strategy, ask: Callable[[Sequence[Hashable]], Floats], evaluated: Sequence[Hashable]
    ) -> dict[Hashable, Floats]:
        """Lets a strategy search against the predictions; every architecture it looked at, and as many random ones."""
        book: dict[Hashable, Floats] = {}
        k = len(self.goals.all)

        def look_at(architectures: Sequence[Hashable]) -> list[Any]:
            new = [a for a in dict.fromkeys(architectures) if a not in book]
            if new:
                book.update(zip(new, ask(new), strict=True))
            return [book[a][:k].tolist() for a in architectures]

        total = self.candidates or strategy.inner_candidates
        guided = math.ceil(total * (1 - _RANDOM_SHARE)) if self.takes_rows else 0
        look_at(self.space.samples(total - guided, strategy.rng))
        if guided:
            strategy.expect(guided)
            strategy.warm_start(list(evaluated), look_at(evaluated))
        for start in range(0, guided, strategy.inner_batch):
            architectures = strategy.ask(min(strategy.inner_batch, guided - start))
            strategy.tell(architectures, look_at(architectures))
        return book


def is_exact(guess: Any) -> bool:
    """Whether it is a function that knows values, not a predictor or the name of one."""
    return callable(guess) and not hasattr(guess, "predict")


def predictor_for(goals: Goals, predictor: Any) -> dict[str, Any]:
    """Goal -> what predicts it, from one for all or a mapping.

    Raises:
        UsageError: If a goal has none, or there is no such goal or predictor.
    """
    given = dict(predictor) if isinstance(predictor, Mapping) else dict.fromkeys(goals.names, predictor)
    for name in given:
        if name not in goals.names:
            raise unknown("goal", name, goals.names)
    for name in goals.names:
        if given.get(name) is None:
            raise UsageError(f"nothing predicts {name}; name a predictor for it")
        if not is_exact(given[name]):
            fresh_predictor(given[name])
    return given


def _proposal(architecture: Hashable, key: str, row: Floats) -> Proposal:
    return Proposal(architecture, key, float(row[0]), tuple(float(value) for value in row))
