"""Tables of whole networks, written: in the format that users write themselves, and in the cache folder.

What is written is two Parquet files, ``networks`` and ``nodes``, with every number of every layer spelt out under its
ONNX name, so that they are read back exactly. They appear as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nasx.metric import infer_metric
from nasx.network_reader import NETWORKS, NODES, node_table_of, read_networks
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.network_table import NetworkTable
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.table_file import Table
from nasx.tables import NETWORKS_SUFFIX

_KEY = b"nasx"


def write_networks(
    folder: str | Path,
    names: Sequence[str],
    graphs: PackedGraphs,
    columns: Mapping[str, ArrayLike],
    families: Sequence[str] | None = None,
    *,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a table of whole networks as a folder with ``networks.parquet`` and ``nodes.parquet``.

    Args:
        folder: Where to; replaced, if it is there, once everything is written.
        names: B names.
        graphs: The B graphs; each begins with a node ``input`` and ends with a node ``output``, as ``read_onnx`` gives
            them.
        columns: Measurements, (B,) each, with the unit at the end of the name: ``latency_ms``.
        families: The family of each network.
        about: Licence, source and whatever else is worth keeping, JSON-able.

    Returns:
        The folder.

    Raises:
        UsageError: The numbers of names, graphs and values differ.
        NasxError: The folder cannot be written.
    """
    import pyarrow as pa

    folder = Path(folder)
    for what, count in (("graphs", len(graphs)), *((name, len(np.asarray(v))) for name, v in columns.items())):
        if count != len(names):
            raise UsageError(f"{len(names)} names of networks, but {count} {what}; give one each")
    ids = np.arange(len(names), dtype=np.int32)
    whole: dict[str, Any] = {"network": ids, "name": [str(name) for name in names]}
    if families is not None:
        whole["family"] = pa.array([str(family) for family in families]).dictionary_encode()
    whole |= {name: values for name, values in graphs.attributes.items() if name not in columns}
    whole |= {name: np.asarray(values) for name, values in columns.items()}
    number = (np.arange(len(graphs.operations)) - np.repeat(graphs.first_nodes, graphs.num_nodes)).astype(np.int32)
    layers: dict[str, Any] = {
        "network": graphs.graph_of_node.astype(np.int32),
        "node": number,
        "operation": pa.DictionaryArray.from_arrays(pa.array(graphs.operations), pa.array(list(graphs.vocabulary))),
        "inputs": _inputs(graphs),
    }
    if graphs.node_attributes is not None:
        layers |= dict(zip(graphs.node_attribute_names, graphs.node_attributes.T, strict=True))
    text = json.dumps(dict(about or {})).encode()
    _write(folder, {NETWORKS: pa.table(whole).replace_schema_metadata({_KEY: text}), NODES: pa.table(layers)})
    return folder


def _inputs(graphs: PackedGraphs) -> Any:
    """For each node the numbers of those it reads."""
    import pyarrow as pa

    edges = graphs.global_edges()
    order = np.lexsort((edges[:, 0], edges[:, 1]))
    counts = np.bincount(edges[:, 1], minlength=len(graphs.operations))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(graphs.edges[order, 0].astype(np.int32)))


def _write(folder: Path, parts: Mapping[str, Any]) -> None:
    import pyarrow.parquet

    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    old = new.with_name(f"{new.name}.old")
    try:
        new.mkdir(parents=True)
        for name, table in parts.items():
            pyarrow.parquet.write_table(table, new / f"{name}.parquet", compression="zstd")
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except OSError as error:
        raise NasxError(f"{folder} could not be written ({error.strerror or error})") from error
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def store_networks(path: Path, table: Table) -> Path:
    """Keeps a table of networks in the cache folder.

    Raises:
        NasxError: The folder cannot be written.
    """
    space = table.space
    assert isinstance(space, NetworkTable)
    guessed = {name: infer_metric(name, np.asarray(values)) for name, values in table.columns.items()}
    about = {
        "licence": table.licence,
        "source": table.source,
        "target": table.target,
        "directions": {m.name: m.direction for m in table.metrics.values() if m.direction != guessed[m.name].direction},
        "metrics": list(table.metrics),
        "extra": dict(table.extra),
    }
    graphs = space.graphs_of_indices(np.arange(len(space.names)))
    return write_networks(path, space.names, graphs, table.columns, space.families, about=about)


def about_networks(path: Path) -> dict[str, Any]:
    """What a table says about itself, without reading it: licence, source, metrics, rows and size.

    Args:
        path: The folder of a stored table, or the file of one that comes with nasx.

    Raises:
        NasxError: It is damaged.
    """
    import pyarrow.parquet

    try:
        parts = node_table_of(path) or (path, path)
        file = pyarrow.parquet.ParquetFile(parts[0])
        about = json.loads((file.schema_arrow.metadata or {}).get(_KEY, b"{}"))
        size = sum(part.stat().st_size for part in parts)
        return {
            "metrics": _metrics(file),
            "licence": "your own",
            "source": "",
            **about,
            "rows": file.metadata.num_rows,
            "size": size,
        }
    except Exception as error:  # readers fail in many ways on a truncated file
        raise NasxError(f"the table of networks in {path} is damaged; import it again") from error


def _metrics(file: Any) -> list[str]:
    return [name for name in file.schema_arrow.names if infer_metric(name, np.ones(1)).unit == "ms"]


def open_networks(path: Path) -> Table:
    """Opens a stored table of networks.

    Raises:
        NasxError: It is damaged.
    """
    from dataclasses import replace

    about = about_networks(path)
    try:
        table = read_networks(path, name=path.name.removesuffix(NETWORKS_SUFFIX), directions=about.get("directions"))
    except UsageError as error:
        raise NasxError(f"the table of networks in {path} is damaged ({error}); import it again") from error
    extra, target = about.get("extra", {}), about.get("target")
    return replace(table, licence=about["licence"], source=about["source"], extra=extra, target=target)
