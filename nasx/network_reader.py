"""Tables of whole networks: a table of measurements, one row a network, and a table of layers, one row a node.

The format is described in docs/data.md, "Tables of whole networks".
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.latency_facts import read_facts
from nasx.metric import Metric, infer_metric
from nasx.network_layers import ID_COLUMNS
from nasx.network_nodes import packed_networks
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.network_table import NetworkTable
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.table_file import Table
from nasx.tables import SUFFIXES, numbers_of, read_frame

if TYPE_CHECKING:
    import pandas as pd

NETWORKS, NODES = "networks", "nodes"
_NAME_COLUMNS = ("name", "model", *ID_COLUMNS)
#: Words in the names of columns that say what a network is, not what was measured. Other numbers (a count of runs, a
#: time) are neither: they must not become inputs of a predictor.
_COUNTED = {"parameters", "params", "flops", "macs", "nodes", "resolution", "memory", "batch"}
_POSITIVE_UNITS = {"ms", "s", "mJ"}


def node_table_of(path: str | Path) -> tuple[Path, Path] | None:
    """The two files of a table of networks, or None where this is none.

    ``NAME.parquet`` has its layers in ``NAME_nodes.parquet`` beside it; a folder has ``networks`` and ``nodes``. Either
    may be ``.csv`` instead.
    """
    path = Path(path)
    if path.is_dir():
        found = [_existing(path / name) for name in (NETWORKS, NODES)]
    elif path.suffix.lower() in SUFFIXES:
        found = [path if path.is_file() else None, _existing(path.with_name(f"{path.stem}_{NODES}"))]
    else:
        return None
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _existing(path: Path) -> Path | None:
    return next((file for suffix in SUFFIXES[::-1] if (file := path.with_name(path.name + suffix)).is_file()), None)


def read_networks(path: str | Path, *, name: str | None = None, directions: Mapping[str, str] | None = None) -> Table:
    """Reads a table of whole networks.

    Args:
        path: The table of measurements, with ``..._nodes`` beside it, or the folder of both.
        name: What to call it; by default the name of the file.
        directions: Metric name -> ``"maximize"`` or ``"minimize"``; a column named here is a metric.

    Returns:
        The table; its space is a :class:`~nasx.search_spaces.network_table.NetworkTable`.

    Raises:
        UsageError: There are no such files, or their contents are wrong: the sentence says what, and where.
        NasxError: A file cannot be read as what its ending says.
    """
    found = node_table_of(path)
    if found is None:
        raise UsageError(f"{path} is no table of networks: {expected(Path(path))}")
    networks, nodes = found
    frame = read_frame(networks)
    if frame.empty:
        raise UsageError(f"{networks} has no rows")
    ids, names = _ids(frame, networks.name)
    columns, attributes = _columns(frame, networks.name, directions or {})
    if not columns:
        raise UsageError(
            f"{networks.name} has no column of measurements, such as latency_ms; its columns are: "
            + ", ".join(map(str, frame.columns))
        )
    families = _families(frame, networks.name)
    graphs = packed_networks(_read_nodes(nodes), ids, attributes, nodes.name)
    table = table_of(
        name or Path(path).name, names, graphs, columns, families, source=Path(path).name, directions=directions
    )
    target = read_facts(networks).get("target") if networks.suffix == ".parquet" else None
    return replace(table, target=target) if target in table.metrics else table


def table_of(
    name: str,
    names: list[str],
    graphs: PackedGraphs,
    columns: Mapping[str, NDArray[Any]],
    families: list[str] | None = None,
    *,
    source: str = "",
    licence: str = "your own",
    directions: Mapping[str, str] | None = None,
) -> Table:
    """The table of measured networks; a latency of 0 or less is no measurement, and one sentence says how many.

    Args:
        name: What to call it.
        names: B names of networks.
        graphs: Their graphs.
        columns: Metric name -> (B,) values, NaN where there is none.
        families: The family of each.
        source: Where the numbers come from.
        licence: Their licence.
        directions: Metric name -> direction, where its name does not tell.
    """
    kept: dict[str, NDArray[Any]] = {}
    dropped = 0
    for metric, values in columns.items():
        kept[metric], count = _measured(infer_metric(metric, values), np.asarray(values))
        dropped += count
    if dropped:
        warnings.warn(
            f"{name}: {dropped:,} measurement{'s' if dropped > 1 else ''} of 0, less than 0 or infinity "
            f"{'are' if dropped > 1 else 'is'} ignored",
            stacklevel=3,
        )
    table = Table(
        name=name,
        space=NetworkTable(names, graphs, families),
        architectures=np.arange(len(names)),
        columns=kept,
        metrics={metric: infer_metric(metric, values) for metric, values in kept.items()},
        licence=licence,
        source=source,
    )
    return table.with_directions(directions or {})


def expected(path: Path) -> str:
    """What files a table of networks consists of, as the end of a sentence."""
    if path.stem.endswith(f"_{NODES}"):
        whole = path.with_name(path.name.replace(f"_{NODES}", ""))
        return f"it is the half with the nodes, and needs {whole.name} beside it; give that one"
    if path.is_dir():
        return f"a folder of one has {NETWORKS}.parquet and {NODES}.parquet (or .csv)"
    return f"it needs {path.stem}_{NODES}{path.suffix} beside it"


def _measured(metric: Metric, values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """The values that can be measurements, and how many cannot."""
    if metric.unit not in _POSITIVE_UNITS and "latency" not in metric.name.lower():
        return values, 0
    wrong = np.isinf(values) | (values <= 0)
    return (np.where(wrong, np.nan, values), int(wrong.sum())) if wrong.any() else (values, 0)


def _ids(frame: pd.DataFrame, file: str) -> tuple[dict[str, int], list[str]]:
    """Id of a network -> its row, and what the networks are called."""
    lower = {str(name).lower(): name for name in frame.columns}
    key = next((lower[name] for name in ID_COLUMNS if name in lower), None)
    if key is None:
        raise UsageError(
            f"{file} needs a column '{ID_COLUMNS[0]}' that names each network; its columns are: "
            + ", ".join(map(str, frame.columns))
        )
    texts = {}
    for column in (key, next(lower[name] for name in _NAME_COLUMNS if name in lower)):
        if frame[column].isna().any():
            row = int(np.flatnonzero(frame[column].isna())[0])
            raise UsageError(f"column '{column}', row {row + 1} of {file} is empty; every network needs a name")
        texts[column] = [str(text) for text in frame[column]]
        if len(set(texts[column])) < len(frame):
            twice = next(text for row, text in enumerate(texts[column]) if text in texts[column][:row])
            raise UsageError(f"column '{column}' of {file} has '{twice}' twice; every network needs a name of its own")
    names = list(texts.values())[-1]
    return {text: row for row, text in enumerate(texts[key])}, names


def _families(frame: pd.DataFrame, file: str) -> list[str] | None:
    column = next((name for name in frame.columns if str(name).lower() == "family"), None)
    if column is None:
        return None
    if frame[column].isna().any():
        row = int(np.flatnonzero(frame[column].isna())[0])
        raise UsageError(f"column '{column}', row {row + 1} of {file} is empty; give every network a family, or none")
    return [str(family) for family in frame[column]]


def _columns(
    frame: pd.DataFrame, file: str, directions: Mapping[str, str]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.float64]]]:
    """Measurements, and what is known of whole networks without measuring."""
    import pandas as pd

    measured: dict[str, NDArray[Any]] = {}
    known: dict[str, NDArray[np.float64]] = {}
    for column in frame.columns:
        name = str(column)
        if name.lower() in {*_NAME_COLUMNS, "family", "index", "stage"} or name.startswith("__"):
            continue
        words = set(re.split(r"[^a-z0-9]+", name.lower()))
        is_metric = name in directions or (
            words.isdisjoint(_COUNTED) and infer_metric(name, np.ones(1)).direction is not None
        )
        if is_metric:
            measured[name] = numbers_of(frame[column], name, file, finite=False)
        elif not words.isdisjoint(_COUNTED) and pd.api.types.is_numeric_dtype(frame[column].dtype):
            known[name.lower()] = numbers_of(frame[column], name, file).astype(np.float64)
    return measured, known


def _read_nodes(path: Path) -> Any:
    """The layers as a ``pyarrow.Table``."""
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".csv":
            return pyarrow.csv.read_csv(path)
        return pyarrow.parquet.read_table(path)
    except Exception as error:  # readers fail in many ways on a truncated or foreign file
        detail = str(error).strip().split("\n")[0]
        raise NasxError(
            f"{path} cannot be read as a {path.suffix} table; it may be cut short or of another kind ({detail})"
        ) from error
