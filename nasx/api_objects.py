"""Ground truth from an official API object that the user already has in hand.

The object is recognised by what it can do, never by its class: the official ``nasbench`` is not on PyPI and needs
TensorFlow 1, and forks of the others exist. It is asked for one value at a time; a whole column is collected when a
report or a predictor needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nasx.metric import Metric
from nasx.nasbench201_runs import COSTS, EVALUATIONS, QUANTITIES, TARGETS
from nasx.official_nasbench101 import STAGES
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.space import SearchSpace
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark


class _Api(Protocol):
    """What is needed of an API object, whichever it is."""

    name: str
    target: str

    @property
    def space(self) -> SearchSpace:
        """The search space."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Name of a column -> what it means."""

    @property
    def targets(self) -> Mapping[str, str]:
        """Data set -> its own target."""

    def indices(self) -> NDArray[np.int64]:
        """The index in the space of every architecture, in the order of the object."""

    def value(self, row: int, metric: Metric) -> float:
        """One measured value; NaN where there is none."""


class ApiBenchmark(TabularBenchmark):
    """A :class:`~nasx.tabular.TabularBenchmark` that asks an API object instead of a table."""

    def _value(self, name: str, row: int) -> float:
        columns = self.source.columns
        if name in self._columns or not isinstance(columns, _ApiColumns):
            return super()._value(name, row)
        return columns.value(name, row)


def load_api(api: object) -> Table:
    """The table behind an API object; its columns are collected when they are asked for.

    Raises:
        UsageError: It is no such object, or one of a search space that nasx does not know.
    """
    adapter: _Api
    if _is_nasbench101(api):
        adapter = _NASBench101(api)
    elif _is_nasbench201(api):
        adapter = _NASBench201(api)
    else:
        raise UsageError(
            f"an object of type {type(api).__name__} is no benchmark; give a name, the path of a table, or an object "
            "of nasbench.api.NASBench, nas_201_api.NASBench201API or nats_bench (topology)"
        )
    indices = adapter.indices()
    return Table(
        name=adapter.name,
        space=adapter.space,
        architectures=indices,
        columns=_ApiColumns(adapter, len(indices)),
        metrics=adapter.metrics,
        target=adapter.target,
        licence="that of the object's data",
        source=f"{type(api).__module__}.{type(api).__name__}",
        extra={"targets": adapter.targets},
    )


class _ApiColumns(Mapping[str, NDArray[Any]]):
    """Columns collected value by value."""

    def __init__(self, api: _Api, length: int) -> None:
        self._api, self._length = api, length

    def value(self, name: str, row: int) -> float:
        return self._api.value(row, self._api.metrics[name])

    def __getitem__(self, name: str) -> NDArray[Any]:
        metric = self._api.metrics[name]
        return np.fromiter((self._api.value(row, metric) for row in range(self._length)), np.float64, self._length)

    def __iter__(self) -> Iterator[str]:
        return iter(self._api.metrics)

    def __len__(self) -> int:
        return len(self._api.metrics)


def _is_nasbench101(value: object) -> bool:
    return all(hasattr(value, name) for name in ("fixed_statistics", "computed_statistics", "get_metrics_from_hash"))


