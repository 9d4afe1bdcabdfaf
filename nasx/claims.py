"""One study, many workers: claims on architectures that hold on any storage, and what becomes of those of the dead."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasx.heartbeat import Heart
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation, TrialStore
from nasx.strategies.base import Direction
from nasx.strategies.guided import Proposal

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

OPTIONS, BUDGET = "nasx:options", "nasx:budget"
_LOST, _DIED = "lost", "its worker died"  # attribute of a trial whose worker died or left before it had a result
_TRIES = 3  # workers that may die over one architecture before it is recorded as failed


class Claims(TrialStore):
    """The evaluations of a search that many workers share.

    A trial is a claim on an architecture as long as it runs, and an evaluation when it is complete or failed. A pruned
    trial is neither: the claim was withdrawn, or its worker died. Three rules, which need nothing of a storage but that
    trials are numbered in the order they are made and that a trial ends once:

    1. *No architecture twice, never more than the budget.* A worker adds its claim, then reads what is there. If a
       trial with a smaller number holds the same architecture, or those with smaller numbers fill the budget, it
       withdraws.
    2. *None lost.* Whoever finds the claim of a dead worker prunes it. The architecture is now an orphan, and keeps its
       place in the budget; workers claim orphans, by rule 1, before anything else.
    3. *No result twice.* A worker that only seemed dead finds its trial pruned and drops its result.

    Args:
        space: The search space.
        storage: An open Optuna storage.
        study_name: The study's name within it; made by whoever comes first.
        direction: Whether larger or smaller values are better.
        budget: Evaluations allowed to all workers together; the largest that any of them was started with.
        options: What all workers must agree on; compared with what the study was made with.
        heartbeat: Seconds between two signs of life; 0 says that nobody else works on this study.
        resume: Whether the study may exist already.
        inline: Whether this worker evaluates in its own process, and may die of what it evaluates. An architecture over
            which three such workers have died is recorded as failed.

    Raises:
        UsageError: If the study was made with other options, a larger budget, or by a search of one process.
    """

    def __init__(
        self,
        space: SearchSpace,
        storage: optuna.storages.BaseStorage,
        *,
        study_name: str = "nasx",
        direction: Direction | Sequence[Direction] = "maximize",
        budget: int,
        options: Mapping[str, Any],
        heartbeat: float = 10.0,
        resume: bool = True,
        inline: bool = False,
    ) -> None:
        import optuna

        self._check_directions(storage, study_name, direction)
        super().__init__(space, storage, study_name=study_name, direction=direction, resume=resume)
        self._storage, self._study_id = self.study._storage, self.study._study_id
        self._state = optuna.trial.TrialState
        self.options, self.inline = dict(options), inline
        self._done: dict[int, Evaluation] = {}
        self._join(budget)
        self.heart = Heart(self.study, heartbeat)
        self.heart.start()

    @staticmethod
    def _check_directions(storage: Any, name: str, direction: Direction | Sequence[Direction]) -> None:
        wanted = [direction] if isinstance(direction, str) else list(direction)
        for study in storage.get_all_studies():
            found = [d.name.lower() for d in study.directions]
            if study.study_name == name and found != wanted:
                raise UsageError(
                    f"the study '{name}' is to {' and '.join(found)}, this search to {' and '.join(wanted)}; "
                    "say the same, or choose another --study"
                )

    def _join(self, budget: int) -> None:
        name, attributes = self.study.study_name, self.study.user_attrs
        if OPTIONS not in attributes:
            if self._rounds:
                raise UsageError(
                    f"the study '{name}' belongs to a search of one process; continue it as it was started, "
                    "or choose another study"
                )
            self.study.set_user_attr(BUDGET, budget)
            self.study.set_user_attr(OPTIONS, self.options)
        self.check_options()
        agreed = self.study.user_attrs.get(BUDGET, budget)
        if budget < agreed:
            raise UsageError(
                f"the study '{name}' has a budget of {agreed} evaluations, this search one of {budget}; "
                f"join it with --budget {agreed} (or more, for all)"
            )
        if budget > agreed:
            self.study.set_user_attr(BUDGET, budget)
        self.budget = budget

    def check_options(self) -> None:
        """Compares what this worker was started with to what the study was made with, and learns the budget.

        Raises:
            UsageError: If they differ.
        """
        attributes = self.study.user_attrs
        theirs = attributes.get(OPTIONS, self.options)
        for key, mine in self.options.items():
            if key in theirs and theirs[key] != mine:
                raise UsageError(
                    f"the study '{self.study.study_name}' was started with {key} {theirs[key]}, this search with "
                    f"{key} {mine}; say the same, or choose another --study"
                )
        self.budget = attributes.get(BUDGET, getattr(self, "budget", 0))

    def trials(self) -> list[FrozenTrial]:
        """Every trial there is, after the claims of dead workers have been given up."""
        trials = self.study.get_trials(deepcopy=False)
        stale = [
            t for t in trials if t.state == self._state.RUNNING and self.heart.dead(t.user_attrs.get("worker", ""))
        ]
        for trial in stale:
            if self._deaths(trial, trials) < _TRIES:
                self._end(trial, self._state.PRUNED, {_LOST: _DIED})
            else:
                self._end(trial, self._state.FAIL, {"error": f"{_TRIES} workers died over it"})
        return self.study.get_trials(deepcopy=False) if stale else trials

    def _deaths(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
        """How many workers have died while they evaluated this architecture within their own process, this one too."""
        same = [t for t in trials if t.user_attrs["key"] == trial.user_attrs["key"] and t.user_attrs.get("inline")]
        return sum(t.user_attrs.get(_LOST) == _DIED or t is trial for t in same)

    def orphan(self, trials: Sequence[FrozenTrial]) -> tuple[Proposal, int, int] | None:
        """An architecture that a dead worker has left behind and nobody has taken up yet, and what to claim it with."""
        held = {trial.user_attrs["key"] for trial in trials if trial.state != self._state.PRUNED}
        for trial in trials:
            if _LOST in trial.user_attrs and trial.user_attrs["key"] not in held:
                left = self._evaluation(trial)
                proposal = Proposal(left.architecture, left.key, left.predicted, left.predictions)
                return proposal, left.round, left.duplicates_avoided
        return None

    def room(self, trials: Sequence[FrozenTrial]) -> int:
        """How many further architectures the budget allows; orphans have their place already."""
        return self.budget - len(self._obligations(trials))

    def claim(self, proposal: Proposal, round_index: int, duplicates_avoided: int) -> FrozenTrial | None:
        """Claims an architecture; None if another worker was first, or the budget is full.

        Args:
            proposal: The architecture.
            round_index: The round to write down.
            duplicates_avoided: The number to write down.
        """
        import optuna

        template = optuna.trial.create_trial(
            state=self._state.RUNNING,
            params=self.space.to_params(proposal.architecture),
            distributions=self._distributions,
            user_attrs={
                "round": round_index,
                "architecture": self.space.format(proposal.architecture),
                "key": proposal.key,
                "duplicates_avoided": duplicates_avoided,
                **self._predicted(proposal),
                "worker": self.heart.worker,
                "inline": self.inline,
                "claim": uuid.uuid4().hex,  # so that a claim made twice, because an answer got lost, is one claim
            },
        )
        made = self._storage.create_new_trial(self._study_id, template)
        trials = self.study.get_trials(deepcopy=False)
        mine = next(trial for trial in trials if trial._trial_id == made)
        before = trials[: mine.number]
        taken = any(t.user_attrs["key"] == proposal.key and t.state != self._state.PRUNED for t in before)
        if taken or len(self._obligations(before, trials) - {proposal.key}) >= self.budget:
            self._end(
                mine, self._state.PRUNED, {"withdrawn": "another worker was first" if taken else "the budget is full"}
            )
            return None
        return mine

    def _obligations(self, before: Sequence[FrozenTrial], trials: Sequence[FrozenTrial] | None = None) -> set[str]:
        """The architectures that fill the budget: evaluated, being evaluated, or orphaned."""
        held = {trial.user_attrs["key"] for trial in before if trial.state != self._state.PRUNED}
        return held | {t.user_attrs["key"] for t in trials or before if _LOST in t.user_attrs}

    def finish(self, trial: FrozenTrial, value: Any, error: str | None) -> bool:  # type: ignore[override]
        """Records the result of a claim; False if the claim has been given up to others meanwhile."""
        failed = isinstance(value, float) and math.isnan(value)
        if failed:
            return self._end(trial, self._state.FAIL, {} if error is None else {"error": error})
        values = [value] if isinstance(value, (int, float)) else list(value)
        return self._end(trial, self._state.COMPLETE, {}, values)

    def _end(
        self,
        trial: FrozenTrial,
        state: optuna.trial.TrialState,
        notes: Mapping[str, Any],
        values: list[float] | None = None,
    ) -> bool:
        """Ends a trial; False if it had ended already."""
        import optuna

        try:
            for name, note in notes.items():
                self._storage.set_trial_user_attr(trial._trial_id, name, note)
            self._storage.set_trial_state_values(trial._trial_id, state, values)
        except optuna.exceptions.UpdateFinishedTrialError:
            return False
        return True

    def leave(self) -> None:
        """Gives up the claims of this worker, so that others need not wait for them, and says goodbye."""
        if hasattr(self._storage, "patience"):
            self._storage.patience = 5.0  # whoever leaves because the storage is away need not wait for it
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == self._state.RUNNING and trial.user_attrs.get("worker") == self.heart.worker:
                self._end(trial, self._state.PRUNED, {_LOST: "its worker left"})
        self.heart.stop()

    def finished(self, trials: Sequence[FrozenTrial]) -> list[Evaluation]:
        """The evaluations there are, in the order they were claimed."""
        for trial in trials:
            if trial.number not in self._done and trial.state in (self._state.COMPLETE, self._state.FAIL):
                self._done[trial.number] = self._evaluation(trial)
        return [self._done[number] for number in sorted(self._done)]

    def pending(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The claims that are being worked on, by whomever."""
        return [trial for trial in trials if trial.state == self._state.RUNNING]


def refuse_shared(store: TrialStore) -> None:
    """Refuses to go on in one process, one evaluation after the other, with what several workers have begun.

    Raises:
        UsageError: If the study is one of several workers.
    """
    if OPTIONS in store.study.user_attrs:
        raise UsageError(
            f"the study '{store.study.study_name}' was begun by several workers; continue it with workers too, "
            "or choose another study"
        )
