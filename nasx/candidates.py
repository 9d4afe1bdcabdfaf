"""What to evaluate next when evaluations end one by one: a ranked queue, or a strategy that is asked each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nasx.guide import Guide
from nasx.store import Evaluation
from nasx.strategies.guided import Proposal

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from nasx.predictors.base import Predictor

Candidate = tuple[Proposal, int, int]
"""What to evaluate, the round it belongs to, and the duplicates avoided in that round."""


class Candidates(Protocol):
    """A source of candidates.

    Attributes:
        round: The present round.
        jobs: What is being worked out at this moment, to be waited for.
        busy: Whether anything is.
        dry: Whether the space has no new architecture left.
    """

    round: int
    dry: bool

    @property
    def jobs(self) -> Sequence[Future[Any]]:
        """What is being worked out."""

    @property
    def busy(self) -> bool:
        """Whether anything is being worked out."""

    def next(self, history: Sequence[Evaluation], pending: Sequence[FrozenTrial]) -> Candidate | None:
        """The next candidate; None if there is none, or none yet.

        Args:
            history: Every evaluation so far.
            pending: The claims that are being worked on.
        """


class StrategyCandidates:
    """A strategy without a predictor, told every result as it comes.

    A proposal that is being evaluated already is not proposed again; the strategy is told the median of what is known
    for it (a constant liar), so that it moves on.

    Args:
        guide: Makes the strategy.
    """

    def __init__(self, guide: Guide) -> None:
        self.round, self.dry, self.busy = 0, False, False
        self.jobs: Sequence[Future[Any]] = ()
        self._guide, self._strategy = guide, guide.make_strategy(0)
        self._told: set[str] = set()

    def next(self, history: Sequence[Evaluation], pending: Sequence[FrozenTrial]) -> Candidate | None:
        """Asks the strategy."""
        for evaluation in history:
            if evaluation.key not in self._told:
                self._told.add(evaluation.key)
                self._strategy.tell([evaluation.architecture], [self._guide.outcome(evaluation)])
        known = {evaluation.key: self._guide.outcome(evaluation) for evaluation in history}
        lie = self._guide.usual(history)
        known |= {trial.user_attrs["key"]: lie for trial in pending}
        proposals: list[Proposal] = []
        avoided = 0
        if not self._guide.exhausted(len(known)):
            proposals, avoided = self._guide.ask(self._strategy, known)
        self.dry = not proposals
        self.round = len(history)
        return (proposals[0], self.round, avoided) if proposals else None


class RankedCandidates:
    """First random architectures, then the predictor's favourites, from a queue that is renewed now and then.

    A fit may be dearer than an evaluation, so there is not one for every worker that becomes free. Every ``batch`` new
    results the predictor is fitted again and the queue ranked anew, in the background where evaluations run elsewhere:
    meanwhile workers are served from the old queue, which holds ``batch`` candidates and one more for every worker. It
    never holds more, so that a predictor knows of all but the last few results when it chooses.

    What is being evaluated is never proposed again, and is part of the fit with the value that was predicted for it
    (a predictor's fantasy). Unlike a constant liar, that does not bend the predictions around the most promising
    candidates towards the mean; but a predictor that knows how sure it is becomes surer there, so that ``ucb``, ``ei``
    and ``thompson`` look elsewhere. Nobody predicted anything for the initial sample; while it runs it is left out.

    Args:
        guide: Fits and proposes.
        predictor: The predictor or its name.
        initial: Number of random architectures that come first; the same for all processes of a search.
        batch: New results between two fits.
        slots: How many evaluations run at once in this process.
        background: Whether to fit in a thread of its own.
        shared: Whether other processes work on the same search: they then begin at different places of the sample.
    """

    def __init__(
        self,
        guide: Guide,
        predictor: str | Predictor,
        initial: int,
        batch: int,
        slots: int,
        *,
        background: bool,
        shared: bool,
    ) -> None:
        self.round, self.dry = 0, False
        self._guide, self._predictor, self._batch, self._slots = guide, predictor, batch, slots
        same = np.random.default_rng([guide.seed, 0, 0])  # as a search of one process draws its initial sample
        self._first, self._first_avoided = guide.random(same, initial, ())
        self._order = guide.rng(0, stream=5) if shared else None
        self._queue: list[Proposal] = []
        self._avoided = 0
        self._fitted: Any = None
        self._fitted_on = -1
        self._background, self._initial = background, initial
        self._job: Future[tuple[list[Proposal], int]] | None = None
        self._jobs = 0

    @property
    def jobs(self) -> Sequence[Future[Any]]:
        """The fit that is under way."""
        return [] if self._job is None or self._job.done() else [self._job]

    @property
    def busy(self) -> bool:
        """Whether a fit is under way."""
        return bool(self.jobs)

    def next(self, history: Sequence[Evaluation], pending: Sequence[FrozenTrial]) -> Candidate | None:
        """Takes from the sample, then from the queue; renews the queue when it is time."""
        taken = {evaluation.key for evaluation in history} | {trial.user_attrs["key"] for trial in pending}
        self._first = [proposal for proposal in self._first if proposal.key not in taken]
        if self._first:
            place = 0 if self._order is None else int(self._order.integers(len(self._first)))
            return self._first[place], 0, self._first_avoided
        self._take_over(taken)
        results = sum(not evaluation.failed for evaluation in history)
        if self._job is None and (not self._queue or results >= self._fitted_on + self._batch):
            self._renew(history, pending, taken, results)
            self._take_over(taken)
        if self._queue:
            return self._queue.pop(0), self.round, self._avoided
        return None

    def _take_over(self, taken: set[str]) -> None:
        """Replaces the queue by what a fit in the background has brought; drops what is taken."""
        if self._job is not None and self._job.done():
            job, self._job = self._job, None
            self._queue, self._avoided = job.result()
            self.dry = not self._queue
        self._queue = [proposal for proposal in self._queue if proposal.key not in taken]

    def _renew(
        self, history: Sequence[Evaluation], pending: Sequence[FrozenTrial], taken: set[str], results: int
    ) -> None:
        """Starts to fit and rank; only to rank if nothing was learnt since the last fit."""
        self._jobs += 1
        self.round = 1 + max(0, results - self._initial) // self._batch
        fit, self._fitted_on = results > self._fitted_on, results
        also = [
            (self._guide.space.parse(trial.user_attrs["architecture"]), trial.user_attrs["predicted"])
            for trial in pending
            if trial.user_attrs.get("predicted") is not None
        ]
        work = (self._jobs, list(history), also, set(taken), fit)
        self._job = Future()
        if self._background:
            threading.Thread(target=_fulfil, args=(self._job, self._work, *work), daemon=True).start()
        else:
            _fulfil(self._job, self._work, *work)

    def _work(
        self, index: int, history: list[Evaluation], also: list[tuple[Any, Any]], taken: set[str], fit: bool
    ) -> tuple[list[Proposal], int]:
        if fit or self._fitted is None:
            self._fitted = self._guide.fit(self._predictor, index, history, also)
        count = self._batch + self._slots
        proposals, avoided = self._guide.propose(self._fitted, index, count, history, taken, also)
        return self._mixed(proposals, index), avoided

    def _mixed(self, proposals: list[Proposal], index: int) -> list[Proposal]:
        """Best first, but the random ones, which come last, spread among them: the end may never be reached."""
        random = min(len(proposals), round(self._guide.exploration * len(proposals)))
        best, others = proposals[: len(proposals) - random], proposals[len(proposals) - random :]
        places = set(self._guide.rng(index, stream=4).choice(len(proposals), random, replace=False).tolist())
        return [others.pop(0) if place in places else best.pop(0) for place in range(len(proposals))]


def _fulfil(future: Future[Any], work: Callable[..., Any], *args: Any) -> None:
    try:
        future.set_result(work(*args))
    except Exception as error:  # whoever asks for the result gets it
        future.set_exception(error)
