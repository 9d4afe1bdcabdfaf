"""One benchmark and one split protocol: everything a repeat of an evaluation needs, in one picklable object."""

from __future__ import annotations

import hashlib
import inspect
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasx.benchmark import Benchmark, Floats, Rows
from nasx.evaluation_report import Key
from nasx.family_splits import ALL, FamilySplit, evenly
from nasx.metrics import Direction, ranking_metrics, relative_errors
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.search_spaces.network_table import families_of
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.splits import Protocol, Split
from nasx.twins import function_groups

if TYPE_CHECKING:
    from nasx.predictors.base import Predictor


#: Test rows of which the predicted and the true value are kept for a scatter plot.
PAIRS = 1000


#: Units of positive quantities, of which relative errors are measured.
POSITIVE_UNITS = frozenset({"ms", "s", "mJ"})


class Outcome(NamedTuple):
    """What a repeat found: its ``rows`` of the report, and some ``pairs`` of predicted and true values."""

    rows: list[dict[str, Any]]
    pairs: tuple[Floats, Floats]


class Mode(Enum):
    """What is judged where a predictor of another metric can be adapted."""

    ALONE = "alone"
    SOURCE_ONLY = "not adapted"
    ADAPTED = "adapted"


class Source(NamedTuple):
    """Another metric, whose predictor is adapted to the target.

    Attributes:
        metric: Its name.
        values: (N,) values of all rows.
        direction: Which end of them is good.
        size: How many rows its predictor learns.
    """

    metric: str
    values: Floats
    direction: Direction
    size: int


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
        families: (N,) family of each row, where the protocol asks or rows are drawn evenly over them.
        relative: Whether relative errors mean something: the target is judged by itself, and positive.
        source: Another metric, whose predictor is adapted.
    """

    graphs: GraphBatch | PackedGraphs
    targets: Floats
    truth: Floats
    direction: Direction
    truth_direction: Direction
    protocol: Protocol
    order: Rows
    groups: NDArray[np.int64] | None
    test_size: int | None = None
    families: NDArray[np.str_] | None = None
    relative: bool = False
    source: Source | None = None
    _kept: dict[tuple[Any, ...], Predictor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        benchmark: Benchmark,
        target: str,
        rank_against: str,
        protocol: Protocol,
        test_size: int | None = None,
        source: Source | None = None,
    ) -> Task:
        """Reads all of it off a benchmark."""
        truth = benchmark.values(metric=rank_against)
        positive = benchmark.metrics[target].unit in POSITIVE_UNITS and bool(np.nanmin(truth) > 0)
        whole = getattr(benchmark.space, "families", None) is not None
        return cls(
            graphs=benchmark.graphs(),
            targets=benchmark.values(metric=target),
            truth=truth,
            direction=benchmark.direction_of(target),
            truth_direction=benchmark.direction_of(rank_against),
            protocol=protocol,
            order=official_order(benchmark) if protocol.needs_order else np.arange(len(benchmark)),
            groups=function_groups(benchmark) if protocol.needs_groups else None,
            test_size=test_size,
            families=families_of(benchmark.space) if whole or protocol.needs_families else None,
            relative=positive and target == rank_against,
            source=source,
        )

    def fingerprint(self) -> str:
        """Changes when a value of the table does."""
        more = b"" if self.source is None else self.source.values.tobytes()
        return hashlib.sha256(self.targets.tobytes() + self.truth.tobytes() + more).hexdigest()[:16]

    @property
    def folds(self) -> tuple[str, ...]:
        """The families that are left out one after the other, ``("all",)`` where all are tested on, ``("",)`` where
        there are none.
        """
        if not isinstance(self.protocol, FamilySplit):
            return ("",)
        assert self.families is not None
        return self.protocol.folds(self.families)

    def split(self, train_size: int, seed: int, repeat: int, fold: str = "") -> Split:
        """The split of a repeat, the same for every predictor."""
        first = self.targets if self.source is None else self.source.values
        size = train_size if self.source is None else self.source.size
        protocol = self.protocol.fold(fold) if isinstance(self.protocol, FamilySplit) else self.protocol
        split = protocol.split(
            self.order[~np.isnan(first[self.order])],
            size,
            np.random.default_rng([seed, repeat, size]),
            test_rows=np.flatnonzero(~np.isnan(self.truth)),
            values=first,
            groups=self.families if protocol.needs_families else self.groups,
        )
        if self.source is not None:
            split = self._few(split, train_size, np.random.default_rng([seed, repeat, 2]))
        if self.test_size is None:
            return split
        return split.sampled(self.test_size, np.random.default_rng([seed, repeat]))

    def _few(self, split: Split, train_size: int, rng: np.random.Generator) -> Split:
        """A few of the rows that the source's predictor learns, with their target values; more contain fewer."""
        known = split.train[~np.isnan(self.targets[split.train])]
        drawn = rng.permutation(known) if self.families is None else evenly(known, self.families, rng)
        if len(drawn) < train_size:
            raise UsageError(
                f"{train_size} rows were to be adapted with, but only {len(drawn)} of the {len(split.train)} rows that "
                "the predictor learns first have the target"
            )
        name = f"{split.protocol}-adapted"
        return Split(name, np.sort(drawn[:train_size]), split.validation, split.test, split.train)

    def run(self, key: Key, prototype: Predictor, mode: Mode = Mode.ALONE) -> Outcome:
        """One repeat: split, fit (or adapt), score, compare."""
        split = self.split(key.train_size, key.seed, key.repeat, key.family)
        stream = [key.seed, key.repeat, key.train_size, 1]
        predictor_seed = int(np.random.SeedSequence(stream).generate_state(1)[0] >> 1)
        learnt = None if mode is Mode.ALONE else self._learnt(key, prototype, split)
        start = time.perf_counter()
        model = self._fitted(prototype, mode, learnt, split, predictor_seed)
        fitted = time.perf_counter()
        predicted = np.asarray(model.predict(self.graphs[split.test]), dtype=np.float64)
        scored = time.perf_counter()
        wrong = int((~np.isfinite(predicted)).sum())
        if wrong:
            raise NasxError(
                f"predictor '{key.predictor}' gave {wrong} of {len(predicted)} architectures no finite value"
            )
        truth = self.truth[split.test]
        direction = self.source.direction if self.source and mode is Mode.SOURCE_ONLY else self.direction
        oriented = predicted if direction == self.truth_direction else -predicted
        common = {
            "predictor_seed": predictor_seed,
            "split": split.fingerprint,
            **({"train_rows": len(split.train)} if key.family else {}),
        }
        seconds = {"fit_seconds": round(fitted - start, 4), "score_seconds": round(scored - fitted, 4)}
        rows = [{**key._asdict(), **common, **self._scores(oriented, truth, intervals=True), **seconds}]
        if key.family == ALL and self.families is not None:
            families = self.families[split.test]
            for family in dict.fromkeys(families.tolist()):
                part = families == family
                scores = self._scores(oriented[part], truth[part])
                rows.append({**key._replace(family=family)._asdict(), **common, **scores, **seconds})
        share = PAIRS // len(self.folds)
        some = np.random.default_rng(0).permutation(len(truth))[:share]
        return Outcome(rows, (predicted[some], truth[some]))

    def _scores(self, predicted: Floats, truth: Floats, *, intervals: bool = False) -> dict[str, Any]:
        scores = ranking_metrics(predicted, truth, self.truth_direction, intervals=intervals)
        del scores["dropped"]
        errors = relative_errors(predicted, truth) if self.relative else {}
        return {"test_rows": scores.pop("rows"), **errors, **scores}

    def _fitted(self, prototype: Predictor, mode: Mode, learnt: Predictor | None, split: Split, seed: int) -> Predictor:
        """The predictor that a repeat judges."""
        if mode is Mode.SOURCE_ONLY:
            assert learnt is not None
            return learnt
        graphs, targets = self.graphs[split.train], self.targets[split.train]
        if learnt is None:
            model = _fresh(prototype, seed, self.direction)
            held_out = {} if self.source is not None else self._held_out(model, split, self.targets)
            return model.fit(graphs, targets, **held_out)
        from nasx.predictors.adapted import Adapted

        return Adapted.of(learnt, seed=seed, direction=self.direction).fit(graphs, targets)

    def _learnt(self, key: Key, prototype: Predictor, split: Split) -> Predictor:
        """The predictor of the source metric; fitted once for all sizes of a repeat."""
        assert self.source is not None
        assert split.source is not None
        found = (key.seed, key.repeat, key.family, repr(prototype))
        if found not in self._kept:
            self._kept.clear()
            stream = [key.seed, key.repeat, self.source.size, 3]
            seed = int(np.random.SeedSequence(stream).generate_state(1)[0] >> 1)
            model = _fresh(prototype, seed, self.source.direction)
            held_out = self._held_out(model, split, self.source.values)
            self._kept[found] = model.fit(self.graphs[split.source], self.source.values[split.source], **held_out)
        return self._kept[found]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}

    def _held_out(self, model: Predictor, split: Split, values: Floats) -> dict[str, Any]:
        """The validation rows, for predictors that take any."""
        if not len(split.validation) or "validation" not in inspect.signature(model.fit).parameters:
            return {}
        return {"validation": (self.graphs[split.validation], values[split.validation])}


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
