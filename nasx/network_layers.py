"""The rows of a node table, as they are written: which layer of which network reads which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.errors import UsageError

NETWORK_INPUT = -1
#: Names that the column of the network's id may have, in both halves of the table.
ID_COLUMNS = ("network", "network_id", "model_id", "name", "model")
_NODE_COLUMNS = ("node", "node_id", "layer")
_OPERATION_COLUMNS = ("operation", "op", "op_type")
_INPUT_COLUMN = re.compile(r"input_?(\d+)")

Ints = NDArray[np.int64]


@dataclass
class Layers:
    """The rows of a node table, sorted by network and node number.

    Attributes:
        network: ``(n,)`` row of the network in the first half.
        number: ``(n,)`` number of the layer in its network, as written.
        labels: Names of operations.
        codes: ``(n,)`` which of them each layer is.
        edges: ``(E, 2)`` rows read and rows that read them, without repeats; a source of -1 is the network's input.
        columns: All other columns of numbers, ``(n,)``.
    """

    network: Ints
    number: Ints
    labels: list[str]
    codes: Ints
    edges: Ints
    columns: dict[str, NDArray[Any]]


def read_layers(nodes: Any, ids: Mapping[str, int], file: str) -> Layers:
    """The rows of a node table.

    Args:
        nodes: A ``pyarrow.Table`` with one row a layer.
        ids: Id of a network, as text -> its row.
        file: Name of the table, for messages.

    Raises:
        UsageError: A column is missing or not of numbers, a layer is given twice, or reads one that does not exist.
    """
    table = {str(name): nodes.column(place) for place, name in enumerate(nodes.column_names)}
    lower = {name.lower(): name for name in table}
    taken = {
        what: _first(lower, choices, file)
        for what, choices in (("id", ID_COLUMNS), ("node", _NODE_COLUMNS), ("operation", _OPERATION_COLUMNS))
    }
    network = _networks(table[taken["id"]], ids, file)
    number = _whole(table[taken["node"]], taken["node"], file)
    labels, codes = _labels(table[taken["operation"]], taken["operation"], file)
    order = _order(network, number)
    network, number, codes = network[order], number[order], codes[order]
    twice = np.flatnonzero((network[1:] == network[:-1]) & (number[1:] == number[:-1]))
    if twice.size:
        row = int(twice[0])
        raise UsageError(f"{file} has node {number[row]} of network '{list(ids)[network[row]]}' twice")
    inputs = sorted((int(match[1]), name) for name in table if (match := _INPUT_COLUMN.fullmatch(name.lower())))
    used = {*taken.values(), *(name for _, name in inputs)}
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    readers, sources = _references(table, lower, [name for _, name in inputs], file)
    edges = _edges(network, number, place[readers], sources, list(ids), file)
    columns: dict[str, NDArray[Any]] = {}
    for name, column in table.items():
        if name not in used and name.lower() != "inputs" and not name.startswith("__") and _is_number(column):
            columns[name.lower()] = _values(column)[order]
    return Layers(network, number, labels, codes, edges, columns)


def _order(network: Ints, number: Ints) -> Ints:
    """The rows by network and number; most tables are written in that order."""
    ahead = (network[1:] > network[:-1]) | ((network[1:] == network[:-1]) & (number[1:] > number[:-1]))
    return np.arange(len(network)) if ahead.all() else np.lexsort((number, network))


def _first(lower: Mapping[str, str], choices: tuple[str, ...], file: str) -> str:
    found = next((lower[name] for name in choices if name in lower), None)
    if found is None:
        raise UsageError(f"{file} needs a column '{choices[0]}'; its columns are: {', '.join(lower.values())}")
    return found


def _networks(column: Any, ids: Mapping[str, int], file: str) -> Ints:
    """The network's row of each layer."""
    codes, words = _dictionary(column)
    if (codes < 0).any():
        raise UsageError(f"row {int(np.flatnonzero(codes < 0)[0]) + 1} of {file} does not say its network")
    rows = np.array([ids.get(str(word), -1) for word in words], dtype=np.int64)
    if (rows < 0).any():
        word = words[int(np.flatnonzero(rows < 0)[0])]
        raise UsageError(f"{file} has layers of network '{word}', which the table of networks does not have")
    return rows[codes]


def _labels(column: Any, name: str, file: str) -> tuple[list[str], Ints]:
    codes, words = _dictionary(column)
    if (codes < 0).any():
        raise UsageError(f"column '{name}', row {int(np.flatnonzero(codes < 0)[0]) + 1} of {file} is empty")
    return [str(word) for word in words], codes


