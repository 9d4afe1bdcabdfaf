"""A benchmark table in memory and on disk: architectures, columns of measurements, and what each column means.

On disk a table is one Parquet file whose schema carries the meaning as JSON, so that it is written, replaced and copied
as a whole. Architectures are stored as their index in the search space; a few are spelt out beside it, and a file that
no longer agrees with the space is refused rather than misread.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.metrics import Direction, check_direction
from nasx.search_spaces.errors import NasxError, unknown

if TYPE_CHECKING:
    from nasx.search_spaces.space import SearchSpace

FORMAT = 1
_KEY, _CHECKSUM = b"nasx", b"nasx-crc32"

_MAXIMIZE = {
    "accuracy",
    "acc",
    "perf",
    "performance",
    "auc",
    "auroc",
    "f1",
    "map",
    "miou",
    "psnr",
    "throughput",
    "top1",
}
_MINIMIZE = {
    *("latency", "energy", "seconds", "ms", "mj", "time", "loss", "error", "perplexity", "mse", "mae", "rmse"),
    *("parameters", "params", "flops", "macs", "memory", "size"),
}
_UNITS = {"ms": "ms", "mj": "mJ", "seconds": "s", "s": "s", "millions": "millions", "percent": "percent", "mb": "MB"}


@dataclass(frozen=True)
class Metric:
    """What a column of a benchmark means.

    Attributes:
        name: Name of the column.
        unit: Its unit (``"percent"``, ``"fraction"``, ``"ms"`` ...); empty where nobody said.
        direction: Which end is good; None where nobody said.

    >>> Metric("latency_ms", "ms", "minimize").direction
    'minimize'
    """

    name: str
    unit: str = ""
    direction: Direction | None = None

    @property
    def label(self) -> str:
        """Name and unit, for tables and pictures."""
        words = self.name.replace("_", " ")
        return f"{words} ({self.unit})" if self.unit and self.unit not in words.split() else words


def infer_metric(name: str, values: NDArray[Any], direction: str | None = None) -> Metric:
    """Reads unit and direction off a clear column name; what is not clear is left open.

    Args:
        name: The column.
        values: (n,) its values: accuracies above 1 are percentages.
        direction: What the user said, which always wins.

    >>> infer_metric("cifar10_test_accuracy", np.array([91.5]))
    Metric(name='cifar10_test_accuracy', unit='percent', direction='maximize')
    >>> infer_metric("raspi4_latency_ms", np.array([12.0])).direction, infer_metric("score", np.array([1.0])).direction
    ('minimize', None)
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    good, bad = not _MAXIMIZE.isdisjoint(words), not _MINIMIZE.isdisjoint(words)
    guess: Direction | None = None if good == bad else ("maximize" if good else "minimize")
    unit = _UNITS.get(words[-1], "")
    if not unit and good and not bad and {"accuracy", "acc"} & set(words) and np.isfinite(values).any():
        unit = "percent" if np.nanmax(values) > 1 else "fraction"
    return Metric(name, unit, check_direction(direction) if direction else guess)


@dataclass(frozen=True, repr=False)
class Table:
    """Measurements of n architectures of one search space.

    Attributes:
        name: Name of the benchmark.
        space: The search space.
        architectures: (n,) int64 indices in the space, or a list of architectures where the space has no index.
        columns: Metric name -> (n,) float32 or float64, NaN where there is no measurement.
        metrics: Metric name -> what it means.
        dataset: The data set all columns were measured on, if it is one.
        target: The metric to optimise unless another is asked for.
        licence: Licence of the data, or that none is stated.
        source: Where the data come from.
    """

    name: str
    space: SearchSpace
    architectures: NDArray[np.int64] | list[Any]
    columns: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, Metric]
    dataset: str | None = None
    target: str | None = None
    licence: str = "not stated"
    source: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.architectures)

    def __repr__(self) -> str:
        missing = self.missing
        columns = [f"{name} ({missing[name]:,} missing)" if missing[name] else name for name in self.columns]
        dataset = f" on {self.dataset}" if self.dataset else ""
        return f"{self.name}{dataset}: {len(self):,} architectures of {self.space.name}; {', '.join(columns)}"

    def with_directions(self, directions: Mapping[str, str]) -> Table:
        """The same table, with the direction of some metrics stated.

        Raises:
            UsageError: There is no such metric or direction.
        """
        metrics = dict(self.metrics)
        for name, direction in directions.items():
            metrics[name] = replace(metric_of(metrics, name), direction=check_direction(direction))
        return replace(self, metrics=metrics)

    @property
    def missing(self) -> dict[str, int]:
        """Metric name -> number of architectures without that measurement."""
        return {name: int(np.isnan(values).sum()) for name, values in self.columns.items()}


def indexed(space: SearchSpace) -> bool:
    """Whether architectures of this space have an index that fits 64 bits."""
    return space.size is not None and space.size < 2**63


