"""What a search with several objectives found, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.hypervolume import hypervolume, hypervolume_curve
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation
from nasx.strategies.dominance import non_dominated
from nasx.strategies.goals import Goals

if TYPE_CHECKING:
    import pandas as pd

    from nasx.benchmark import Benchmark
    from nasx.search_progress import Stopwatch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """The true front of a benchmark, for the account at the end; the search never looks at it.

    Attributes:
        values: ``(f, k)`` the values of the rows that keep the limits and are dominated by none, equal ones once.
        reference: ``(m,)`` losses that 95 % of the measured rows stay below, or those given.
        hypervolume: Of the true front.
        measured: How many rows have all metrics.
        left_out: How many rows have not, and can never be proposed.
        allowed: How many rows keep the limits.
    """

    values: Floats
    reference: Floats
    hypervolume: float
    measured: int
    left_out: int
    allowed: int

    @classmethod
    def of(cls, benchmark: Benchmark, goals: Goals, reference: Floats | None = None) -> Truth:
        """Reads the front off a benchmark; nothing is counted as a query."""
        rows = np.column_stack([benchmark.values(metric=name) for name in goals.names])
        known = rows[~np.isnan(rows).any(axis=1)]
        if not len(known):
            raise NasxError(f"'{benchmark.name}' has no architecture with {' and '.join(goals.names)}")
        bound = goals.worst(known) if reference is None else reference
        allowed = known[goals.violations(known) <= 0]
        front = np.unique(allowed[non_dominated(goals.losses(allowed))], axis=0)
        return cls(
            front, bound, hypervolume(goals.losses(front), bound), len(known), len(rows) - len(known), len(allowed)
        )


@dataclass
class ParetoResult:
    """The outcome of :func:`nasx.pareto_search.pareto_search`.

    Attributes:
        space: The space searched.
        goals: What was measured, and what was wanted of it.
        labels: Names and units of the goals, for tables and pictures.
        evaluations_list: Every evaluation in order.
        reference: ``(m,)`` losses of the reference point of all hypervolumes.
        truth: The true front of the benchmark; None without one.
        kendall_tau: Goal -> Kendall's tau-b of its final predictor over every architecture of the benchmark it was not
            fitted on, or of the predictions before each evaluation (plain function), and the number of pairs.
        fit_seconds: Seconds spent in fitting predictors.
        score_seconds: Seconds spent in predicting.
        total_seconds: Seconds of the whole search.
        predictors: Goal -> the predictor fitted on all evaluations; None without predictors.
        baseline: The same search without predictors, where one was run.
    """

    space: SearchSpace
    goals: Goals
    labels: list[str]
    evaluations_list: list[Evaluation] = field(repr=False)
    reference: Floats
    truth: Truth | None = field(repr=False)
    kendall_tau: dict[str, tuple[float, int]]
    fit_seconds: float
    score_seconds: float
    total_seconds: float
    predictors: dict[str, Any] | None = field(repr=False, default=None)
    baseline: ParetoResult | None = field(repr=False, default=None)

    @classmethod
    def from_run(
        cls,
        *,
        space: SearchSpace,
        goals: Goals,
        history: list[Evaluation],
        initial: int,
        reference: Floats | None,
        truth: Truth | None,
        predictors: Mapping[str, Any] | None,
        benchmark: Benchmark | None,
        labels: list[str],
        watch: Stopwatch,
        report: Callable[[str], None],
    ) -> ParetoResult:
        """Draws up the account of a finished search.

        Raises:
            NasxError: If every evaluation failed.
        """
        succeeded = [evaluation for evaluation in history if not evaluation.failed]
        if not succeeded:
            first = history[0].error if history else "there were none"
            raise NasxError(f"all {len(history)} evaluations failed; the first one said: {first}")
        if truth is not None:
            reference = truth.reference
        elif reference is None:
            first_rows = [evaluation.values for evaluation in history[:initial] if not evaluation.failed]
            reference = goals.worst(goals.rows(first_rows or [succeeded[0].values]))
        taus = _taus(goals, succeeded, predictors, benchmark, watch, report) if predictors else {}
        return cls(
            space=space,
            goals=goals,
            labels=labels,
            evaluations_list=history,
            reference=reference,
            truth=truth,
            kendall_tau=taus,
            fit_seconds=watch.seconds["fit"],
            score_seconds=watch.seconds["score"],
            total_seconds=watch.total,
            predictors=dict(predictors) if predictors else None,
        )

    @property
    def evaluations(self) -> int:
        """Number of evaluations, failed ones included."""
        return len(self.evaluations_list)

    @property
    def failed(self) -> int:
        """Number of failed evaluations."""
        return sum(evaluation.failed for evaluation in self.evaluations_list)

    @property
    def duplicates_avoided(self) -> int:
        """Number of duplicates passed over instead of evaluated: functional ones, or exact ones for a device."""
        return sum({e.round: e.duplicates_avoided for e in self.evaluations_list}.values())

    @cached_property
    def values(self) -> Floats:
        """What was measured, ``(evaluations, k)``; NaN where it failed."""
        return self.goals.rows([evaluation.values for evaluation in self.evaluations_list])

    @cached_property
    def violations(self) -> Floats:
        """By how much each evaluation breaks the limits, ``(evaluations,)``; NaN where it failed."""
        failed = np.asarray(np.isnan(self.values).any(axis=1))
        return self.goals.violations(np.where(failed[:, None], np.nan, self.values))

    @cached_property
    def losses(self) -> Floats:
        """The objectives, smaller is better, ``(evaluations, m)``; NaN where it failed or breaks a limit."""
        fine = ~np.isnan(self.values).any(axis=1) & ~(self.violations > 0)
        return np.where(fine[:, None], self.goals.losses(self.values), np.nan)

    @cached_property
    def front(self) -> NDArray[np.int64]:
        """Which evaluations are on the front that was found, by the first objective, best first; equal ones once."""
        places = np.flatnonzero(non_dominated(self.losses))
        _, first = np.unique(self.losses[places], axis=0, return_index=True)
        return np.asarray(places[first])

    @property
    def best(self) -> list[Hashable]:
        """The architectures of the front, in its order."""
        return [self.evaluations_list[place].architecture for place in self.front]

    @cached_property
    def hypervolume_curve(self) -> Floats:
        """The hypervolume after each evaluation ``(evaluations,)``."""
        return hypervolume_curve(self.losses, self.reference)

    @property
    def hypervolume(self) -> float:
        """The hypervolume of the front that was found."""
        return float(self.hypervolume_curve[-1])

    @property
    def share(self) -> float | None:
        """The hypervolume as a share of the true front's; None without a benchmark."""
        if self.truth is None or self.truth.hypervolume <= 0:
            return None
        return self.hypervolume / self.truth.hypervolume

    @cached_property
    def on_true_front(self) -> NDArray[np.bool_]:
        """Which evaluations have the values of a point of the true front ``(evaluations,)``."""
        if self.truth is None:
            return np.zeros(self.evaluations, dtype=bool)
        return (self.values[:, None, :] == self.truth.values[None, :, :]).all(axis=2).any(axis=1)

    @property
    def true_points_found(self) -> int | None:
        """How many different points of the true front were evaluated; None without a benchmark."""
        return None if self.truth is None else len(np.unique(self.values[self.on_true_front], axis=0))

    @property
    def least_violating(self) -> int | None:
        """The evaluation that breaks the limits least, where none keeps them; else None."""
        return None if len(self.front) else int(np.nanargmin(self.violations))

    @property
    def sentence(self) -> str | None:
        """What to say where nothing keeps the limits; else None."""
        place = self.least_violating
        if place is None:
            return None
        demands = " and ".join(goal.demand for goal in self.goals.all if goal.demand)
        row = ", ".join(f"{name} {value:g}" for name, value in zip(self.goals.names, self.values[place], strict=True))
        return (
            f"none of {self.evaluations} evaluated architectures keeps {demands}; closest is "
            f"{self.space.format(self.evaluations_list[place].architecture)} with {row}"
        )

    @property
    def history(self) -> pd.DataFrame:
        """One row an evaluation: round, architecture, predicted and measured values, hypervolume so far, state."""
        import pandas as pd

        columns: dict[str, Any] = {
            "round": [evaluation.round for evaluation in self.evaluations_list],
            "architecture": [self.space.format(evaluation.architecture) for evaluation in self.evaluations_list],
        }
        predicted = self.goals.rows([evaluation.predictions for evaluation in self.evaluations_list])
        for place, name in enumerate(self.goals.names):
            columns[f"{name}_predicted"] = predicted[:, place]
        for place, name in enumerate(self.goals.names):
            columns[name] = self.values[:, place]
        columns["hypervolume_so_far"] = self.hypervolume_curve
        columns["state"] = [
            "failed" if evaluation.failed else "over the limit" if violation > 0 else "complete"
            for evaluation, violation in zip(self.evaluations_list, self.violations, strict=True)
        ]
        return pd.DataFrame(columns)

    @property
    def pareto(self) -> pd.DataFrame:
        """The front that was found: evaluation (from 1), architecture, values, and whether it is truly on the front."""
        import pandas as pd

        table = {
            "evaluation": self.front + 1,
            "architecture": [self.space.format(architecture) for architecture in self.best],
            **{name: self.values[self.front, place] for place, name in enumerate(self.goals.names)},
        }
        if self.truth is not None:
            table["on_true_front"] = self.on_true_front[self.front]
        return pd.DataFrame(table)

    def summary(self) -> dict[str, Any]:
        """The account in plain numbers, as in ``summary.json``; None where a number does not exist."""
        goals = self.goals
        truth = self.truth
        bound = [goal.sign * float(loss) for goal, loss in zip(goals.objectives, self.reference, strict=True)]
        return {
            "objectives": {goal.name: goal.direction for goal in goals.objectives},
            "limits": {goal.name: goal.limit for goal in goals.all if goal.limit is not None},
            "reference": dict(zip((goal.name for goal in goals.objectives), bound, strict=True)),
            "hypervolume": self.hypervolume,
            "true_hypervolume": truth.hypervolume if truth else None,
            "share_of_true_hypervolume": self.share,
            "front": len(self.front),
            "true_front": len(truth.values) if truth else None,
            "true_points_found": self.true_points_found,
            "architectures_measured": truth.measured if truth else None,
            "architectures_left_out": truth.left_out if truth else None,
            "architectures_within_limits": truth.allowed if truth and goals.limited else None,
            "evaluations": self.evaluations,
            "failed": self.failed,
            "over_the_limit": int((self.violations > 0).sum()),
            "least_violating": self.sentence,
            "duplicates_avoided": self.duplicates_avoided,
            "kendall_tau": {name: None if math.isnan(tau) else tau for name, (tau, _) in self.kendall_tau.items()},
            "kendall_tau_pairs": {name: pairs for name, (_, pairs) in self.kendall_tau.items()},
            "fit_seconds": round(self.fit_seconds, 3),
            "score_seconds": round(self.score_seconds, 3),
            "total_seconds": round(self.total_seconds, 3),
        }

    def save(self, folder: str | Path) -> Path:
        """Writes summary, history, front, predictors and pictures into a folder.

        Args:
            folder: The run folder; made if missing.

        Returns:
            The folder.
        """
        from nasx.pareto_plots import draw_front, draw_hypervolume

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        summary = self.summary()
        curves = {"with predictors" if self.predictors else "without predictors": self.hypervolume_curve}
        if self.baseline is not None:
            summary["without_predictors"] = self.baseline.summary()
            curves["without predictors"] = self.baseline.hypervolume_curve
        self.history.to_csv(folder / "history.csv", index=False)
        self.pareto.to_csv(folder / "pareto.csv", index=False)
        for name, predictor in (self.predictors or {}).items():
            if hasattr(predictor, "save"):
                predictor.save(folder / "predictor" / name.replace("/", "-"))
        title = f"{self.space.name} search"
        draw_hypervolume(
            folder / "hypervolume.png", curves, truth=self.truth.hypervolume if self.truth else None, title=title
        )
        if len(self.goals.all) > 1:
            draw_front(folder / "pareto.png", self, title=title)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        return folder


