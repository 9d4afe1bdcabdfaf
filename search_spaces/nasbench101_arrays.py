"""Many cells of NAS-Bench-101 at once: text and graphs to codes, codes to graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nasx.search_spaces.batch import PADDING, GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench101_cell import code_of_cell, normal_cell, read_adjacency, read_operations
from nasx.search_spaces.nasbench101_tables import (
    MAX_EDGES,
    MAX_NODES,
    OPERATIONS,
    PAIRS,
    VOCABULARY,
    cell_tables,
    unpack,
)


def decode(codes: np.ndarray) -> GraphBatch:
    """Returns the graphs that codes ``(B,)`` stand for, seven nodes wide."""
    nodes, bits, labels = unpack(codes)
    adjacency = np.zeros((len(codes), MAX_NODES, MAX_NODES), dtype=bool)
    for bit, (i, j) in enumerate(PAIRS):
        adjacency[:, i, j] = bits >> bit & 1
    operations = np.full((len(codes), MAX_NODES), PADDING, dtype=np.int16)
    operations[:, 0] = 0
    for place in range(MAX_NODES - 2):
        operations[:, place + 1] = np.where(place < nodes - 2, 1 + labels // 3**place % 3, PADDING)
    operations[np.arange(len(codes)), nodes - 1] = len(VOCABULARY) - 1
    return GraphBatch(operations, adjacency, nodes, VOCABULARY)


def encode_graphs(graphs: GraphBatch) -> np.ndarray:
    """Returns the code of each graph, ``(B,)`` int64; dead nodes do not count, nodes may be in any topological order.

    Raises:
        UsageError: If one of them is no cell; the message names its row.
    """
    batch = graphs.pruned().recode(VOCABULARY)
    column = np.arange(batch.max_nodes)
    inner = (column > 0) & (column < batch.num_nodes[:, None] - 1)
    is_operation = (batch.operations >= 1) & (batch.operations <= len(OPERATIONS))
    fits = (batch.num_nodes >= 2) & (batch.num_nodes <= MAX_NODES) & (is_operation | ~inner).all(axis=1)
    fits &= batch.operations[:, 0] == 0
    fits &= batch.operations[np.arange(len(batch)), batch.num_nodes - 1] == len(VOCABULARY) - 1
    bits = np.zeros(len(batch), dtype=np.int64)
    for bit, (i, j) in enumerate(PAIRS):
        if j < batch.max_nodes:
            bits |= batch.adjacency[:, i, j].astype(np.int64) << bit
    labels = np.zeros(len(batch), dtype=np.int64)
    for place in range(min(MAX_NODES, batch.max_nodes) - 2):
        labels += np.where(inner[:, place + 1], batch.operations[:, place + 1] - 1, 0) * 3**place
    codes = cell_tables().encode(np.where(fits, batch.num_nodes, 2), bits * fits, labels * fits)
    if len(codes) and codes.min() < 0:
        row = int(np.argmax(codes < 0))
        raise UsageError(
            f"row {row}: {batch[row]} is no NAS-Bench-101 cell; it needs a path from 'input' to 'output', at most "
            f"{MAX_NODES} nodes and {MAX_EDGES} edges, and operations {', '.join(OPERATIONS)}"
        )
    return codes


def encode_text(adjacency: Sequence[str], operations: Sequence[str]) -> np.ndarray:
    """Returns the code of each cell of a table, ``(B,)`` int64.

    Args:
        adjacency: Rows of each matrix joined by ``/``.
        operations: Operations of each cell joined by ``,``.

    Raises:
        UsageError: If one of them is no cell; the message names its row.
    """
    shapes = _each_once(adjacency, read_adjacency)
    labels = _each_once(operations, lambda text: (text.count(",") + 1, read_operations(_names(text))))
    nodes, bits = np.array(shapes, dtype=np.int64).reshape(-1, 2).T
    named, numbers = np.array(labels, dtype=np.int64).reshape(-1, 2).T
    codes = np.where(nodes == named, cell_tables().encode(nodes, bits, numbers), -1)
    for row in np.flatnonzero(codes < 0).tolist():  # not pruned yet, or no cell
        try:
            codes[row] = code_of_cell(normal_cell(str(adjacency[row]), _names(str(operations[row]))))
        except UsageError as error:
            raise UsageError(f"row {row}: {error}") from error
    return codes


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _each_once(texts: Sequence[str], read: Callable[[str], tuple[int, int]]) -> list[tuple[int, int]]:
    """Reads every text, a repeated one only once; errors name the row."""
    known: dict[object, tuple[int, int]] = {}
    result = []
    for row, text in enumerate(texts):
        value = known.get(text)
        if value is None:
            try:
                value = known[text] = read(str(text))
            except UsageError as error:
                raise UsageError(f"row {row}: {error}") from error
        result.append(value)
    return result
