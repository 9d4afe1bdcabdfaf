"""Which architecture each row of a table is: from its text columns to positions in the search space."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.table_file import indexed

if TYPE_CHECKING:
    import pandas as pd

    from nasx.search_spaces.nasbench101 import NASBench101

ARCHITECTURE_COLUMNS = frozenset({"architecture", "adjacency", "operations", "module_hash"})

Architectures = NDArray[np.int64] | list[Any]
Texts = list[str]


def architectures_of(frame: pd.DataFrame, space: SearchSpace, file: str) -> Architectures:
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
    texts = {name: _texts(frame[name], name, file) for name in frame.columns if name in ARCHITECTURE_COLUMNS}
    if "architecture" in texts:
        found = _parsed(texts["architecture"], space, file)
    elif space.name == "nasbench101" and {"adjacency", "operations"} <= texts.keys():
        found = _cells(texts["adjacency"], texts["operations"], space, file)  # type: ignore[arg-type]
    elif space.name == "nasbench101" and "module_hash" in texts:
        found = _hashes(texts["module_hash"], space, file)  # type: ignore[arg-type]
    else:
        also = " (or 'adjacency' and 'operations', or 'module_hash')" if space.name == "nasbench101" else ""
        raise UsageError(
            f"{file} needs a column 'architecture'{also} with the text of each architecture of {space.name}; "
            f"its columns are: {', '.join(map(str, frame.columns))}"
        )
    _check_repeats(found, space, file)
    return found


def _texts(column: pd.Series, name: str, file: str) -> Texts:
    empty = np.flatnonzero(column.isna().to_numpy())
    if len(empty):
        raise UsageError(f"row {empty[0] + 1} of {file} has nothing in the column '{name}'")
    return [str(text) for text in column]


def _parsed(texts: Texts, space: SearchSpace, file: str) -> Architectures:
    architectures = _all_or_row(lambda: [space.parse(text) for text in texts], space.parse, [(t,) for t in texts], file)
    return space.indices(architectures) if indexed(space) else architectures


def _cells(adjacency: Texts, operations: Texts, space: NASBench101, file: str) -> Architectures:
    return _all_or_row(
        lambda: space.indices_of_text(adjacency, operations),
        lambda matrix, labels: space.cell(matrix, labels.split(",")),
        list(zip(adjacency, operations, strict=True)),
        file,
    )


def _hashes(hashes: Texts, space: NASBench101, file: str) -> Architectures:
    return _all_or_row(
        lambda: space.indices_of_hashes(hashes),
        lambda text: space.indices_of_hashes([text]),
        [(text,) for text in hashes],
        file,
    )


def _all_or_row(every: Callable[[], Any], one: Callable[..., Any], rows: list[tuple[str, ...]], file: str) -> Any:
    """Reads all rows at once; where that fails, looks for the row to blame."""
    try:
        return every()
    except UsageError:
        for row, texts in enumerate(rows):
            try:
                one(*texts)
            except UsageError as error:
                raise UsageError(f"row {row + 1} of {file}: {error}") from error
        raise


def _check_repeats(found: Architectures, space: SearchSpace, file: str) -> None:
    first: dict[Any, int] = {}
    for row, architecture in enumerate(found.tolist() if isinstance(found, np.ndarray) else found):
        earlier = first.setdefault(architecture, row)
        if earlier != row:
            cell = space.architecture(architecture) if isinstance(found, np.ndarray) else architecture
            raise UsageError(
                f"rows {earlier + 1} and {row + 1} of {file} are the same architecture, {space.format(cell)}"
            )
