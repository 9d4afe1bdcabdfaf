"""A benchmark that looks its answers up in a table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.benchmark import Benchmark, Floats, QueryCount, Rows
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Table, metric_of


class TabularBenchmark(Benchmark):
    """Ground truth from measurements taken once and for all.

    Args:
        table: The measurements; row i of the benchmark is row i of the table.
        target: The metric to optimise; by default the table's own, or its only one.
        rank_against: The metric to judge a ranking by; by default the target.

    Raises:
        UsageError: There is no such metric, or its direction is not known.

    >>> from nasx.search_spaces.choice_space import ChoiceSpace
    >>> from nasx.search_spaces.graph import Graph
    >>> def chain(choices):
    ...     return Graph.from_edges(["input", choices["layer"], "output"], [(0, 1), (1, 2)])
    >>> from nasx.table_file import Metric
    >>> space = ChoiceSpace("one-layer", {"layer": ["conv", "pool"]}, chain)
    >>> table = Table("toy", space, np.array([0, 1]), {"accuracy": np.array([91.0, 85.0])},
    ...               {"accuracy": Metric("accuracy", "percent", "maximize")})
    >>> bench = TabularBenchmark(table)
    >>> bench.query("layer=conv"), bench.optimum(), bench.rank(85.0)
    (91.0, (('conv',), 91.0), 2)
    >>> bench.query_counts()
    {'accuracy': QueryCount(queries=1, architectures=1)}
    """

    def __init__(self, table: Table, *, target: str | None = None, rank_against: str | None = None) -> None:
        self.name, self.dataset, self.space, self.metrics = table.name, table.dataset, table.space, table.metrics
        self.source = table
        self._target = target or table.target or (next(iter(table.metrics)) if len(table.metrics) == 1 else None)
        self._rank_against = rank_against
        for metric in (target, rank_against):
            if metric is not None:
                self.direction_of(metric)
        self._columns: dict[str, Floats] = {}
        self._queries: dict[str, int] = {}
        self._asked: dict[str, NDArray[np.bool_]] = {}
        self._all_graphs: GraphBatch | None = None
        self._prepare_lookup(table.architectures)

    def _prepare_lookup(self, architectures: NDArray[np.int64] | list[Any]) -> None:
        self._row_of: dict[Any, int] | None = None
        self._in_order = False
        if isinstance(architectures, list):
            self._row_of = {architecture: row for row, architecture in enumerate(architectures)}
            return
        self._in_order = len(architectures) == self.space.size and bool(
            np.array_equal(architectures, np.arange(len(architectures)))
        )
        self._order = np.argsort(architectures, kind="stable")
        self._sorted = architectures[self._order]

    @property
    def target(self) -> str:
        """The metric to optimise and to train on."""
        if self._target is None:
            raise UsageError(
                f"'{self.name}' has several metrics; choose the one to optimise with target= (--target): "
                + ", ".join(self.metrics)
            )
        return self._target

    @property
    def rank_against(self) -> str:
        """The metric to judge a ranking by."""
        return self._rank_against or self.target

    def __len__(self) -> int:
        return len(self.source)

    def query(self, architecture: Hashable, metric: str | None = None) -> float:
        """The measured value of one architecture; see :meth:`Benchmark.query`."""
        metric = self.target if metric is None else metric
        column = self._column(metric)
        if isinstance(architecture, str):
            architecture = self.space.parse(architecture)
        row = self._row(architecture)
        value = float(column[row]) if row >= 0 else float("nan")
        self._queries[metric] += 1
        if value != value:
            known = len(column) - int(np.isnan(column).sum())
            raise NasxError(
                f"'{self.name}' has no {metric} of {self.space.format(architecture)}; "
                f"it was measured for {known:,} architectures"
            )
        self._asked[metric][row] = True
        return value

    def values(self, architectures: Sequence[Any] | None = None, metric: str | None = None) -> Floats:
        """The measured values of many architectures, or of all rows; see :meth:`Benchmark.values`."""
        metric = self.target if metric is None else metric
        column = self._column(metric)
        if architectures is None:
            return column
        rows = self.rows(architectures)
        found = rows >= 0
        self._queries[metric] += len(rows)
        self._asked[metric][rows[found]] = True
        return np.where(found, column[rows], np.nan)

    def rows(self, architectures: Sequence[Any]) -> Rows:
        """The row of each architecture (object or text), (n,) int64; -1 where it is not in the table."""
        parsed = [self.space.parse(a) if isinstance(a, str) else a for a in architectures]
        if self._row_of is not None:
            return np.array([self._row_of.get(architecture, -1) for architecture in parsed], dtype=np.int64)
        indices = self.space.indices(parsed)
        if self._in_order:
            return indices
        place = np.minimum(np.searchsorted(self._sorted, indices), len(self._sorted) - 1)
        return np.where(self._sorted[place] == indices, self._order[place], -1)

    def architectures(self, rows: ArrayLike | None = None) -> list[Any]:
        """The architectures of these rows, or of all."""
        stored = self.source.architectures
        if isinstance(stored, list):
            return list(stored) if rows is None else [stored[int(row)] for row in np.asarray(rows)]
        return [self.space.architecture(index) for index in self._indices(rows).tolist()]

    def graphs(self, rows: ArrayLike | None = None) -> GraphBatch:
        """The operation graphs of these rows, or of all (made once)."""
        if rows is not None:
            if self._all_graphs is not None:
                return self._all_graphs[np.asarray(rows, dtype=np.int64)]
            return self._graphs(np.asarray(rows, dtype=np.int64))
        if self._all_graphs is None:
            self._all_graphs = self._graphs(None)
        return self._all_graphs

    def query_counts(self) -> dict[str, QueryCount]:
        """How often each metric was asked for, and for how many distinct measured architectures."""
        return {
            metric: QueryCount(count, int(self._asked[metric].sum()))
            for metric, count in self._queries.items()
            if count
        }

    def _graphs(self, rows: Rows | None) -> GraphBatch:
        if isinstance(self.source.architectures, list):
            return self.space.graphs(self.architectures(rows))
        return self.space.graphs_of_indices(self._indices(rows))

    def _indices(self, rows: ArrayLike | None) -> NDArray[np.int64]:
        stored = np.asarray(self.source.architectures, dtype=np.int64)
        return stored if rows is None else stored[np.asarray(rows, dtype=np.int64)]

    def _row(self, architecture: Hashable) -> int:
        if self._row_of is not None:
            return self._row_of.get(architecture, -1)
        index = self.space.index(architecture)
        if self._in_order:
            return index
        place = int(self._sorted.searchsorted(index))
        return int(self._order[place]) if place < len(self._sorted) and self._sorted[place] == index else -1

    def _column(self, metric: str) -> Floats:
        """All values of a metric, read-only."""
        if metric not in self._columns:
            metric_of(self.metrics, metric)
            column = np.array(self.source.columns[metric], dtype=np.float64)
            column.flags.writeable = False
            self._columns[metric] = column
            self._queries[metric] = 0
            self._asked[metric] = np.zeros(len(column), dtype=bool)
        return self._columns[metric]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source!r}>"
