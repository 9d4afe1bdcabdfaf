"""Benchmarks that come with a Python package: nothing to download, nothing to import by hand.

Each package is located, never imported, and its pickle is read by an unpickler that runs nothing. What was read is kept
as a table of our own in the cache folder; one that no longer fits the package, or is damaged, is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.search_spaces.cache import cache_dir
from nasx.search_spaces.errors import NasxError, UsageError, unknown
from nasx.search_spaces.space import SearchSpace
from nasx.table_file import SUFFIX, Table, read_stored, write_table
from nasx.unpickle import NUMPY_FLOATS, Record, load_pickle


@dataclass(frozen=True)
class Package:
    """A Python package that carries benchmark tables.

    Attributes:
        name: Name of the benchmark.
        module: The package's module, to find its folder.
        files: Data set -> file in that folder.
        rows: Number of architectures of the largest table.
        install: What to type to get it.
        licence: Its licence, or that none is stated.
        source: Where it comes from.
        contents: What is inside, in one line.
    """

    name: str
    module: str
    files: Mapping[str, str]
    rows: int
    install: str
    licence: str
    source: str
    contents: str

    def path(self, dataset: str) -> Path | None:
        """The file of a data set, or None where the package is not installed."""
        spec = importlib.util.find_spec(self.module)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / self.files[dataset]).is_file():
                return path
        return None


_GRAPH_DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")

PACKAGES: dict[str, Package] = {
    "nasbench201": Package(
        name="nasbench201",
        module="analognasbench",
        files={"cifar10": "data.anb"},
        rows=15_625,
        install='pip install "nasx[nasbench201]"',
        licence="not stated by the package",
        source="PyPI analog-nasbench (AnalogNAS-Bench, arXiv:2506.18495)",
        contents="all NAS-Bench-201 cells retrained on CIFAR-10: accuracy, quantised, noisy and analog accuracies",
    ),
    "nasbench-graph": Package(
        name="nasbench-graph",
        module="nas_bench_graph",
        files={dataset: f"light/{dataset}.bench" for dataset in _GRAPH_DATASETS},
        rows=26_206,
        install="pip install nas-bench-graph",
        licence="Apache-2.0",
        source="PyPI nas-bench-graph (NAS-Bench-Graph, NeurIPS 2022)",
        contents="graph neural networks on nine data sets: validation and test accuracy, latency, parameters",
    ),
}

NAMES = tuple(PACKAGES)


def load(name: str, dataset: str | None = None) -> Table:
    """Opens an embedded table, from the cache where there is one.

    Args:
        name: One of :data:`NAMES`.
        dataset: The data set; may be left out where the benchmark has only one.

    Raises:
        UsageError: The data set does not exist or must be chosen, or the package is not installed.
        NasxError: The package's file is damaged.

    >>> load("nasbench-graph", "proteins")
    nasbench-graph on proteins: 2,021 architectures of nasbench-graph-proteins; validation_accuracy, test_accuracy, \
