"""The networks of NNLQP: ONNX files without weights, read into arrays that can be stored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from nasx.search_spaces.cache import Arrays
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs


def read_files(
    folder: Path,
    networks: Sequence[tuple[str, int]],
    executor: Executor,
    progress: Callable[[int], None] | None = None,
) -> Arrays:
    """Reads networks into arrays; ``packed`` makes graphs of them.

    Args:
        folder: What paths are relative to.
        networks: n paths and batch sizes.
        executor: Who reads.
        progress: Called as ``progress(networks_read)``.

    Returns:
        ``read (n,)``: which could be read; ``failed``: one sentence for each of the others; the graphs' parts.
    """
    futures = [executor.submit(_attempt, folder, *network) for network in networks]
    found: list[Graph | str] = []
    for (name, _), future in zip(networks, futures, strict=True):
        try:
            found.append(future.result())
        except OSError as error:  # pebble's ProcessExpired is one
            found.append(f"{name}: the process that read it ended: {error}")
        if progress is not None:
            progress(len(found))
    graphs = PackedGraphs.from_graphs([one for one in found if isinstance(one, Graph)])
    columns = [np.zeros((len(graphs), 0)), *(column[:, None] for column in graphs.attributes.values())]
    return {
        "read": np.array([isinstance(one, Graph) for one in found]),
        "failed": np.array([one for one in found if isinstance(one, str)], dtype=str),
        "operations": graphs.operations,
        "num_nodes": graphs.num_nodes,
        "edges": graphs.edges,
        "num_edges": graphs.num_edges,
        "vocabulary": np.array(graphs.vocabulary, dtype=str),
        "attribute_names": np.array(list(graphs.attributes), dtype=str),
        "attributes": np.concatenate(columns, axis=1),
        "node_attributes": graphs.node_columns(graphs.node_attribute_names),
        "node_attribute_names": np.array(graphs.node_attribute_names, dtype=str),
    }


def packed(arrays: Arrays) -> PackedGraphs:
    """The graphs of the networks that could be read, in their order."""
    return PackedGraphs(
        arrays["operations"],
        arrays["num_nodes"],
        arrays["edges"],
        arrays["num_edges"],
        arrays["vocabulary"].tolist(),
        dict(zip(arrays["attribute_names"].tolist(), arrays["attributes"].T, strict=True)),
        arrays["node_attributes"],
        arrays["node_attribute_names"].tolist(),
    )


def _attempt(folder: Path, name: str, batch_size: int) -> Graph | str:
    """The graph, or the sentence that says why there is none."""
    try:
        return read_graph(folder / name, batch_size)
    except (NasxError, OSError) as error:
        return f"{name}: {error}"


def read_graph(path: Path, batch_size: int) -> Graph:
    """The graph of a network that runs with this batch size, whatever its file says.

    Raises:
        UsageError: It is no network that can be read.
        NasxError: The package onnx is missing.
    """
    from nasx.search_spaces.onnx_file import onnx_package
    from nasx.search_spaces.onnx_network import read_onnx

    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    onnx = onnx_package()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # operators it does not know: the graph says so itself, as 'other'
        try:
            model = onnx.load(path, load_external_data=False)
        except Exception as error:  # protobuf has no error class of its own for every case
            raise UsageError(f"{path} is no ONNX file") from error
        if _rebatched(model, batch_size):
            return read_onnx(model)
        return read_onnx(path)


def _rebatched(model: object, batch_size: int) -> bool:
    """Writes the batch size into the inputs; False where it is there already."""
    graph = model.graph  # type: ignore[attr-defined]
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value.type.tensor_type.shape.dim for value in graph.input if value.name not in stored]
    inputs = [sizes for sizes in inputs if len(sizes) > 1 and sizes[0].dim_value == inputs[0][0].dim_value]
    changed = bool(inputs) and inputs[0][0].dim_value != batch_size
    for sizes in inputs if changed else []:
        sizes[0].dim_value = batch_size
    if changed:
        del graph.value_info[:]
        for value in graph.output:
            if len(value.type.tensor_type.shape.dim):
                value.type.tensor_type.shape.dim[0].dim_value = batch_size
    return changed