class _NASBench101:
    """An object of ``nasbench.api.NASBench``; runs are numbered in the order it holds them."""

    name = "nasbench101"
    targets: Mapping[str, str] = {}
    _KEYS: Mapping[str, str] = {
        f"{stage or 'final_'}{theirs}": f"{stage}{ours}"
        for stage in STAGES
        for theirs, ours in (
            ("train_accuracy", "training_accuracy"),
            ("validation_accuracy", "validation_accuracy"),
            ("test_accuracy", "test_accuracy"),
            ("training_time", "training_seconds"),
        )
    }

    def __init__(self, api: Any) -> None:
        self.space = NASBench101()
        self._fixed, self._computed = api.fixed_statistics, api.computed_statistics
        self._hashes = list(self._fixed)
        if not self._hashes:
            raise UsageError("the NAS-Bench-101 object holds no cell; load it from its .tfrecord file first")
        of = [Metric.of("trainable_parameters", "", "minimize")]
        lengths = self._computed[self._hashes[0]]
        for epochs in sorted(lengths):
            for quantity in self._KEYS.values():
                unit, end = ("s", "minimize") if quantity.endswith("seconds") else ("fraction", "maximize")
                seeds = [*range(len(lengths[epochs])), "mean"]
                of += [Metric.of(quantity, unit, end, epochs=epochs, seed=seed) for seed in seeds]  # type: ignore[arg-type]
        self.metrics = {metric.name: metric for metric in of}
        self.target = f"validation_accuracy_{max(lengths)}_epochs_mean"
        self._theirs = {ours: theirs for theirs, ours in self._KEYS.items()}

    def indices(self) -> NDArray[np.int64]:
        cells = [self._fixed[module_hash] for module_hash in self._hashes]
        matrices = ["/".join("".join(map(str, row)) for row in cell["module_adjacency"].tolist()) for cell in cells]
        return self.space.indices_of_text(matrices, [",".join(cell["module_operations"]) for cell in cells])

    def value(self, row: int, metric: Metric) -> float:
        module_hash = self._hashes[row]
        if metric.epochs is None:
            return float(self._fixed[module_hash][metric.quantity])
        values = [run[self._theirs[metric.quantity]] for run in self._computed[module_hash][metric.epochs]]
        return float(np.mean(values) if metric.seed == "mean" else values[metric.seed])  # type: ignore[index]


def _is_nasbench201(value: object) -> bool:
    return all(hasattr(value, name) for name in ("get_more_info", "get_cost_info", "query_index_by_arch"))


class _NASBench201:
    """An object of ``nas_201_api.NASBench201API``, or of ``nats_bench`` for the topology space."""

    _SEEDS: Mapping[int, tuple[int | str, ...]] = {12: (111, 777, "mean"), 200: (777, 888, 999, "mean")}
    _THEIRS: Mapping[str, str] = {
        "training_accuracy": "train-accuracy",
        "training_loss": "train-loss",
        "training_seconds": "train-all-time",
        "validation_accuracy": "valid-accuracy",
        "validation_loss": "valid-loss",
        "test_accuracy": "test-accuracy",
        "test_loss": "test-loss",
        "validation_and_test_accuracy": "valtest-accuracy",
        "validation_and_test_loss": "valtest-loss",
        "flops": "flops",
        "parameters": "params",
        "latency": "latency",
    }

    def __init__(self, api: Any) -> None:
        if getattr(api, "search_space_name", "topology") != "topology":
            raise UsageError(
                f"the NATS-Bench object is of the space '{api.search_space_name}', which nasx does not read; "
                "give the object of nats_bench.create(..., 'topology')"
            )
        self._api = api
        self.name = "nats-bench" if hasattr(api, "search_space_name") else "nasbench201-official"
        self.space = get_search_space("nasbench201")
        of = [
            Metric.of(quantity, unit, direction, dataset=dataset, epochs=epochs, seed=seed)
            for dataset, parts in EVALUATIONS.items()
            for quantity, unit, direction in QUANTITIES
            if quantity.startswith("training") or quantity.rsplit("_", 1)[0] in parts
            for epochs, seeds in self._SEEDS.items()
            for seed in seeds
        ]
        for dataset in EVALUATIONS:
            of += [Metric.of(quantity, unit, "minimize", dataset=dataset) for quantity, unit in COSTS]
        self.metrics = {metric.name: metric for metric in of}
        self.target, self.targets = TARGETS[0], {"cifar10": TARGETS[1]}

    def indices(self) -> NDArray[np.int64]:
        return self.space.indices([self.space.parse(self._api[index]) for index in range(len(self._api))])

    def value(self, row: int, metric: Metric) -> float:
        hp = str(metric.epochs or 200)
        spoken, self._api.verbose = self._api.verbose, False  # it prints a line for every question
        try:
            if metric.epochs is None:
                answer = self._api.get_cost_info(row, metric.dataset, hp=hp)
            else:
                run = False if metric.seed == "mean" else metric.seed
                answer = self._api.get_more_info(row, metric.dataset, hp=hp, is_random=run)
            value = answer.get(self._THEIRS[metric.quantity])
        except (ValueError, KeyError, TypeError, AssertionError):  # how it says that there is no such run
            return math.nan
        finally:
            self._api.verbose = spoken
        return math.nan if value is None else float(value)
