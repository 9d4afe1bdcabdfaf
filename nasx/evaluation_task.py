"""One benchmark and one split protocol: everything a repeat of an evaluation needs, in one picklable object."""

from __future__ import annotations

import hashlib
import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasx.benchmark import Benchmark, Floats, Rows
from nasx.evaluation_report import Key
from nasx.metrics import Direction, ranking_metrics
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.splits import Protocol, Split
from nasx.twins import function_groups

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor


#: Test rows of which the predicted and the true value are kept for a scatter plot.
PAIRS = 1000


class Outcome(NamedTuple):
    """What a repeat found: its ``row`` of the report, and some ``pairs`` of predicted and true values."""

    row: dict[str, Any]
    pairs: tuple[Floats, Floats]


@dataclass(frozen=True)
class Task:
    """What every repeat needs to know.

    Attributes:
        graphs: The graphs of all N rows.
        targets: (N,) what predictors are fitted on.
        truth: (N,) what their ranking is compared with.
        direction: Which end of the targets is good.
        truth_direction: Which end of the truth is good.
        protocol: How rows are divided.
        order: (N,) rows in the benchmark's official order.
        groups: (N,) functional class of each row; None where the protocol does not ask.
        test_size: How many of the rows that the protocol tests on are ranked, drawn at random; None for all.
    """

    graphs: GraphBatch
    targets: Floats
    truth: Floats
    direction: Direction
    truth_direction: Direction
    protocol: Protocol
    order: Rows
    groups: NDArray[np.int64] | None
    test_size: int | None = None

    @classmethod
    def of(
        cls, benchmark: Benchmark, target: str, rank_against: str, protocol: Protocol, test_size: int | None = None
    ) -> Task:
        """Reads all of it off a benchmark."""
        return cls(
            graphs=benchmark.graphs(),
            targets=benchmark.values(metric=target),
            truth=benchmark.values(metric=rank_against),
            direction=benchmark.direction_of(target),
            truth_direction=benchmark.direction_of(rank_against),
            protocol=protocol,
            order=official_order(benchmark) if protocol.needs_order else np.arange(len(benchmark)),
            groups=function_groups(benchmark) if protocol.needs_groups else None,
            test_size=test_size,
        )

    def fingerprint(self) -> str:
        """Changes when a value of the table does."""
        return hashlib.sha256(self.targets.tobytes() + self.truth.tobytes()).hexdigest()[:16]

    def split(self, train_size: int, seed: int, repeat: int) -> Split:
        """The split of a repeat, the same for every predictor."""
        split = self.protocol.split(
            self.order[~np.isnan(self.targets[self.order])],
            train_size,
            np.random.default_rng([seed, repeat, train_size]),
            test_rows=np.flatnonzero(~np.isnan(self.truth)),
            values=self.targets,
            groups=self.groups,
        )
        if self.test_size is None:
            return split
        return split.sampled(self.test_size, np.random.default_rng([seed, repeat]))

    def run(self, key: Key, prototype: Predictor) -> Outcome:
        """One repeat: split, fit, score, compare."""
        split = self.split(key.train_size, key.seed, key.repeat)
        stream = [key.seed, key.repeat, key.train_size, 1]
        predictor_seed = int(np.random.SeedSequence(stream).generate_state(1)[0] >> 1)
        model = _fresh(prototype, predictor_seed, self.direction)
        start = time.perf_counter()
        model.fit(self.graphs[split.train], self.targets[split.train], **self._held_out(model, split))
        fitted = time.perf_counter()
        predicted = np.asarray(model.predict(self.graphs[split.test]), dtype=np.float64)
        scored = time.perf_counter()
        wrong = int((~np.isfinite(predicted)).sum())
        if wrong:
            raise NasxError(
                f"predictor '{key.predictor}' gave {wrong} of {len(predicted)} architectures no finite value"
            )
        truth = self.truth[split.test]
        oriented = predicted if self.direction == self.truth_direction else -predicted
        scores = ranking_metrics(oriented, truth, self.truth_direction, intervals=True)
        del scores["dropped"]
        row = {
            **key._asdict(),
            "predictor_seed": predictor_seed,
            "split": split.fingerprint,
            "test_rows": scores.pop("rows"),
            **scores,
            "fit_seconds": round(fitted - start, 4),
            "score_seconds": round(scored - fitted, 4),
        }
        some = np.random.default_rng(0).permutation(len(truth))[:PAIRS]
        return Outcome(row, (predicted[some], truth[some]))

    def _held_out(self, model: Predictor, split: Split) -> dict[str, Any]:
        """The validation rows, for predictors that take any."""
        if not len(split.validation) or "validation" not in inspect.signature(model.fit).parameters:
            return {}
        return {"validation": (self.graphs[split.validation], self.targets[split.validation])}


def official_order(benchmark: Benchmark) -> Rows:
    """The rows in the benchmark's official order, (N,) int64.

    Official tables have it already. Any table of NAS-Bench-201 is put into the order of the official index.
    """
    if not isinstance(benchmark.space, NASBench201):
        return np.arange(len(benchmark))
    official = NASBench201(order="official")
    return np.argsort(official.indices(benchmark.architectures()), kind="stable")


def _fresh(prototype: Predictor, seed: int, direction: str) -> Predictor:
    """An unfitted copy with its own seed that knows which end matters."""
    from sklearn.base import clone

    model = clone(prototype)
    known = model.get_params()
    return model.set_params(**{k: v for k, v in (("seed", seed), ("direction", direction)) if k in known})
