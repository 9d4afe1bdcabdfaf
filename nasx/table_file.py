"""A benchmark table in memory and on disk: architectures, columns of measurements, and what each column means.

On disk a table is one safetensors file: the columns as plain arrays, mapped into memory when they are asked for, and
their meaning as JSON in the header. It is written, replaced and copied as a whole. Architectures are stored as their
index in the search space; a few are spelt out beside it, and a file that no longer agrees with the space is refused
rather than misread. Every column carries a checksum, compared when it is first read.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.metric import Metric, metric_of
from nasx.metrics import check_direction
from nasx.search_spaces.errors import NasxError, unknown

if TYPE_CHECKING:
    from nasx.search_spaces.space import SearchSpace

FORMAT = 2
SUFFIX = ".safetensors"

_ARCHITECTURES, _TEXTS, _PREFIX = "architectures", "texts", "metric:"


@dataclass(frozen=True, repr=False)
class Table:
    """Measurements of n architectures of one search space.

    Attributes:
        name: Name of the benchmark.
        space: The search space.
        architectures: (n,) int64 indices in the space, or a list of architectures where the space has no index. In
            the official order, where there is one.
        columns: Metric name -> (n,) float32 or float64, NaN where there is no measurement.
        metrics: Metric name -> what it means.
        dataset: The data set all columns were measured on, if it is one.
        target: The metric to optimise unless another is asked for; of a table of several data sets, the quantity with
            its epochs and seed, without the data set.
        licence: Licence of the data, or that none is stated.
        source: Where the data come from.
        extra: Anything else worth keeping, JSON-able; ``"targets"`` gives data sets a target of their own.
        probes: Row -> text of a few architectures, as they were when a stored table was written.
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
    probes: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.architectures)

    def __repr__(self) -> str:
        missing = self.missing
        columns = [f"{name} ({missing[name]:,} missing)" if missing.get(name) else name for name in self.metrics]
        shown = ", ".join(columns[:12]) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
        dataset = f" on {self.dataset}" if self.dataset else ""
        return f"{self.name}{dataset}: {len(self):,} architectures of {self.space.name}; {shown}"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets to choose from with :meth:`select`; empty where there is no choice."""
        return tuple(dict.fromkeys(metric.dataset for metric in self.metrics.values() if metric.dataset is not None))

    def select(self, dataset: str) -> Table:
        """The table of one data set: its own columns, and those that belong to no data set.

        Raises:
            UsageError: There is no such data set.
        """
        if dataset not in self.datasets:
            raise unknown(f"data set of {self.name}", dataset, self.datasets)
        own = {name: metric for name, metric in self.metrics.items() if metric.dataset in (dataset, None)}
        stored = {name.removeprefix(f"{dataset}/"): name for name in own}
        metrics = {new: replace(own[old], name=new, dataset=None) for new, old in stored.items()}
        target = self.extra.get("targets", {}).get(dataset, self.target)
        target = target if target in metrics else None
        if isinstance(self.columns, StoredColumns):
            columns: Mapping[str, NDArray[Any]] = self.columns.renamed(stored)
        else:
            columns = {new: self.columns[old] for new, old in stored.items()}
        return replace(self, columns=columns, metrics=metrics, dataset=dataset, target=target)

    def with_directions(self, directions: Mapping[str, str]) -> Table:
        """The same table, with the direction of some metrics stated.

        Raises:
            UsageError: There is no such metric or direction.
        """
        metrics = dict(self.metrics)
        for name, direction in directions.items():
            metric = metric_of(metrics, name)
            metrics[metric.name] = replace(metric, direction=check_direction(direction))
        return replace(self, metrics=metrics)

    def check_order(self) -> None:
        """Checks that the space still numbers its architectures as it did when the table was written.

        Not done on opening: it makes the space enumerate itself.

        Raises:
            NasxError: It does not.
        """
        if self.probes and _probes(self) != self.probes:
            raise NasxError(
                f"the table '{self.name}' was written with another order of the space '{self.space.name}'; "
                "import the table again"
            )

    @property
    def missing(self) -> dict[str, int]:
        """Metric name -> number of architectures without that measurement, as far as it is known."""
        if hasattr(self.columns, "missing"):
            return dict(self.columns.missing)
        return {name: int(np.isnan(values).sum()) for name, values in self.columns.items()}


class StoredColumns(Mapping[str, NDArray[Any]]):
    """The columns of a stored table, each mapped, checked and handed out when it is first asked for.

    Args:
        path: The file.
        description: What it says about itself.
        names: Name of a column -> its name in the file; the same by default.
    """

    def __init__(self, path: Path, description: Mapping[str, Any], names: Mapping[str, str] | None = None) -> None:
        self._path, self._description = path, description
        self._names = {name: name for name in description["missing"]} if names is None else names

    @property
    def missing(self) -> dict[str, int]:
        """Name of a column -> number of architectures without that measurement."""
        return {name: self._description["missing"][stored] for name, stored in self._names.items()}

    def renamed(self, names: Mapping[str, str]) -> StoredColumns:
        """Some of these columns under other names, new name -> name here."""
        return StoredColumns(self._path, self._description, {new: self._names[old] for new, old in names.items()})

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Reads one column.

        Raises:
            NasxError: It is damaged, or the file was replaced or removed since the table was opened.
        """
        return _read_array(self._path, _PREFIX + self._names[name], self._description)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def indexed(space: SearchSpace) -> bool:
    """Whether architectures of this space have an index that fits 64 bits."""
    return space.size is not None and space.size < 2**63


