"""What is in a benchmark: how its values are spread, how often they tie, and how its columns go together."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import kendall_tau, tied_pairs
from nasx.search_spaces.errors import NasxError
from nasx.twins import function_groups, sizes_of

if TYPE_CHECKING:
    import pandas as pd

    from nasx.benchmark import Benchmark
    from nasx.metric import Metric
    from nasx.table_file import Table

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SAMPLE = 20_000
"""Kendall's tau between columns is measured on as many rows at most."""

MOST_COLUMNS, MOST_LINES = 16, 30
"""Metrics compared, and metrics listed on the screen, at most."""


@dataclass(frozen=True)
class Column:
    """One metric of a benchmark.

    Attributes:
        name: Its name.
        unit: Its unit.
        direction: Which end is good; None where nobody said.
        known: Rows that have a value.
        mean: Their mean.
        std: Their sample standard deviation.
        quantiles: The values at :data:`QUANTILES`: least, 5 %, quartiles, 95 %, greatest.
        distinct: Number of different values.
        tied: Share of all pairs of known rows whose values are equal.
    """

    name: str
    unit: str
    direction: str | None
    known: int
    mean: float
    std: float
    quantiles: tuple[float, ...]
    distinct: int
    tied: float


@dataclass(frozen=True, eq=False)
class Description:
    """What :func:`describe` found.

    Attributes:
        name: The benchmark, with its data set.
        space: Name of its search space.
        space_size: Architectures of the space, where they can be counted.
        rows: Architectures in the table.
        functions: Functionally different ones among them.
        with_twins: Rows that have a functional twin in the table.
        largest_class: Rows of the largest class of twins.
        columns: One entry a metric.
        correlated: Metrics between which tau was measured: at most 16, the most telling first.
        tau: (m, m) Kendall's tau between them.
        tau_rows: Rows it was measured on.
        sampled: Whether these are a sample of the rows.
        target: The metric to optimise.
        samples: Metric -> known values, for the picture.
    """

    name: str
    space: str
    space_size: int | None
    rows: int
    functions: int
    with_twins: int
    largest_class: int
    columns: tuple[Column, ...]
    correlated: tuple[str, ...]
    tau: NDArray[np.float64]
    tau_rows: int
    sampled: bool
    target: str | None
    samples: dict[str, NDArray[np.float64]]

    def table(self) -> pd.DataFrame:
        """One row a metric: known values, mean, deviation, quantiles, distinct values, share of tied pairs."""
        import pandas as pd

        names = ["least", "5 %", "25 %", "median", "75 %", "95 %", "greatest"]
        return pd.DataFrame(
            [
                {
                    "metric": column.name,
                    "unit": column.unit,
                    "known": column.known,
                    "mean": column.mean,
                    "std": column.std,
                    **dict(zip(names, column.quantiles, strict=True)),
                    "distinct": column.distinct,
                    "tied pairs": column.tied,
                }
                for column in self.columns
            ]
        )

    def correlations(self) -> pd.DataFrame:
        """Kendall's tau between metrics, (m, m)."""
        import pandas as pd

        return pd.DataFrame(self.tau, index=list(self.correlated), columns=list(self.correlated))

    def counts(self) -> list[tuple[str, str]]:
        """What can be counted, as (what, value) for the screen."""
        of = f" of {self.space_size:,}" if self.space_size is not None else ""
        share = f" of {self.rows:,}" if self.sampled else ""
        return [
            ("architectures", f"{self.rows:,}{of} in the space {self.space}"),
            ("functionally different", f"{self.functions:,}"),
            ("with a functional twin", f"{self.with_twins:,} (largest class: {self.largest_class:,})"),
            (
                "tau between columns on",
                f"{self.tau_rows:,}{share} rows" + (", a random sample" if self.sampled else ""),
            ),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples in plain JSON values; NaN is None."""
        plain = {
            "name": self.name,
            "space": self.space,
            "space_size": self.space_size,
            "rows": self.rows,
            "functions": self.functions,
            "with_twins": self.with_twins,
            "largest_class": self.largest_class,
            "target": self.target,
            "quantiles": list(QUANTILES),
            "columns": [asdict(column) for column in self.columns],
            "kendall_tau": {
                "rows": self.tau_rows,
                "sampled": self.sampled,
                "metrics": list(self.correlated),
                "matrix": self.tau.tolist(),
            },
        }
        return _finite(plain)

    def save(self, folder: str | Path) -> Path:
        """Writes ``description.json``, ``columns.csv``, ``correlations.csv`` and ``description.png``.

        Raises:
            NasxError: The folder cannot be written.
        """
        from nasx.plots import draw_description

        folder = Path(folder)
        texts = {
            "description.json": json.dumps(self.to_dict(), indent=2) + "\n",
            "columns.csv": self.table().to_csv(index=False),
            "correlations.csv": self.correlations().to_csv(index_label="metric"),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in texts.items():
                (folder / f".{name}.tmp").write_text(text, encoding="utf-8")
                os.replace(folder / f".{name}.tmp", folder / name)
            draw_description(
                folder / "description.png",
                self.samples,
                units={column.name: column.unit for column in self.columns},
                metrics=self.correlated,
                tau=self.tau,
                title=self.name,
            )
        except OSError as error:
            raise NasxError(f"the description could not be written to {folder} ({error.strerror or error})") from error
        return folder

    def __str__(self) -> str:
        counts = self.counts()
        width = max(len(what) for what, _ in counts)
        lines = [self.name, *(f"{what.ljust(width)}  {value}" for what, value in counts), ""]
        table = self.table()
        if len(table) > MOST_LINES:
            rest = len(table) - len(self.correlated)
            table = table.set_index("metric").loc[list(self.correlated)].reset_index()
            lines.insert(-1, f"metrics{' ' * (width - 7)}  {len(self.columns)}, of which {rest} are not shown here")
        lines += table.to_string(index=False, float_format=lambda value: f"{value:.4g}").split("\n")
        if len(self.correlated) > 1:
            lines += ["", f"Kendall's tau between columns{' (sampled)' if self.sampled else ''}"]
            lines += [f"{number:>3}  {name}" for number, name in enumerate(self.correlated, start=1)]
            numbered = self.correlations().set_axis(range(1, len(self.correlated) + 1), axis=0)
            numbered = numbered.set_axis(range(1, len(self.correlated) + 1), axis=1)
            lines += numbered.to_string(float_format=lambda value: f"{value:.3f}", na_rep="").split("\n")
        return "\n".join(lines)


def describe(
    table_or_benchmark: Table | Benchmark, metrics: Sequence[str] | None = None, *, seed: int = 0
) -> Description:
    """Describes a table or benchmark.

    Args:
        table_or_benchmark: What to describe: a table may hold several data sets, a benchmark is of one.
        metrics: The metrics between which Kendall's tau is measured; by default those that show what goes with what:
            the target, then other accuracies, of its own kind first and means before single runs, then the rest, 16 at
            most.
        seed: Draws the sample of 20,000 rows where there are more.

    Raises:
        UsageError: There is no such metric.

    >>> from nasx.benchmark import load_benchmark
    >>> found = describe(load_benchmark("nasbench-graph", dataset="proteins"))
    >>> found.rows, found.functions, [column.name for column in found.columns][:2]
    (2021, 2021, ['validation_accuracy', 'test_accuracy'])
    >>> print(found.counts()[0][1])
    2,021 of 2,021 in the space nasbench-graph-proteins
    """
    from nasx.metric import find_metric
    from nasx.table_file import Table
    from nasx.tabular import TabularBenchmark

    bench = table_or_benchmark
    if isinstance(bench, Table):
        # The target of a table of several data sets is that of each of them.
        bench = TabularBenchmark(replace(bench, target=bench.target if bench.target in bench.metrics else None))
    groups = function_groups(bench)
    target = _target(bench)
    chosen = [find_metric(bench.metrics, name).name for name in metrics] if metrics else _telling(bench.metrics, target)
    samples = {name: _values(bench, name) for name in chosen}
    tau_rows = np.arange(len(bench))
    if len(bench) > SAMPLE:
        tau_rows = np.sort(np.random.default_rng(seed).permutation(len(bench))[:SAMPLE])
    tau = np.eye(len(chosen))
    for i, one in enumerate(chosen):
        for j, two in enumerate(chosen[:i]):
            tau[i, j] = tau[j, i] = _between(samples[one][tau_rows], samples[two][tau_rows])
    sizes = sizes_of(groups)
    return Description(
        name=", ".join(filter(None, (bench.name, bench.dataset))),
        space=bench.space.name,
        space_size=bench.space.size,
        rows=len(bench),
        functions=len(np.unique(groups)),
        with_twins=int((sizes > 1).sum()),
        largest_class=int(sizes.max(initial=0)),
        columns=tuple(_column(metric, _values(bench, name)) for name, metric in bench.metrics.items()),
        correlated=tuple(chosen),
        tau=tau,
        tau_rows=len(tau_rows),
        sampled=len(tau_rows) < len(bench),
        target=target,
        samples={name: values[~np.isnan(values)] for name, values in samples.items()},
    )


def _values(bench: Benchmark, metric: str) -> NDArray[np.float64]:
    """A column; a table of a hundred columns is read one after the other, and none is kept."""
    from nasx.tabular import TabularBenchmark

    if isinstance(bench, TabularBenchmark):
        return np.asarray(bench.source.columns[metric], dtype=np.float64)
    return bench.values(metric=metric)


def _between(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Kendall's tau between two columns; NaN where either is constant."""
    known = ~np.isnan(one + two)
    constant = not known.any() or one[known].min() == one[known].max()
    return math.nan if constant else kendall_tau(one, two)


def _target(bench: Benchmark) -> str | None:
    from nasx.search_spaces.errors import UsageError

    try:
        return bench.target
    except UsageError:  # a table of the user's own with several metrics and none chosen
        return None


def _column(metric: Metric, values: NDArray[np.float64]) -> Column:
    known = values[~np.isnan(values)]
    n = len(known)
    return Column(
        name=metric.name,
        unit=metric.unit,
        direction=metric.direction,
        known=n,
        mean=float(known.mean()) if n else math.nan,
        std=float(known.std(ddof=1)) if n > 1 else math.nan,
        quantiles=tuple(np.quantile(known, QUANTILES).tolist()) if n else (math.nan,) * len(QUANTILES),
        distinct=len(np.unique(known)),
        tied=2 * tied_pairs(known) / (n * (n - 1)) if n > 1 else math.nan,
    )


def _telling(metrics: Any, target: str | None) -> list[str]:
    """The metrics worth comparing, the most telling first."""
    own = metrics[target] if target else None

    def rank(metric: Metric) -> tuple[bool, bool, bool, bool]:
        alike = own is not None and metric.quantity == own.quantity
        accuracy = "accuracy" in metric.quantity and "train" not in metric.quantity
        return (metric.name != target, not accuracy, isinstance(metric.seed, int), not alike)

    return [metric.name for metric in sorted(metrics.values(), key=rank)][:MOST_COLUMNS]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
