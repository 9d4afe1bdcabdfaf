"""A benchmark that looks its answers up in a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.benchmark import Benchmark, BudgetSpent, Floats, QueryCount, Rows
from nasx.metric import find_metric
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.table_file import Table


class TabularBenchmark(Benchmark):
    """Ground truth from measurements taken once and for all.

    Args:
        table: The measurements; row i of the benchmark is row i of the table.
        target: The metric to optimise; by default the table's own, or its only one.
        rank_against: The metric to judge a ranking by; by default the target.
        budget: How many distinct architectures may be asked for, each metric counted by itself; no limit by default.

    Raises:
        UsageError: There is no such metric, or its direction is not known.

    >>> from nasx.metric import Metric
    >>> from nasx.search_spaces.choice_space import ChoiceSpace
    >>> from nasx.search_spaces.graph import Graph
    >>> def chain(choices):
    ...     return Graph.from_edges(["input", choices["layer"], "output"], [(0, 1), (1, 2)])
    >>> space = ChoiceSpace("one-layer", {"layer": ["conv", "pool"]}, chain)
    >>> table = Table("toy", space, np.array([0, 1]), {"accuracy": np.array([91.0, 85.0])},
    ...               {"accuracy": Metric("accuracy", "percent", "maximize")})
    >>> bench = TabularBenchmark(table)
    >>> bench.query("layer=conv"), bench.optimum(), bench.rank(85.0)
    (91.0, (('conv',), 91.0), 2)
    >>> bench.query_counts()
    {'accuracy': QueryCount(queries=1, architectures=1)}
    """

    def __init__(
        self,
        table: Table,
        *,
        target: str | None = None,
        rank_against: str | None = None,
        budget: int | None = None,
    ) -> None:
        self.name, self.dataset, self.space, self.metrics = table.name, table.dataset, table.space, table.metrics
        self.source = table
        chosen = target or table.target or (next(iter(table.metrics)) if len(table.metrics) == 1 else None)
        self._target = chosen and find_metric(table.metrics, chosen).name
        self._rank_against = rank_against and find_metric(table.metrics, rank_against).name
        for metric in (target, rank_against):
            if metric is not None:
                self.direction_of(metric)
        if budget is not None and budget < 0:
            raise UsageError(f"a budget must be at least 0 queries, not {budget}")
        self.budget = budget
        self._columns: dict[str, Floats] = {}
        self._names: dict[tuple[str, int | None, int | str | None], str] = {}
        self._queries: Counter[str] = Counter()
        self._asked: defaultdict[str, NDArray[np.bool_]] = defaultdict(partial(_nothing_asked, len(table)))
        self._spent = 0
        self._all_graphs: GraphBatch | PackedGraphs | None = None

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

    def query(
        self,
        architecture: Any,
        metric: str | None = None,
        *,
        epochs: int | None = None,
        seed: int | str | None = None,
    ) -> float:
        """The measured value of one architecture; see :meth:`Benchmark.query`."""
        name = self._name(metric, epochs, seed)
        row = self._row(architecture)
        value = self._value(name, row) if row >= 0 else float("nan")
        if value != value:
            text = self.space.format(self.resolve(architecture))
            missing = self.source.missing
            known = f"; it was measured for {len(self) - missing[name]:,} architectures" if name in missing else ""
            raise NasxError(f"'{self.name}' has no {name} of {text}{known}")
        asked = self._asked[name]
        if not asked[row]:
            self._spend(1)
            asked[row] = True
        self._queries[name] += 1
        return value

    def values(
        self,
        architectures: Sequence[Any] | NDArray[np.int64] | None = None,
        metric: str | None = None,
        *,
        epochs: int | None = None,
        seed: int | str | None = None,
    ) -> Floats:
        """The measured values of many architectures, or of all rows; see :meth:`Benchmark.values`."""
        name = self._name(metric, epochs, seed)
        column = self._column(name)
        if architectures is None:
            return column
        rows = self.rows(architectures)
        asked = self._asked[name]
        wanted = asked.copy()
        wanted[rows[rows >= 0]] = True
        self._spend(int(np.count_nonzero(wanted)) - int(np.count_nonzero(asked)))
        self._asked[name] = wanted
        self._queries[name] += len(rows)
        return np.where(rows >= 0, column[rows], np.nan)

    def rows(self, architectures: Sequence[Any] | NDArray[np.int64]) -> Rows:
        """The row of each architecture, in any of the forms of :meth:`Benchmark.query`; (n,) int64, -1 if not here.

        An integer array is taken as indices in the space, a million of them in milliseconds.
        """
        lookup = self._lookup
        if isinstance(architectures, np.ndarray) and np.issubdtype(architectures.dtype, np.integer):
            for edge in (architectures.min(), architectures.max()) if architectures.size else ():
                self.space.architecture(int(edge))  # raises for an index that does not exist
            if lookup.row_of is None:
                return lookup.rows(architectures.astype(np.int64, copy=False))
        resolved = [self.resolve(architecture) for architecture in architectures]
        if lookup.row_of is not None:
            return np.array([lookup.row_of.get(architecture, -1) for architecture in resolved], dtype=np.int64)
        return lookup.rows(self.space.indices(resolved))

    def architectures(self, rows: ArrayLike | None = None) -> list[Any]:
        """The architectures of these rows, or of all."""
        stored = self.source.architectures
        if isinstance(stored, list):
            return list(stored) if rows is None else [stored[int(row)] for row in np.asarray(rows)]
        return [self.space.architecture(index) for index in self._indices(rows).tolist()]

    def graphs(self, rows: ArrayLike | None = None) -> GraphBatch | PackedGraphs:
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
        return {metric: QueryCount(count, int(self._asked[metric].sum())) for metric, count in self._queries.items()}

    def _graphs(self, rows: Rows | None) -> GraphBatch | PackedGraphs:
        if isinstance(self.source.architectures, list):
            return self.space.graphs(self.architectures(rows))
        return self.space.graphs_of_indices(self._indices(rows))

    def _indices(self, rows: ArrayLike | None) -> NDArray[np.int64]:
        stored = np.asarray(self.source.architectures, dtype=np.int64)
        return stored if rows is None else stored[np.asarray(rows, dtype=np.int64)]

    @cached_property
    def _lookup(self) -> _Lookup:
        """Made on the first question: opening a table must not enumerate its space."""
        self.source.check_order()
        return _Lookup.of(self.source)

    def _row(self, architecture: Any) -> int:
        lookup = self._lookup
        resolved = self.resolve(architecture)
        if lookup.row_of is not None:
            return lookup.row_of.get(resolved, -1)
        return lookup.row(self.space.index(resolved))

    def _value(self, name: str, row: int) -> float:
        return float(self._column(name)[row])

    def _name(self, metric: str | None, epochs: int | None, seed: int | str | None) -> str:
        """The column that is meant."""
        if metric is None:
            if epochs is not None or seed is not None:
                raise UsageError("epochs= and seed= need a metric= to belong to, for example metric='test_accuracy'")
            return self.target
        asked = (metric, epochs, seed)
        if asked not in self._names:
            self._names[asked] = find_metric(self.metrics, metric, epochs=epochs, seed=seed).name
        return self._names[asked]

    def _column(self, name: str) -> Floats:
        """All values of a column, read-only."""
        if name not in self._columns:
            column = np.array(self.source.columns[name], dtype=np.float64)
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    def _spend(self, new: int) -> None:
        if self.budget is not None and self._spent + new > self.budget:
            raise BudgetSpent(
                f"the budget of {self.budget:,} queries is spent ({self._spent:,} used, {new:,} more asked for); "
                "raise it with benchmark.budget = ..."
            )
        self._spent += new

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source!r}>"


def _nothing_asked(rows: int) -> NDArray[np.bool_]:
    return np.zeros(rows, dtype=bool)


class _Lookup(NamedTuple):
    """From an architecture, or its index in the space, to its row."""

    row_of: dict[Any, int] | None
    in_order: bool
    order: NDArray[np.int64]
    known: NDArray[np.int64]

    @classmethod
    def of(cls, table: Table) -> _Lookup:
        stored = table.architectures
        none = np.zeros(0, dtype=np.int64)
        if isinstance(stored, list):
            return cls({architecture: row for row, architecture in enumerate(stored)}, False, none, none)
        if len(stored) == table.space.size and bool(np.array_equal(stored, np.arange(len(stored)))):
            return cls(None, True, none, none)
        order = np.argsort(stored, kind="stable")
        return cls(None, False, order, stored[order])

    def row(self, index: int) -> int:
        if self.in_order:
            return index
        place = int(self.known.searchsorted(index))
        return int(self.order[place]) if place < len(self.known) and self.known[place] == index else -1

    def rows(self, indices: NDArray[np.int64]) -> Rows:
        if self.in_order:
            return indices
        place = np.minimum(np.searchsorted(self.known, indices), len(self.known) - 1)
        return np.where(self.known[place] == indices, self.order[place], -1)