def _dictionary(column: Any) -> tuple[Ints, list[Any]]:
    """Codes (-1: empty) and the values they stand for."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no row at all
        return np.zeros(0, dtype=np.int64), []
    return column.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), column.dictionary.to_pylist()


def _is_number(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _values(column: Any) -> NDArray[Any]:
    """A column of numbers as it is; as float64, NaN where it is empty, if it is empty anywhere."""
    return np.asarray(column.to_numpy())


def _whole(column: Any, name: str, file: str) -> Ints:
    values = _values(column) if _is_number(column) else np.full(len(column), np.nan)
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64)
    wrong = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
    if wrong.size:
        raise UsageError(f"column '{name}', row {wrong[0] + 1} of {file}: '{column[int(wrong[0])]}' is no whole number")
    return values.astype(np.int64)


def _references(
    table: Mapping[str, Any], lower: Mapping[str, str], names: list[str], file: str
) -> tuple[Ints, NDArray[np.float64]]:
    """Which row of the table reads which node number: two vectors of one entry a reference."""
    rows: list[Ints] = []
    numbers: list[NDArray[Any]] = []
    for name in names:
        values = _values(table[name]) if _is_number(table[name]) else _whole(table[name], name, file)
        given = np.flatnonzero(np.isfinite(values) & (values >= NETWORK_INPUT))
        rows.append(given)
        numbers.append(values[given])
    if "inputs" in lower:
        given, values = _listed(table[lower["inputs"]], lower["inputs"], file)
        rows.append(given[values >= NETWORK_INPUT])
        numbers.append(values[values >= NETWORK_INPUT])
    if not rows:
        raise UsageError(
            f"{file} needs columns 'input0', 'input1' ... or a column 'inputs' with the numbers of the nodes that a "
            f"node reads (-1: the network's input); its columns are: {', '.join(table)}"
        )
    return np.concatenate(rows), np.concatenate(numbers).astype(np.float64)


def _listed(column: Any, name: str, file: str) -> tuple[Ints, NDArray[np.float64]]:
    """A column of lists of numbers, or of texts such as ``3 5``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if _is_number(column):
        values = _values(column)
        given = np.flatnonzero(np.isfinite(values))
        return given, values[given]
    if pa.types.is_null(column.type):
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        column = pc.split_pattern_regex(pc.utf8_trim_whitespace(column.cast("string")), r"[\s,;]+")
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    column = column.fill_null([])
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = column.flatten()
    try:
        if pa.types.is_string(flat.type):
            flat = pc.if_else(pc.equal(flat, ""), None, flat)
        values = np.asarray(flat.cast("float64").to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid as error:
        raise UsageError(f"column '{name}' of {file} holds something that is no node number ({error})") from error
    rows = np.repeat(np.arange(len(lengths)), lengths)
    return rows[np.isfinite(values)], values[np.isfinite(values)]


def _edges(network: Ints, number: Ints, reader: Ints, source: NDArray[np.float64], names: list[str], file: str) -> Ints:
    """References as pairs of rows; raises where one leads nowhere."""
    wanted = source.astype(np.int64)
    low, high = int(number.min(initial=0)), int(max(number.max(initial=0), wanted.max(initial=0)))
    span = high - low + 1
    keys = network * span + (number - low)
    outside = wanted == NETWORK_INPUT
    if low < 0:
        raise UsageError(
            f"{file} has a node with the number {low}; nodes are numbered from 0, -1 is the network's input"
        )
    ask = network[reader] * span + np.where(outside, 0, wanted - low)
    found = np.minimum(np.searchsorted(keys, ask), len(keys) - 1)
    wrong = np.flatnonzero(~outside & (keys[found] != ask))
    if wrong.size:
        row = int(reader[wrong[0]])
        raise UsageError(
            f"node {number[row]} of network '{names[network[row]]}' in {file} reads node {wanted[wrong[0]]}, which "
            "does not exist; the table may be cut short"
        )
    idle = np.ones(len(keys), dtype=bool)
    idle[reader] = False  # a layer that reads nothing reads the network's input
    found = np.concatenate([np.where(outside, -1, found), np.full(int(idle.sum()), -1)])
    pairs = np.stack([found, np.concatenate([reader, np.flatnonzero(idle)])], axis=1)
    flat = distinct((pairs[:, 1] << 32) + pairs[:, 0] + 1)  # one number a pair: sorted ten times faster than rows
    return np.stack([(flat & 0xFFFFFFFF) - 1, flat >> 32], axis=1)


def distinct(values: Ints) -> Ints:
    """The different values, ascending: ``np.unique``, which hashes, takes ten times as long for millions of these."""
    values.sort(kind="stable")
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values