def _taus(
    goals: Goals,
    succeeded: Sequence[Evaluation],
    predictors: Mapping[str, Any],
    benchmark: Benchmark | None,
    watch: Stopwatch,
    report: Callable[[str], None],
) -> dict[str, tuple[float, int]]:
    """Kendall's tau of every predictor where it was not trained."""
    from nasx.metrics import kendall_tau
    from nasx.pareto_guide import is_exact

    taus = {}
    if benchmark is not None:
        report("ranking")
        untrained = np.ones(len(benchmark), bool)
        untrained[benchmark.rows([evaluation.architecture for evaluation in succeeded])] = False
        with watch("score"):
            graphs = benchmark.graphs()
            for name, predictor in predictors.items():
                if not is_exact(predictor):
                    true = benchmark.values(metric=name)
                    chosen = untrained & np.isfinite(true)
                    taus[name] = kendall_tau(predictor.predict(graphs)[chosen], true[chosen]), int(chosen.sum())
        return taus
    predicted = goals.rows([evaluation.predictions for evaluation in succeeded])
    true = goals.rows([evaluation.values for evaluation in succeeded])
    guessed = ~np.isnan(predicted).any(axis=1)
    for place, name in enumerate(goals.names):
        if not is_exact(predictors[name]):
            taus[name] = kendall_tau(predicted[guessed, place], true[guessed, place]), int(guessed.sum())
    return taus