latency, parameters
    """
    package = PACKAGES[name]
    dataset = _choose_dataset(package, dataset)
    path = package.path(dataset)
    if path is None:
        raise UsageError(f"the tables of '{name}' come with a package that is not installed; type: {package.install}")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NasxError(f"{path} could not be read ({error.strerror or error}); type: {package.install}") from error
    space = get_search_space("nasbench-graph-proteins" if dataset == "proteins" else name)
    with contextlib.suppress(NasxError):
        table = read_stored(_cache_file(name, dataset), space)
        if table.extra.get("sha256") == digest:
            table.check_order()
            return table
    table = (_nasbench201 if name == "nasbench201" else _nasbench_graph)(package, path, dataset, space, digest)
    with contextlib.suppress(NasxError):  # a cache that cannot be written costs time, nothing else
        write_table(_cache_file(name, dataset), table)
    return table


def _cache_file(name: str, dataset: str) -> Path:
    return cache_dir() / "embedded" / f"{name}-{dataset}{SUFFIX}"


def _choose_dataset(package: Package, dataset: str | None) -> str:
    if dataset is None:
        if len(package.files) == 1:
            return next(iter(package.files))
        raise UsageError(
            f"'{package.name}' has several data sets; choose one with dataset= (--dataset): {', '.join(package.files)}"
        )
    if dataset not in package.files:
        error = unknown(f"data set of {package.name}", dataset, package.files)
        raise UsageError(f"{error}; a table of your own joins with: nasx data import NAME TABLE --space SPACE")
    return dataset


#: Operations and edges in the order of the keys of analog-nasbench; the official order of the edges differs.
_ANALOG_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_ANALOG_EDGES = ("0>1", "0>2", "0>3", "1>2", "1>3", "2>3")
_OFFICIAL_EDGES = ("0>1", "0>2", "1>2", "0>3", "1>3", "2>3")
_ANALOG_METRICS = {
    "baseline_accuracy": "test_accuracy",
    **{f"{kind}_accuracy": f"{kind}_accuracy" for kind in ("ptq", "qat", "noisy", "analog")},
    **{
        f"{kind}_drift_{seconds}": f"{kind}_drift_accuracy_after_{seconds}_seconds"
        for kind in ("baseline", "analog")
        for seconds in (60, 3600, 86400, 2592000)
    },
}


def _nasbench201(package: Package, path: Path, dataset: str, space: SearchSpace, digest: str) -> Table:
    """Reads analog-nasbench: a dictionary of six operation numbers -> record of accuracies in percent.

    ``test_accuracy`` is the package's ``baseline_accuracy``: the network in full digital precision.
    """
    kind = "the table of the package analog-nasbench"
    allowed = {f"analognasbench.data.{name}": Record for name in ("Architecture", "DriftMeasurement")}
    records = load_pickle(path, allowed, kind=kind)
    try:
        order = [_ANALOG_EDGES.index(edge) for edge in _OFFICIAL_EDGES]
        cells = [tuple(_ANALOG_OPERATIONS[key[position]] for position in order) for key in records]
        fields = [record.fields for record in records.values()]
        columns = {ours: _floats(_value(f[theirs]) for f in fields) for theirs, ours in _ANALOG_METRICS.items()}
        indices = space.indices(cells)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise NasxError(f"{path} is not {kind} as nasx knows it; type: {package.install}") from error
    metrics = {name: Metric(name, "percent", "maximize") for name in columns}
    return _table(package, dataset, space, digest, indices, columns, metrics, target="test_accuracy")


def _value(field: Any) -> Any:
    return field.fields["value"] if isinstance(field, Record) else field


_GRAPH_FIELDS = {
    "valid_perf": "validation_accuracy",
    "perf": "test_accuracy",
    "latency": "latency",
    "para": "parameters",
}


def _nasbench_graph(package: Package, path: Path, dataset: str, space: SearchSpace, digest: str) -> Table:
    """Reads nas-bench-graph: a dictionary of the architecture's number -> four numbers.

    The package states no unit of the latency; its size says seconds. Accuracies are fractions; on ``proteins`` they are
    areas under the ROC curve.
    """
    kind = f"the table '{dataset}' of the package nas-bench-graph"
    records = load_pickle(path, NUMPY_FLOATS, kind=kind)
    try:
        columns = {ours: _floats(r[theirs] for r in records.values()) for theirs, ours in _GRAPH_FIELDS.items()}
        indices = space.indices([space.from_table_key(key) for key in records])  # type: ignore[attr-defined]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise NasxError(f"{path} is not {kind} as nasx knows it; type: {package.install}") from error
    accuracy = "ROC AUC" if dataset == "proteins" else "fraction"
    metrics = {
        "validation_accuracy": Metric("validation_accuracy", accuracy, "maximize"),
        "test_accuracy": Metric("test_accuracy", accuracy, "maximize"),
        "latency": Metric("latency", "unit not stated, by its size seconds", "minimize"),
        "parameters": Metric("parameters", "millions", "minimize"),
    }
    return _table(package, dataset, space, digest, indices, columns, metrics, target="validation_accuracy")


def _floats(values: Iterable[Any]) -> NDArray[np.float64]:
    numbers = np.fromiter(values, dtype=np.float64)
    if np.isinf(numbers).any():
        raise ValueError("an infinite value")
    return numbers


def _table(
    package: Package,
    dataset: str,
    space: SearchSpace,
    digest: str,
    indices: NDArray[np.int64],
    columns: Mapping[str, NDArray[np.float64]],
    metrics: Mapping[str, Metric],
    *,
    target: str,
) -> Table:
    """The table in the order of the space."""
    order = np.argsort(indices)
    indices = indices[order]
    if len(indices) == 0 or (indices[1:] == indices[:-1]).any():
        raise NasxError(f"the package of '{package.name}' is damaged; type: {package.install}")
    return Table(
        name=package.name,
        space=space,
        architectures=indices,
        columns={name: values[order] for name, values in columns.items()},
        metrics=metrics,
        dataset=dataset,
        target=target,
        licence=package.licence,
        source=package.source,
        extra={"sha256": digest},
    )
