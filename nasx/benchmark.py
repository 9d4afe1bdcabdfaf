"""Ground truth: what an architecture really achieves, and how often somebody has asked."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.metric import Metric, metric_of
from nasx.metrics import Direction
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs

if TYPE_CHECKING:
    import pandas as pd

    from nasx.search_spaces.space import SearchSpace
    from nasx.table_file import Table
    from nasx.tabular import TabularBenchmark

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class QueryCount(NamedTuple):
    """How often a metric was asked for: all ``queries``, and the distinct ``architectures`` among them."""

    queries: int
    architectures: int


class BudgetSpent(NasxError):
    """A question beyond the budget of a benchmark; nothing was answered or counted."""


class Benchmark(ABC):
    """The contract of ground truth over a search space. Rows are its architectures, numbered from 0.

    Called like a function, ``benchmark(architecture)``, it answers with the target metric: a benchmark serves
    wherever a plain function ``architecture -> float`` does.

    Attributes:
        name: Name of the benchmark.
        dataset: The data set everything was measured on, if it is one.
        space: The search space.
        metrics: Metric name -> :class:`~nasx.metric.Metric` (unit, direction, epochs, seed).
        budget: How many distinct (metric, architecture) pairs may be asked for; None for no limit.
    """

    name: str
    dataset: str | None
    space: SearchSpace
    metrics: Mapping[str, Metric]
    budget: int | None = None

    @property
    @abstractmethod
    def target(self) -> str:
        """The metric to optimise and to train on."""

    @property
    @abstractmethod
    def rank_against(self) -> str:
        """The metric to judge a ranking by; the target unless chosen otherwise."""

    @property
    def direction(self) -> Direction:
        """Which end of the target is good."""
        return self.direction_of(self.target)

    def direction_of(self, metric: str) -> Direction:
        """Which end of a metric is good.

        Raises:
            UsageError: There is no such metric, or nobody said.
        """
        direction = metric_of(self.metrics, metric).direction
        if direction is None:
            raise UsageError(
                f"whether a high or a low '{metric}' is better is not clear from its name; "
                f"say it with directions={{'{metric}': 'maximize'}} (or 'minimize')"
            )
        return direction

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def query(
        self,
        architecture: Any,
        metric: str | None = None,
        *,
        epochs: int | None = None,
        seed: int | str | None = None,
    ) -> float:
        """The measured value of one architecture; counted.

        Args:
            architecture: An object of the space, its text, its official hash, its index in the space, a
                :class:`~nasx.search_spaces.graph.Graph` or the pair ``(adjacency, operations)``, as far as the space
                knows them.
            metric: A metric, or a quantity that ``epochs`` and ``seed`` make unique; the target by default.
            epochs: Epochs of the training schedule.
            seed: The run, or ``"mean"``.

        Raises:
            NasxError: It was not measured; :class:`BudgetSpent`: or asking is over.
            UsageError: It is not an architecture of the space, or there is no such metric, or more than one.
        """

    @abstractmethod
    def values(
        self,
        architectures: Sequence[Any] | NDArray[np.int64] | None = None,
        metric: str | None = None,
        *,
        epochs: int | None = None,
        seed: int | str | None = None,
    ) -> Floats:
        """The measured values of many architectures, (n,) float64, NaN where there is none; counted.

        Without architectures: of all rows, as a report needs them; this is not counted.
        """

    @abstractmethod
    def rows(self, architectures: Sequence[Any]) -> Rows:
        """The row of each architecture, (n,) int64; -1 where it is not in the benchmark."""

    @abstractmethod
    def architectures(self, rows: ArrayLike | None = None) -> list[Any]:
        """The architectures of these rows, or of all."""

    @abstractmethod
    def graphs(self, rows: ArrayLike | None = None) -> GraphBatch | PackedGraphs:
        """The operation graphs of these rows, or of all; of whole networks without padding."""

    @abstractmethod
    def query_counts(self) -> dict[str, QueryCount]:
        """How often each metric was asked for."""

    def __call__(self, architecture: Hashable) -> float:
        """The target metric of one architecture; see :meth:`query`."""
        return self.query(architecture)

    def resolve(self, architecture: Any) -> Any:
        """The architecture as an object of the space, from any form that :meth:`query` takes.

        Raises:
            UsageError: It is none of the space.
        """
        if isinstance(architecture, str):
            return self.space.parse(architecture)
        if isinstance(architecture, int | np.integer) and not isinstance(architecture, bool):
            return self.space.architecture(int(architecture))
        if isinstance(architecture, Graph):
            return self.space.from_matrix(architecture.adjacency, architecture.operations)
        if type(architecture) in (tuple, list) and len(architecture) == 2 and self.space.reads_matrices:
            return self.space.from_matrix(*architecture)
        return architecture

    def formatted(self, rows: ArrayLike | None = None) -> list[str]:
        """The text forms of the architectures of these rows, or of all."""
        return [self.space.format(architecture) for architecture in self.architectures(rows)]

    def optimum(self, metric: str | None = None) -> tuple[Any, float]:
        """The best architecture and its value; the first row among equals."""
        metric = self.target if metric is None else metric
        values = self.values(metric=metric)
        row = int(np.nanargmax(values) if self.direction_of(metric) == "maximize" else np.nanargmin(values))
        return self.architectures([row])[0], float(values[row])

    def rank(self, value: float, metric: str | None = None) -> int:
        """The place a value takes among all measured ones: 1 is best, equal values share the better place."""
        metric = self.target if metric is None else metric
        values = self.values(metric=metric)
        better = values > value if self.direction_of(metric) == "maximize" else values < value
        return 1 + int(better.sum())

    def table(self) -> pd.DataFrame:
        """All rows as a DataFrame: ``architecture`` (text) and one column a metric."""
        import pandas as pd

        return pd.DataFrame({"architecture": self.formatted(), **{m: self.values(metric=m) for m in self.metrics}})

    def measured(self, metrics: Sequence[str] | None = None) -> Callable[[Hashable], bool] | None:
        """Says which architectures have a value of every one of these metrics; None where all of the space have.

        Args:
            metrics: Names of metrics; the target by default.
        """
        finite = np.all([np.isfinite(self.values(metric=name)) for name in metrics or [self.target]], axis=0)
        if len(finite) == self.space.size and finite.all():
            return None

        def known(architecture: Hashable) -> bool:
            row = int(self.rows([architecture])[0])
            return row >= 0 and bool(finite[row])

        return known


def load_benchmark(
    name: str | Path | Any,
    *,
    dataset: str | None = None,
    space: SearchSpace | str | None = None,
    target: str | None = None,
    rank_against: str | None = None,
    directions: Mapping[str, str] | None = None,
    budget: int | None = None,
) -> TabularBenchmark:
    """Opens ground truth by name or path, or takes an official API object as it is.

    Args:
        name: An embedded benchmark (``"nasbench201"``, ``"nasbench-graph"``), an imported one (``nasx data list``), the
            path of a ``.csv`` or ``.parquet`` table or of the folder of a table of whole networks, or an object of
            ``nasbench.api.NASBench``, ``nas_201_api.NASBench201API`` or ``nats_bench`` (topology).
        dataset: The data set, where the benchmark has several. Left out, metrics are named ``dataset/metric`` and may
            be of different data sets.
        space: The search space of a table given by its path (name or object), or of one imported from a space of
            your own.
        target: The metric to optimise and to train on.
        rank_against: The metric to judge a ranking by; the target by default.
        directions: Metric name -> ``"maximize"`` or ``"minimize"``, for tables whose column names do not tell.
        budget: How many distinct architectures may be asked for (each metric counted by itself); no limit by default.

    Raises:
        UsageError: Unknown benchmark, data set, space or metric; or a table that does not fit its space.
        NasxError: A package or file that is missing or damaged.

    >>> bench = load_benchmark("nasbench-graph", dataset="cora")
    >>> bench.target, bench.metrics["latency"].direction, len(bench)
    ('validation_accuracy', 'minimize', 26206)
    """
    from nasx.tabular import TabularBenchmark

    if isinstance(name, str | Path):
        table, kind = _open(str(name), dataset, space), TabularBenchmark
    else:
        from nasx.api_objects import ApiBenchmark, load_api

        table, kind = load_api(name), ApiBenchmark
    table = _choose_dataset(table, dataset, target)
    if directions:
        table = table.with_directions(directions)
    return kind(table, target=target, rank_against=rank_against, budget=budget)


def _open(name: str, dataset: str | None, space: SearchSpace | str | None) -> Table:
    """The table of an embedded or imported benchmark, or of a file."""
    from nasx import embedded, official, tables

    if name in embedded.NAMES:
        table = embedded.load(name, dataset)
        if space is not None and (space if isinstance(space, str) else space.name) != table.space.name:
            raise UsageError(f"'{name}' belongs to the space '{table.space.name}'; leave space= (--space) out")
        return table
    if Path(name).suffix.lower() in tables.SUFFIXES:
        table = tables.read_table(name, space)
    elif name in tables.shipped():
        table = dataclasses.replace(tables.read_table(tables.shipped()[name], space), name=name)
    elif name in tables.imported():
        table = tables.open_table(name, space)
    elif name in official.NAMES:
        raise official.absent(name)
    elif Path(name).is_dir():
        table = tables.read_table(name, space)
    else:
        error = unknown("benchmark", name, [*embedded.NAMES, *tables.shipped(), *official.NAMES, *tables.imported()])
        raise UsageError(f"{error}; a table can also be given by the path of a .csv or .parquet file")
    return table


def _choose_dataset(table: Table, dataset: str | None, target: str | None) -> Table:
    """The columns of the data set; all of them where the target itself names one, as in ``"cifar10/test_accuracy"``."""
    if dataset is None and target is not None and target.partition("/")[0] in table.datasets:
        return table
    if not table.datasets:
        if dataset not in (None, table.dataset):
            raise UsageError(
                f"'{table.name}' has no data sets to choose from; its columns are: {', '.join(table.metrics)}"
            )
        return table
    if dataset is None:
        raise UsageError(
            f"'{table.name}' has several data sets; choose one with dataset= (--dataset): {', '.join(table.datasets)}; "
            "or put its name and '/' before each metric"
        )
    return table.select(dataset)
