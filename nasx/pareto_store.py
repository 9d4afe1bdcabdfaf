"""Where evaluations with several values live: an Optuna study with a direction an objective."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from nasx.claims import Claims
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation, TrialStore
from nasx.strategies.goals import Goals
from nasx.strategies.guided import Proposal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import optuna

_GOALS = "goals"


class GoalRecords(TrialStore):
    """How evaluations with several values are written down, whoever makes them.

    The study holds the objectives, so that Optuna's plots and dashboard show the front; everything that was measured,
    limited quantities included, is in the trial's attribute ``measured``.

    Attributes:
        goals: What is measured, and what is wanted of it.
    """

    goals: Goals

    def _agree(self) -> None:
        """Writes the goals down, or compares them with what is written.

        Raises:
            UsageError: If they differ.
        """
        import optuna

        wanted = [[goal.name, goal.direction, goal.optimised, goal.limit] for goal in self.goals.all]
        stored = self.study.user_attrs.get(_GOALS)
        if stored is None and not self.study.get_trials(deepcopy=False):
            self.study.set_user_attr(_GOALS, wanted)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.study.set_metric_names([goal.name for goal in self.goals.objectives])
        elif stored != wanted:
            names = "one objective" if stored is None else ", ".join(str(name) for name, *_ in stored)
            raise UsageError(
                f"the study '{self.study.study_name}' was begun with other goals or limits ({names}); "
                "resume it with the same ones"
            )

    def _optimised(self, values: Sequence[float]) -> list[float]:
        """The objectives among the values of all goals."""
        return [one for one, goal in zip(values, self.goals.all, strict=True) if goal.optimised]

    def _predicted(self, proposal: Proposal) -> dict[str, Any]:
        row = proposal.predictions
        return {"predicted": list(row) if row and all(math.isfinite(one) for one in row) else None}

    def _evaluation(self, trial: optuna.trial.FrozenTrial) -> Evaluation:
        import optuna

        attributes = trial.user_attrs
        complete = trial.state == optuna.trial.TrialState.COMPLETE
        missing = (math.nan,) * len(self.goals.all)
        values = tuple(attributes["measured"]) if complete else missing
        predictions = missing if attributes["predicted"] is None else tuple(attributes["predicted"])
        return Evaluation(
            round=attributes["round"],
            architecture=self.space.parse(attributes["architecture"]),
            key=attributes["key"],
            predicted=predictions[0],
            value=values[0],
            duplicates_avoided=attributes["duplicates_avoided"],
            error=attributes.get("error"),
            predictions=predictions,
            values=values,
        )


class ParetoStore(GoalRecords):
    """The evaluations of a search with several goals by one process.

    Args:
        space: The search space.
        storage: An open Optuna storage.
        goals: What is measured, and what is wanted of it.
        study_name: The study's name within it.
        resume: Whether to continue the study if it exists already.

    Raises:
        UsageError: If the study exists already and is not to be resumed, or is one with other goals.
    """

    def __init__(
        self,
        space: SearchSpace,
        storage: optuna.storages.BaseStorage,
        goals: Goals,
        *,
        study_name: str = "nasx",
        resume: bool = False,
    ) -> None:
        self.goals = goals
        directions = [goal.direction for goal in goals.objectives]
        super().__init__(space, storage, study_name=study_name, direction=directions, resume=resume)
        self._agree()

    def finish(self, trial: optuna.trial.FrozenTrial, value: Sequence[float], error: str | None) -> None:  # type: ignore[override]
        """Records the values of a running trial, one a goal; any NaN means failed."""
        import optuna

        running = optuna.trial.Trial(self.study, trial._trial_id)
        if error is not None:
            running.set_user_attr("error", error)
        if any(math.isnan(one) for one in value):
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            return
        running.set_user_attr("measured", list(value))
        self.study.tell(trial.number, self._optimised(value))


class ParetoClaims(GoalRecords, Claims):
    """The evaluations of a search with several goals that many workers share; see :class:`nasx.claims.Claims`.

    Args:
        space: The search space.
        storage: An open Optuna storage.
        goals: What is measured, and what is wanted of it.
        study_name: The study's name within it.
        budget: Evaluations allowed to all workers together.
        options: What all workers must agree on.
        heartbeat: Seconds between two signs of life; 0 says that nobody else works on this study.
        resume: Whether the study may exist already.
        inline: Whether this worker evaluates in its own process.

    Raises:
        UsageError: If the study was made with other goals, other options, a larger budget, or by one process.
    """

    def __init__(
        self,
        space: SearchSpace,
        storage: optuna.storages.BaseStorage,
        goals: Goals,
        *,
        study_name: str = "nasx",
        budget: int,
        options: Mapping[str, Any],
        heartbeat: float = 10.0,
        resume: bool = True,
        inline: bool = False,
    ) -> None:
        self.goals = goals
        directions = [goal.direction for goal in goals.objectives]
        super().__init__(
            space, storage, study_name=study_name, direction=directions, budget=budget, options=options,
            heartbeat=heartbeat, resume=resume, inline=inline,
        )  # fmt: skip

    def _join(self, budget: int) -> None:
        self._agree()
        super()._join(budget)

    def finish(self, trial: optuna.trial.FrozenTrial, value: Any, error: str | None) -> bool:  # type: ignore[override]
        """Records the values of a claim, one a goal; False if the claim has been given up to others meanwhile.

        A single NaN, which is what comes of a worker that died, means failed, as any NaN among the values does.
        """
        if any(math.isnan(one) for one in ([value] if isinstance(value, float) else value)):
            return self._end(trial, self._state.FAIL, {} if error is None else {"error": error})
        return self._end(trial, self._state.COMPLETE, {"measured": list(value)}, self._optimised(value))