def write_table(path: Path, table: Table) -> None:
    """Writes a table as one file, atomically: a killed or failed write leaves what was there before.

    A column that loses nothing by it is stored as float32.

    Raises:
        NasxError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {_PREFIX + name: _narrowed(values) for name, values in table.columns.items()}
    arrays |= _architecture_array(table)
    description = {
        "format": FORMAT,
        "name": table.name,
        "space": table.space.name,
        "rows": len(table),
        "dataset": table.dataset,
        "target": table.target,
        "metrics": [asdict(metric) for metric in table.metrics.values()],
        "missing": table.missing,
        "licence": table.licence,
        "source": table.source,
        "extra": dict(table.extra),
        "probes": _probes(table),
        "checksums": {name: _checksum(values) for name, values in arrays.items()},
    }
    meaning = json.dumps(description)
    header = {"nasx": meaning, "crc32": str(zlib.crc32(meaning.encode()))}
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, temporary, metadata=header)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        detail = getattr(error, "strerror", None) or error
        raise NasxError(f"the table could not be written to {path} ({detail})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def read_description(path: Path) -> dict[str, Any]:
    """What a stored table says about itself (the keys :func:`write_table` writes); reads no columns.

    Raises:
        NasxError: Not a table of nasx, damaged, or written by a newer version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            meaning = header["nasx"]
            if zlib.crc32(meaning.encode()) != int(header["crc32"]):
                raise ValueError("the checksum differs")
            description = json.loads(meaning)
            newer = description["format"] > FORMAT
            if not newer and set(file.keys()) != set(description["checksums"]):
                raise ValueError("the columns differ")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path) from error
    if newer:
        raise NasxError(f"{path} was written by a newer version of nasx; update nasx or import the table again")
    return dict(description)


def read_stored(path: Path, space: SearchSpace) -> Table:
    """Opens a table written by :func:`write_table`; its columns are read when they are asked for.

    Args:
        path: The file.
        space: The search space it belongs to.

    Raises:
        NasxError: Not a table of nasx, damaged, newer, or of another space.
    """
    description = read_description(path)
    if description["space"] != space.name:
        raise NasxError(f"the table {path} belongs to the space '{description['space']}', not to '{space.name}'")
    try:
        architectures: Any
        if _TEXTS in description["checksums"]:
            texts = json.loads(_read_array(path, _TEXTS, description).tobytes())
            architectures = [space.parse(text) for text in texts]
        else:
            architectures = _read_array(path, _ARCHITECTURES, description)
        return Table(
            name=description["name"],
            space=space,
            architectures=architectures,
            columns=StoredColumns(path, description),
            metrics={entry["name"]: Metric(**entry) for entry in description["metrics"]},
            dataset=description["dataset"],
            target=description["target"],
            licence=description["licence"],
            source=description["source"],
            extra=description["extra"],
            probes=description["probes"],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _read_array(path: Path, name: str, description: Mapping[str, Any]) -> NDArray[Any]:
    """One array of a stored table, compared with its checksum."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            values: NDArray[Any] = file.get_tensor(name)
        if _checksum(values) != description["checksums"][name]:
            raise ValueError("the checksum differs")
        if name != _TEXTS and values.shape != (description["rows"],):
            raise ValueError("the length differs")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path) from error
    return values


def _damaged(path: Path) -> NasxError:
    return NasxError(f"{path} is not a table stored by nasx, or it is damaged; import the table again")


def _probes(table: Table, count: int = 5) -> dict[str, str]:
    """A few architectures spelt out: row -> official string."""
    rows: Sequence[int] = sorted({int(row) for row in np.linspace(0, len(table) - 1, count)}) if len(table) else []
    found = [table.architectures[row] for row in rows]
    if isinstance(table.architectures, np.ndarray):
        found = [table.space.architecture(int(index)) for index in found]
    return {str(row): table.space.format(architecture) for row, architecture in zip(rows, found, strict=True)}


def _narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers as float32 where that is exact."""
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(values, dtype=np.float32)
    return narrow if np.array_equal(narrow, values, equal_nan=True) else np.ascontiguousarray(values, dtype=np.float64)


def _architecture_array(table: Table) -> dict[str, NDArray[Any]]:
    if isinstance(table.architectures, np.ndarray):
        return {_ARCHITECTURES: np.ascontiguousarray(table.architectures, dtype=np.int64)}
    texts = [table.space.format(architecture) for architecture in table.architectures]
    return {_TEXTS: np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)}


def _checksum(values: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).data)
