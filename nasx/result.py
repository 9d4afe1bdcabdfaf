"""What a search found, and how it is written down."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasx.plots import draw_ranking, draw_search
from nasx.search_spaces.space import SearchSpace
from nasx.store import Evaluation
from nasx.strategies.base import Direction

if TYPE_CHECKING:
    import pandas as pd

    from nasx.benchmark import Benchmark
    from nasx.predictors.base import Predictor
    from nasx.search_loop import Stopwatch


@dataclass
class SearchResult:
    """The outcome of :func:`nasx.search_loop.search`.

    Attributes:
        space: The space searched.
        direction: Whether larger or smaller values are better.
        evaluations_list: Every evaluation in order.
        best: The best architecture found.
        best_value: Its true value, in the objective's unit.
        best_rank: Its place among all architectures of the benchmark, 1 is best; None without a benchmark.
        ranked: How many architectures of the benchmark have a value; None without a benchmark.
        regret: How far its value is from the benchmark's optimum, never negative; None without a benchmark.
        optimum: The benchmark's best value; None without a benchmark.
        kendall_tau: Kendall's tau-b of the final predictor over every architecture it was not fitted on (benchmark), or
            of the predictions made before each evaluation (plain function); NaN without a predictor.
        kendall_tau_pairs: Number of (predicted, true) pairs behind it.
        fit_seconds: Seconds spent in fitting predictors.
        score_seconds: Seconds spent in predicting, graphs and tokens included.
        total_seconds: Seconds of the whole search.
        metric: Name and unit of the objective, for labels.
        ranking: Columns ``architecture, predicted, true, trained`` of every architecture ranked at the end.
        predictor: The predictor fitted on all evaluations; None without one.
        baseline: The same search without a predictor, where one was run.
        skipped: Configurations that were passed over, at no cost, because their graph function failed; as this process
            met them.
    """

    space: SearchSpace
    direction: Direction
    evaluations_list: list[Evaluation] = field(repr=False)
    best: Hashable
    best_value: float
    best_rank: int | None
    ranked: int | None
    regret: float | None
    optimum: float | None
    kendall_tau: float
    kendall_tau_pairs: int
    fit_seconds: float
    score_seconds: float
    total_seconds: float
    metric: str
    ranking: pd.DataFrame | None = field(repr=False, default=None)
    predictor: Predictor | None = field(repr=False, default=None)
    baseline: SearchResult | None = field(repr=False, default=None)
    skipped: int = 0

    @classmethod
    def from_run(
        cls,
        *,
        space: SearchSpace,
        benchmark: Benchmark | None,
        direction: Direction,
        history: list[Evaluation],
        predictor: Predictor | None,
        watch: Stopwatch,
        rank_all: bool,
        report: Callable[[str], None],
    ) -> SearchResult:
        """Draws up the account of a finished search.

        Raises:
            NasxError: If every evaluation failed.
        """
        from nasx.metrics import kendall_tau
        from nasx.search_spaces.errors import NasxError

        succeeded = [evaluation for evaluation in history if not evaluation.failed]
        if not succeeded:
            first = history[0].error if history else "there were none"
            raise NasxError(f"all {len(history)} evaluations failed; the first one said: {first}")
        best = (max if direction == "maximize" else min)(succeeded, key=lambda evaluation: evaluation.value)
        optimum = float(benchmark.optimum()[1]) if benchmark else None
        ranking, tau, pairs = None, math.nan, 0
        if predictor is not None and benchmark is not None and rank_all:
            report("ranking")
            with watch("score"):
                predicted = predictor.predict(benchmark.graphs())
            ranking = _ranking(benchmark, predicted, succeeded)
            unseen = ranking[~ranking["trained"]].dropna(subset=["true"])
            tau, pairs = kendall_tau(unseen["predicted"], unseen["true"]), len(unseen)
        elif predictor is not None and benchmark is None:
            guessed = [evaluation for evaluation in succeeded if not math.isnan(evaluation.predicted)]
            tau = kendall_tau([e.predicted for e in guessed], [e.value for e in guessed])
            pairs = len(guessed)
        return cls(
            space=space,
            direction=direction,
            evaluations_list=history,
            best=best.architecture,
            best_value=best.value,
            best_rank=benchmark.rank(best.value) if benchmark else None,
            ranked=int(np.isfinite(benchmark.values()).sum()) if benchmark else None,
            regret=abs(optimum - best.value) if optimum is not None else None,
            optimum=optimum,
            kendall_tau=tau,
            kendall_tau_pairs=pairs,
            fit_seconds=watch.seconds["fit"],
            score_seconds=watch.seconds["score"],
            total_seconds=watch.total,
            metric=benchmark.metrics[benchmark.target].label if benchmark else "value",
            ranking=ranking,
            predictor=predictor,
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
        """Number of functional duplicates that were passed over instead of evaluated."""
        return sum({e.round: e.duplicates_avoided for e in self.evaluations_list}.values())

    @property
    def best_so_far(self) -> np.ndarray:
        """The best value after each evaluation ``(evaluations,)``; NaN before the first success."""
        values = np.array([evaluation.value for evaluation in self.evaluations_list])
        return (np.fmax if self.direction == "maximize" else np.fmin).accumulate(values)

    @property
    def history(self) -> pd.DataFrame:
        """One row an evaluation: round, architecture string, predicted score, true value, best so far, state."""
        import pandas as pd

        return pd.DataFrame(
            {
                "round": [evaluation.round for evaluation in self.evaluations_list],
                "architecture": [self.space.format(evaluation.architecture) for evaluation in self.evaluations_list],
                "predicted": [evaluation.predicted for evaluation in self.evaluations_list],
                "value": [evaluation.value for evaluation in self.evaluations_list],
                "best_so_far": self.best_so_far,
                "state": ["failed" if evaluation.failed else "complete" for evaluation in self.evaluations_list],
            }
        )

    def summary(self) -> dict[str, Any]:
        """The account in plain numbers, as in ``summary.json``; None where a number does not exist."""
        return {
            "best_architecture": self.space.format(self.best),
            "best_value": self.best_value,
            "best_rank": self.best_rank,
            "regret": self.regret,
            "evaluations": self.evaluations,
            "failed": self.failed,
            "duplicates_avoided": self.duplicates_avoided,
            "skipped": self.skipped,
            "kendall_tau": None if math.isnan(self.kendall_tau) else self.kendall_tau,
            "kendall_tau_pairs": self.kendall_tau_pairs,
            "fit_seconds": round(self.fit_seconds, 3),
            "score_seconds": round(self.score_seconds, 3),
            "total_seconds": round(self.total_seconds, 3),
        }

    def save(self, folder: str | Path) -> Path:
        """Writes summary, history, best architecture, ranking, predictor and pictures into a folder.

        Args:
            folder: The run folder; made if missing.

        Returns:
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        summary = self.summary() | {
            "space": self.space.name, "metric": self.metric, "direction": self.direction,
            "optimum": self.optimum, "ranked": self.ranked,
        }  # fmt: skip
        curves = {"with predictor" if self.predictor is not None else "without predictor": self.best_so_far}
        if self.baseline is not None:
            summary["without_predictor"] = self.baseline.summary()
            curves["without predictor"] = self.baseline.best_so_far
            self.baseline.history.to_csv(folder / "history-without-predictor.csv", index=False)
        self.history.to_csv(folder / "history.csv", index=False)
        if self.predictor is not None:
            self.predictor.save(folder / "predictor")
        draw_search(
            folder / "search.png", curves, optimum=self.optimum, metric=self.metric, title=f"{self.space.name} search"
        )
        if self.ranking is not None:
            self.ranking.to_parquet(folder / "ranking.parquet", index=False)
            draw_ranking(
                folder / "ranking.png", self.ranking, tau=self.kendall_tau, metric=self.metric, title=self.space.name
            )
        best = {"architecture": self.space.format(self.best), "graph": self.space.graph(self.best).to_dict()}
        (folder / "best.json").write_text(json.dumps(best) + "\n")
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        return folder


def _ranking(benchmark: Benchmark, predicted: np.ndarray, trained: list[Evaluation]) -> pd.DataFrame:
    """Predicted and true value of every row of the benchmark, and whether the predictor was fitted on it."""
    import pandas as pd

    fitted_on = np.zeros(len(predicted), bool)
    fitted_on[benchmark.rows([evaluation.architecture for evaluation in trained])] = True
    return pd.DataFrame(
        {
            "architecture": benchmark.formatted(),
            "predicted": predicted,
            "true": benchmark.values(metric=benchmark.rank_against),
            "trained": fitted_on,
        }
    )
