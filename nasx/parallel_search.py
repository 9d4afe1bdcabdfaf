"""A search with several workers: whoever is free gets the next candidate, whatever the others are still doing."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any

from nasx.candidates import Candidates, RankedCandidates, StrategyCandidates
from nasx.claims import Claims
from nasx.guide import Guide
from nasx.search_progress import Progress
from nasx.search_run import SearchRun
from nasx.workers import ProcessWorkers, Workplace, answer

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from nasx.predictors.base import Predictor

_POLL = 1.0  # seconds between two looks at what the workers of other processes have done


class ParallelRun(SearchRun):
    """One process of a search with several workers, in this process or others.

    Args:
        guide: Proposes.
        store: Where claims and evaluations are kept.
        workplace: Where evaluations run.
        timeout: Seconds after which an evaluation is given up; None for never.
        shared: Whether other processes work on the same study.
        progress: Told about every step.
    """

    store: Claims

    def __init__(
        self,
        guide: Guide,
        store: Claims,
        workplace: Workplace,
        *,
        timeout: float | None = None,
        shared: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        super().__init__(guide, workplace.call, store, store.budget, progress)
        self.executor, self.slots = workplace.executor, workplace.slots
        self.timeout, self.inline, self.shared = timeout, workplace.inline, shared
        if shared:
            guide.salt = self.salt
        self.pending: list[FrozenTrial] = []
        self.trials: list[FrozenTrial] = []
        self._running: dict[Future[Any], tuple[FrozenTrial, float]] = {}
        self._own_pool = isinstance(self.executor, ProcessWorkers)
        #: Evaluations whose result came too late: others had taken them up.
        self.dropped = 0

    @property
    def salt(self) -> int:
        """A number of this process's own, so that the processes of a search do not all draw the same."""
        return zlib.crc32(self.store.heart.worker.encode()) or 1

    def direct(self) -> None:
        """The strategy proposes, and is told every value as it comes."""
        self.run(StrategyCandidates(self.guide))

    def guided(self, predictor: str | Predictor, initial: int, batch: int) -> Predictor | None:
        """A predictor proposes, fitted again now and then; returns the one fitted on everything at the end."""
        background = not self.inline
        self.run(
            RankedCandidates(
                self.guide, predictor, initial, batch, self.slots, background=background, shared=self.shared
            )
        )
        return self.guide.fit(predictor, len(self.history), self.history)  # type: ignore[no-any-return]

    def run(self, source: Candidates) -> None:
        """Evaluates candidates until the budget is spent or the source is dry, here and in every other process."""
        try:
            while True:
                self._look()
                while len(self._running) < self.slots and self._next(source):
                    if self.inline:
                        break  # done already; look what the others have done meanwhile
                if self._running or source.busy:
                    self.report("evaluating" if self._running else "fitting")
                    self._collect(source)
                elif self.pending:
                    self.report("waiting")
                    time.sleep(_POLL)
                elif self.store.orphan(self.trials) is None and (source.dry or self.store.room(self.trials) < 1):
                    break
        except BaseException:
            self._stop()
            raise
        self.store.leave()

    def _look(self) -> None:
        """Reads what everybody has done."""
        self.store.check_options()
        self.budget = self.store.budget
        self._read(self.store.trials())

    def _read(self, trials: list[FrozenTrial]) -> None:
        self.trials = trials
        self.history, self.pending = self.store.finished(trials), self.store.pending(trials)

    def _next(self, source: Candidates) -> bool:
        """Claims a candidate and sends it to a worker; False if there is none, or none yet."""
        orphan = self.store.orphan(self.trials)
        if orphan is not None:
            proposal, index, avoided = orphan
        else:
            if self.store.room(self.trials) < 1:
                return False
            found = source.next(self.history, self.pending)
            if found is None:
                return False
            proposal, index, avoided = found
        trial = self.store.claim(proposal, index, avoided)
        if trial is not None:
            self.report("evaluating")
            future = self.executor.submit(self.call, proposal.architecture)
            self._running[future] = (trial, time.monotonic())
        self._read(self.store.study.get_trials(deepcopy=False))
        return True

    def _collect(self, source: Candidates) -> None:
        """Waits until an evaluation or a fit has ended, or for a second; records what has ended."""
        wait([*self._running, *source.jobs], timeout=_POLL, return_when=FIRST_COMPLETED)
        now = time.monotonic()
        for future, (trial, begun) in list(self._running.items()):
            if future.done():
                value, error = answer(future, self.timeout, broken_is_fatal=not self._own_pool)
            elif self.timeout is not None and not self._own_pool and now - begun > self.timeout:
                future.cancel()
                value, error = float("nan"), f"no answer within {self.timeout:g} s"
            else:
                continue
            if not self.store.finish(trial, value, error):
                self.dropped += 1
            del self._running[future]
        self._read(self.store.study.get_trials(deepcopy=False))

    def _stop(self) -> None:
        """Leaves in a hurry: claims are given up, so that they are taken up by others or at the next start."""
        for future in self._running:
            future.cancel()
        try:
            self.store.leave()
        except Exception:
            return  # the storage is what failed; the claims are taken up all the same once this process is gone