def write_table(path: Path, table: Table) -> None:
    """Writes a table as one file, atomically: a killed or failed write leaves what was there before.

    Raises:
        NasxError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {"architecture": pa.array(_stored(table))}
    arrays.update({f"metric:{name}": pa.array(values) for name, values in table.columns.items()})
    description = {
        "format": FORMAT,
        "name": table.name,
        "space": table.space.name,
        "dataset": table.dataset,
        "target": table.target,
        "metrics": [asdict(metric) for metric in table.metrics.values()],
        "missing": table.missing,
        "licence": table.licence,
        "source": table.source,
        "extra": dict(table.extra),
        "probes": _probes(table),
        "checksums": _checksums(table),
    }
    meaning = json.dumps(description).encode()
    contents = pa.table(arrays).replace_schema_metadata({_KEY: meaning, _CHECKSUM: str(zlib.crc32(meaning)).encode()})
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(contents, temporary, compression="zstd")
        os.replace(temporary, path)
    except OSError as error:
        raise NasxError(f"the table could not be written to {path} ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def read_description(path: Path) -> dict[str, Any]:
    """What a stored table says about itself (the keys :func:`write_table` writes, and ``rows``); reads no columns.

    Raises:
        NasxError: Not a table of nasx, damaged, or written by a newer version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.read_metadata(path)
        meaning = (file.metadata or {})[_KEY]
        if zlib.crc32(meaning) != int(file.metadata[_CHECKSUM]):
            raise ValueError("the checksum differs")
        description = json.loads(meaning)
        newer = description["format"] > FORMAT
        description["rows"] = file.num_rows
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise NasxError(f"{path} is not a table stored by nasx, or it is damaged; import the table again") from error
    if newer:
        raise NasxError(f"{path} was written by a newer version of nasx; update nasx or import the table again")
    return dict(description)


def read_stored(path: Path, space: SearchSpace) -> Table:
    """Opens a table written by :func:`write_table`.

    Args:
        path: The file.
        space: The search space it belongs to.

    Raises:
        NasxError: Not a table of nasx, damaged, newer, or of another space.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    description = read_description(path)
    if description["space"] != space.name:
        raise NasxError(f"the table {path} belongs to the space '{description['space']}', not to '{space.name}'")
    try:
        contents = pq.ParquetFile(path).read()
        stored = contents.column("architecture")
        metrics = {entry["name"]: Metric(**entry) for entry in description["metrics"]}
        columns = {name: _array(contents.column(f"metric:{name}")) for name in metrics}
        table = Table(
            name=description["name"],
            space=space,
            architectures=_array(stored) if indexed(space) else [space.parse(text) for text in stored.to_pylist()],
            columns=columns,
            metrics=metrics,
            dataset=description["dataset"],
            target=description["target"],
            licence=description["licence"],
            source=description["source"],
            extra=description["extra"],
        )
        if _checksums(table) != description["checksums"]:
            raise ValueError("a checksum differs")
        agrees = _probes(table) == description["probes"]
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise NasxError(f"{path} is not a table stored by nasx, or it is damaged; import the table again") from error
    if not agrees:
        raise NasxError(f"{path} was written with another order of the space '{space.name}'; import the table again")
    return table


def metric_of(metrics: Mapping[str, Metric], name: str) -> Metric:
    """The metric of that name, or the error that lists those that exist."""
    try:
        return metrics[name]
    except KeyError:
        raise unknown("metric", name, metrics) from None


def _array(column: Any) -> NDArray[Any]:
    """A column of numbers. (``to_numpy`` and ``pq.read_table`` import pandas, which takes longer than all the rest.)"""
    chunk = column.combine_chunks()
    if chunk.null_count:
        raise ValueError("a stored number is null")
    numbers = np.frombuffer(chunk.buffers()[1], dtype=column.type.to_pandas_dtype())
    return numbers[chunk.offset : chunk.offset + len(chunk)]


def _stored(table: Table) -> NDArray[np.int64] | list[str]:
    if isinstance(table.architectures, np.ndarray):
        return table.architectures
    return [table.space.format(architecture) for architecture in table.architectures]


def _checksums(table: Table) -> dict[str, int]:
    """CRC-32 of each column, the architectures' under the empty name."""
    stored = table.architectures
    columns = {"": stored, **table.columns} if isinstance(stored, np.ndarray) else dict(table.columns)
    return {name: zlib.crc32(np.ascontiguousarray(values).data) for name, values in columns.items()}


def _probes(table: Table, count: int = 5) -> dict[str, str]:
    """A few architectures spelt out: row -> official string."""
    rows: Sequence[int] = sorted({int(row) for row in np.linspace(0, len(table) - 1, count)}) if len(table) else []
    found = [table.architectures[row] for row in rows]
    if isinstance(table.architectures, np.ndarray):
        found = [table.space.architecture(int(index)) for index in found]
    return {str(row): table.space.format(architecture) for row, architecture in zip(rows, found, strict=True)}
