"""One search by one process, one evaluation after the other: killed and resumed, it ends with the same history."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from nasx.guide import Guide
from nasx.search_progress import Progress
from nasx.store import Evaluation, TrialStore
from nasx.strategies.guided import Proposal
from nasx.workers import Call

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor


class SearchRun:
    """One search in progress: who proposes, where results are kept, and the history so far.

    Args:
        guide: Proposes.
        call: Evaluates: ``architecture -> what came of it, or NaN, and the reason``.
        store: Where evaluations are kept.
        budget: How many there are to be.
        progress: Told about every step.
    """

    def __init__(
        self,
        guide: Guide,
        call: Call,
        store: TrialStore,
        budget: int,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.guide, self.call, self.store, self.budget = guide, call, store, budget
        self.space, self.watch = guide.space, guide.watch
        self.progress = progress
        self.history: list[Evaluation] = []
        guide.report = self.report

    def start(self, predictor: Any, initial: int, batch: int) -> Any:
        """Evaluates until the budget is spent; returns the predictor fitted on everything at the end, if there is one.

        Args:
            predictor: What :meth:`nasx.guide.Guide.fit` takes, or None for none.
            initial: Number of random architectures that come first with a predictor.
            batch: Number of evaluations between two fits.
        """
        if predictor is None:
            self.direct()
            return None
        return self.guided(predictor, initial, batch)

    def direct(self) -> None:
        """The strategy proposes one architecture at a time and is told its value.

        A resumed search asks again for what is recorded: the strategy repeats itself, and its state is as it was.
        """
        strategy = self.guide.make_strategy(0)
        known: dict[str, Any] = {}
        for index in range(self.budget):
            if self.guide.exhausted(len(known)):
                break
            proposals, avoided = self.guide.ask(strategy, known)
            if not proposals:
                break  # the space has no architecture left
            self._round(index, lambda p=proposals, a=avoided: (p, a), size=1)  # type: ignore[misc]
            last = self.history[-1]
            known[last.key] = self.guide.outcome(last)
            strategy.tell([last.architecture], [known[last.key]])

    def guided(self, predictor: str | Predictor, initial: int, batch: int) -> Predictor | None:
        """Rounds of fit, propose, evaluate; returns the predictor fitted on everything at the end."""
        self._round(0, lambda: self.guide.random(self.guide.rng(0), initial, ()), size=initial)
        index = 0
        while len(self.history) < self.budget:
            index += 1
            size = min(batch, self.budget - len(self.history))
            before = len(self.history)
            self._round(index, partial(self._propose, predictor, index, size), size=size)
            if len(self.history) == before:
                break  # the space has no architecture left
        return self.guide.fit(predictor, index + 1, self.history)  # type: ignore[no-any-return]

    def _propose(self, predictor: str | Predictor, index: int, n: int) -> tuple[list[Proposal], int]:
        seen = {evaluation.key for evaluation in self.history}
        if self.guide.exhausted(len(seen)):
            return [], 0
        fitted = self.guide.fit(predictor, index, self.history)
        return self.guide.propose(fitted, index, n, self.history, seen)

    def _round(self, index: int, make: Callable[[], tuple[list[Proposal], int]], *, size: int) -> None:
        """Plans a round unless it is planned already, evaluates what is open, and appends it to the history."""
        if self.store.planned(index) < size:
            proposals, avoided = make()
            self.store.plan(index, proposals, avoided)
        done = len(self.history) + self.store.planned(index) - len(self.store.open_trials(index))
        for trial in self.store.open_trials(index):
            self.report("evaluating", done)
            if self.store.start(trial):
                with self.store.evaluating(trial):
                    value, error = self.call(self.space.parse(trial.user_attrs["architecture"]))
                self.store.finish(trial, value, error)
            done += 1
        self.history += self.store.evaluations(index)

    def report(self, phase: str, done: int | None = None) -> None:
        """Tells the progress callback where the search stands."""
        if self.progress is None:
            return
        done = len(self.history) if done is None else done
        self.progress(Progress(phase, done, self.budget, self.guide.best(self.history)))
