"""Which architecture each row of a table is: from its text columns to positions in the search space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.batch import PADDING, GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.table_file import indexed

if TYPE_CHECKING:
    import pandas as pd

ARCHITECTURE_COLUMNS = frozenset({"architecture", "adjacency", "operations", "module_hash"})


def architectures_of(frame: pd.DataFrame, space: SearchSpace, file: str) -> NDArray[np.int64] | list[Any]:
    """Finds the architecture of every row.

    Args:
        frame: The table, with a column ``architecture``; or, for NAS-Bench-101, ``adjacency`` and ``operations``, or
            ``module_hash``.
        space: The search space.
        file: Name of the table, for messages.

    Returns:
        (n,) int64 indices in the space; a list of architectures where the space has none.

    Raises:
        UsageError: A column is missing, or an architecture is missing, malformed, unknown or repeated.
    """
    columns = [name for name in ("architecture", "adjacency", "operations", "module_hash") if name in frame.columns]
    for name in columns:
        empty = np.flatnonzero(frame[name].isna().to_numpy())
        if len(empty):
            raise UsageError(f"row {empty[0] + 1} of {file} has nothing in the column '{name}'")
    texts = {name: frame[name].astype(str).to_numpy(dtype=object) for name in columns}
    found: NDArray[np.int64] | list[Any]
    if "architecture" in texts:
        found = _parsed(texts["architecture"], space, file)
    elif space.name == "nasbench101" and {"adjacency", "operations"} <= texts.keys():
        found = _cells(texts["adjacency"], texts["operations"], space, file)
    elif space.name == "nasbench101" and "module_hash" in texts:
        found = _parsed(texts["module_hash"], space, file)
    else:
        also = " (or 'adjacency' and 'operations', or 'module_hash')" if space.name == "nasbench101" else ""
        raise UsageError(
            f"{file} needs a column 'architecture'{also} with the text of each architecture of {space.name}; "
            f"its columns are: {', '.join(map(str, frame.columns))}"
        )
    _check_repeats(found, space, file)
    return found


def _parsed(texts: NDArray[Any], space: SearchSpace, file: str) -> NDArray[np.int64] | list[Any]:
    architectures = []
    for row, text in enumerate(texts):
        try:
            architectures.append(space.parse(text))
        except UsageError as error:
            raise UsageError(f"row {row + 1} of {file}: {error}") from error
    return space.indices(architectures) if indexed(space) else architectures


def _cells(adjacency: NDArray[Any], operations: NDArray[Any], space: Any, file: str) -> NDArray[np.int64]:
    batch = graphs_of_text(adjacency, operations, file)
    indices = np.asarray(space.indices_of_graphs(batch), dtype=np.int64)
    unknown = np.flatnonzero(indices < 0)
    if len(unknown):
        row = int(unknown[0])
        raise UsageError(f"row {row + 1} of {file}: {adjacency[row]};{operations[row]} is not a cell of {space.name}")
    return indices


def graphs_of_text(adjacency: NDArray[Any], operations: NDArray[Any], file: str) -> GraphBatch:
    """Reads many cells at once.

    Args:
        adjacency: (n,) texts, rows of the upper-triangular matrix joined by ``/``.
        operations: (n,) texts, labels joined by ``,``.
        file: Name of the table, for messages.

    Raises:
        UsageError: A text is malformed; the sentence says in which row.

    >>> batch = graphs_of_text(np.array(["01/00", "010/001/000"]), np.array(["input,output", "input,conv,output"]), "t")
    >>> batch.num_nodes.tolist(), batch.vocabulary
    ([2, 3], ('conv', 'input', 'output'))
    """
    lists, code_of_list = np.unique(operations.astype(str), return_inverse=True)
    labels = [text.split(",") for text in lists.tolist()]
    vocabulary = sorted({label for listed in labels for label in listed})
    counts = np.array([len(listed) for listed in labels])[code_of_list]
    width = int(counts.max())
    codes = np.full((len(lists), width), PADDING, dtype=np.int16)
    for row, listed in enumerate(labels):
        codes[row, : len(listed)] = [vocabulary.index(label) for label in listed]
    matrices = np.zeros((len(adjacency), width, width), dtype=bool)
    lengths = np.array([len(text) for text in adjacency])
    for nodes in np.unique(counts).tolist():
        rows = np.flatnonzero(counts == nodes)
        shape = (nodes, nodes + 1)  # with the separator that ends each row
        _refuse(rows[lengths[rows] != nodes * (nodes + 1) - 1], adjacency, operations, file)
        text = "/".join(adjacency[rows].tolist()) + "/"
        letters = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8).reshape(-1, *shape)
        cells = letters[:, :, :-1]
        lower = np.tril(np.ones((nodes, nodes), dtype=bool))
        wrong = ((cells != ord("0")) & (cells != ord("1"))).any(axis=(1, 2)) | (letters[:, :, -1] != ord("/")).any(
            axis=1
        )
        wrong |= (cells[:, lower] != ord("0")).any(axis=1)
        _refuse(rows[wrong], adjacency, operations, file)
        matrices[rows, :nodes, :nodes] = cells == ord("1")
    return GraphBatch(codes[code_of_list], matrices, counts, vocabulary)


def _refuse(rows: NDArray[np.int64], adjacency: NDArray[Any], operations: NDArray[Any], file: str) -> None:
    if len(rows):
        row = int(rows[0])
        raise UsageError(
            f"row {row + 1} of {file}: '{adjacency[row]}' is no upper-triangular matrix of zeros and ones for "
            f"the operations {operations[row]}; write its rows joined by '/', such as 010/001/000"
        )


def _check_repeats(found: NDArray[np.int64] | list[Any], space: SearchSpace, file: str) -> None:
    first: dict[Any, int] = {}
    if isinstance(found, np.ndarray):
        order = np.argsort(found, kind="stable")
        same = np.flatnonzero(found[order][1:] == found[order][:-1])
        if not len(same):
            return
        later = int(order[same + 1].min())
        earlier = int(np.flatnonzero(found == found[later])[0])
        text = space.format(space.architecture(int(found[later])))
        raise UsageError(f"rows {earlier + 1} and {later + 1} of {file} are the same architecture, {text}")
    for row, architecture in enumerate(found):
        if first.setdefault(architecture, row) != row:
            raise UsageError(
                f"rows {first[architecture] + 1} and {row + 1} of {file} are the same architecture, "
                f"{space.format(architecture)}"
            )
