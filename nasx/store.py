"""Where evaluations live: every one is an Optuna trial, planned before it runs and durable as soon as it ends."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.storages import open_storage
from nasx.strategies.base import Direction
from nasx.strategies.guided import Proposal

if TYPE_CHECKING:
    import optuna

__all__ = ["TRIES", "Evaluation", "TrialStore", "open_storage"]

TRIES = 3  # processes that may die over one architecture before it is recorded as failed


@dataclass(frozen=True)
class Evaluation:
    """One evaluated architecture.

    Attributes:
        round: The round it was proposed in; round 0 is the initial sample.
        architecture: The architecture.
        key: Its canonical key.
        predicted: The predictor's score before the evaluation, in the objective's unit; NaN where there was none.
        value: The true value; NaN where the evaluation failed.
        duplicates_avoided: How many functional duplicates were passed over when its round was proposed.
        error: Why the evaluation failed, else None.
        predictions: In a search with several goals, what was predicted of each; ``predicted`` is the first.
        values: In a search with several goals, what was measured of each; ``value`` is the first.
    """

    round: int
    architecture: Hashable
    key: str
    predicted: float
    value: float
    duplicates_avoided: int = 0
    error: str | None = None
    predictions: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the evaluation raised or returned no finite number."""
        return math.isnan(self.value)


class TrialStore:
    """The evaluations of one search in an Optuna study.

    A round is written down as waiting trials before any of it is evaluated. A process that dies therefore leaves behind
    what it had planned and what it had finished, and the next one takes up exactly there.

    Args:
        space: The search space.
        storage: An open Optuna storage.
        study_name: The study's name within it.
        direction: Whether larger or smaller values are better; one for each value of a study of several objectives.
        resume: Whether to continue the study if it exists already.

    Raises:
        UsageError: If the study exists already and is not to be resumed.
    """

    def __init__(
        self,
        space: SearchSpace,
        storage: optuna.storages.BaseStorage,
        *,
        study_name: str = "nasx",
        direction: Direction | Sequence[Direction] = "maximize",
        resume: bool = False,
    ) -> None:
        import optuna

        self.space = space
        directions = [direction] if isinstance(direction, str) else list(direction)
        self._distributions = space.distributions()
        # The sampler is never asked: every trial comes with its parameters.
        sampler = optuna.samplers.RandomSampler(seed=0)
        try:
            self.study = optuna.create_study(
                study_name=study_name, storage=storage, sampler=sampler, directions=directions, load_if_exists=resume
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise UsageError(
                f"the storage already holds a study '{study_name}'; continue it with --resume or choose another --out"
            ) from error
        self._rounds: dict[int, list[optuna.trial.FrozenTrial]] = {}
        self._died: dict[int, int] = {}  # how many processes had died over a trial when this one started it
        for trial in self.study.get_trials(deepcopy=False):
            if not {"round", "architecture", "key"} <= trial.user_attrs.keys():
                raise UsageError(
                    f"the study '{study_name}' holds trial {trial.number}, which no search of nasx made; "
                    "choose another study"
                )
            self._rounds.setdefault(trial.user_attrs["round"], []).append(trial)

    def planned(self, round_index: int) -> int:
        """How many evaluations of a round are written down."""
        return len(self._rounds.get(round_index, []))

    def plan(self, round_index: int, proposals: Sequence[Proposal], duplicates_avoided: int) -> None:
        """Writes down the proposals of a round that are not written down yet."""
        import optuna

        known = {trial.user_attrs["key"] for trial in self._rounds.get(round_index, [])}
        for proposal in proposals:
            if proposal.key in known:
                continue
            self.study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.WAITING,
                    params=self.space.to_params(proposal.architecture),
                    distributions=self._distributions,
                    user_attrs={
                        "round": round_index,
                        "architecture": self.space.format(proposal.architecture),
                        "key": proposal.key,
                        "duplicates_avoided": duplicates_avoided,
                        **self._predicted(proposal),
                    },
                )
            )
        trials = self.study.get_trials(deepcopy=False)
        self._rounds[round_index] = [trial for trial in trials if trial.user_attrs["round"] == round_index]

    def open_trials(self, round_index: int) -> list[optuna.trial.FrozenTrial]:
        """The trials of a round without a result: never started, or left running by a process that died."""
        return [trial for trial in self._rounds.get(round_index, []) if not trial.state.is_finished()]

    def start(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Marks an open trial as running.

        Returns:
            Whether it is to be evaluated. One that three processes have died over is recorded as failed instead, so
            that a search whose objective ends its process can be resumed at all.
        """
        import optuna

        if trial.state == optuna.trial.TrialState.WAITING:
            number = self.study.ask().number
            if number != trial.number:
                raise NasxError(f"trial {number} was taken by another process; give every run its own study")
            self._died[trial.number] = 0
            return True
        died = self._died[trial.number] = int(trial.user_attrs.get("died", 0)) + 1  # the one that left it running, too
        if died >= TRIES:
            optuna.trial.Trial(self.study, trial._trial_id).set_user_attr("error", f"{TRIES} processes died over it")
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            return False
        if died > 0:
            warnings.warn(
                f"a process ended while it evaluated {trial.user_attrs['architecture']}, which is tried again; if the "
                "objective ends its process, a search started with --workers 1 goes on by itself",
                stacklevel=2,
            )
        optuna.trial.Trial(self.study, trial._trial_id).set_user_attr("died", died)
        return True

    @contextmanager
    def evaluating(self, trial: optuna.trial.FrozenTrial) -> Iterator[None]:
        """While a running trial is evaluated: a process that is interrupted, or told why it stops, has not died."""
        import optuna

        try:
            yield
        except BaseException:
            with suppress(NasxError):
                optuna.trial.Trial(self.study, trial._trial_id).set_user_attr("died", self._died[trial.number] - 1)
            raise

    def finish(self, trial: optuna.trial.FrozenTrial, value: float, error: str | None) -> None:
        """Records the result of a running trial; NaN means failed."""
        import optuna

        if error is not None:
            optuna.trial.Trial(self.study, trial._trial_id).set_user_attr("error", error)
        if math.isnan(value):
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial.number, value)

    def evaluations(self, round_index: int) -> list[Evaluation]:
        """The finished evaluations of a round in the order they were planned."""
        trials = self.study.get_trials(deepcopy=False)
        return [self._evaluation(trials[planned.number]) for planned in self._rounds.get(round_index, [])]

    def _predicted(self, proposal: Proposal) -> dict[str, Any]:
        """What is written on a trial about what was expected of it."""
        return {"predicted": proposal.predicted if math.isfinite(proposal.predicted) else None}

    def _evaluation(self, trial: optuna.trial.FrozenTrial) -> Evaluation:
        """The record of a finished trial."""
        import optuna

        attributes = trial.user_attrs
        complete = trial.state == optuna.trial.TrialState.COMPLETE
        predicted = attributes.get("predicted")
        return Evaluation(
            round=attributes["round"],
            architecture=self.space.parse(attributes["architecture"]),
            key=attributes["key"],
            predicted=math.nan if predicted is None else predicted,
            value=float(trial.value) if complete and trial.value is not None else math.nan,
            duplicates_avoided=attributes.get("duplicates_avoided", 0),
            error=attributes.get("error"),
        )
