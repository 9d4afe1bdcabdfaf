"""Where evaluations with several values live: an Optuna study with a direction an objective."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation, TrialStore
from nasx.strategies.goals import Goals
from nasx.strategies.guided import Proposal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import optuna

_GOALS = "goals"


class ParetoStore(TrialStore):
    """The evaluations of a search with several goals.

    The study holds the objectives, so that Optuna's plots and dashboard show the front; everything that was measured,
    limited quantities included, is in the trial's attribute ``measured``.

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
        import optuna

        self.goals = goals
        directions = [goal.direction for goal in goals.objectives]
        super().__init__(space, storage, study_name=study_name, direction=directions, resume=resume)
        wanted = [[goal.name, goal.direction, goal.optimised, goal.limit] for goal in goals.all]
        stored = self.study.user_attrs.get(_GOALS)
        if stored is None and not self.study.get_trials(deepcopy=False):
            self.study.set_user_attr(_GOALS, wanted)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self.study.set_metric_names([goal.name for goal in goals.objectives])
        elif stored != wanted:
            names = "one objective" if stored is None else ", ".join(str(name) for name, *_ in stored)
            raise UsageError(
                f"the study '{study_name}' was begun with other goals or limits ({names}); resume it with the same ones"
            )

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
        optimised = [one for one, goal in zip(value, self.goals.all, strict=True) if goal.optimised]
        self.study.tell(trial.number, optimised)

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
