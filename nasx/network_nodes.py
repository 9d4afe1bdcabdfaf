"""The second half of a node table: one row a layer, turned into packed graphs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import MAX_NODES
from nasx.search_spaces.layer_numbers import OPERATORS, onnx_numbers
from nasx.search_spaces.packed_graphs import PackedGraphs

INPUT, OUTPUT = "input", "output"
NETWORK_INPUT = -1
CHUNK = 1 << 19  # layers whose attributes are worked out at once
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


def packed_networks(
    nodes: Any, ids: Mapping[str, int], attributes: Mapping[str, NDArray[np.float64]], file: str
) -> PackedGraphs:
    """The graphs of a node table.

    Args:
        nodes: A ``pyarrow.Table`` with one row a layer.
        ids: Id of a network, as text -> its row, for B networks.
        attributes: What is known of the whole networks, (B,) each.
        file: Name of the table, for messages.

    Raises:
        UsageError: A column is missing or not of numbers; a network has no layers; a layer is given twice, reads one
            that does not exist, or itself, directly or around a cycle.
    """
    layers = _layers(nodes, ids, file)
    names = list(ids)
    counts = np.bincount(layers.network, minlength=len(ids))
    if not counts.all():
        empty = int(np.flatnonzero(counts == 0)[0])
        raise UsageError(
            f"network '{names[empty]}' is an empty graph: {file} has no row of it; it may be cut short "
            f"({int((counts == 0).sum()):,} of {len(ids):,} networks have none)"
        )
    if counts.max() > MAX_NODES - 2:
        raise UsageError(
            f"network '{names[int(counts.argmax())]}' has {counts.max():,} layers; networks of up to "
            f"{MAX_NODES - 2:,} can be read"
        )
    if "nodes" in attributes and (off := np.flatnonzero(attributes["nodes"] != counts)).size:
        row = int(off[0])
        raise UsageError(
            f"network '{names[row]}' should have {attributes['nodes'][row]:.0f} nodes, but {file} has {counts[row]}: "
            "it may be cut short, or belong to another table"
        )
    return _packed(layers, counts, names, attributes, file)


def _layers(nodes: Any, ids: Mapping[str, int], file: str) -> Layers:
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
    flat = _distinct((pairs[:, 1] << 32) + pairs[:, 0] + 1)  # one number a pair: sorted ten times faster than rows
    return np.stack([(flat & 0xFFFFFFFF) - 1, flat >> 32], axis=1)


def _distinct(values: Ints) -> Ints:
    """The different values, ascending: ``np.unique``, which hashes, takes ten times as long for millions of these."""
    values.sort(kind="stable")
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _packed(
    layers: Layers, counts: Ints, names: list[str], attributes: Mapping[str, NDArray[np.float64]], file: str
) -> PackedGraphs:
    first = np.cumsum(counts) - counts
    batch = attributes.get("batch_size", np.ones(len(counts)))
    batch = np.where(np.isfinite(batch), batch, 1.0)
    words = [OPERATORS.get(label.lower(), label) for label in layers.labels]
    words = [word.lower() if word.lower() in (INPUT, OUTPUT) else word for word in words]
    own_input, own_output = (_own(words.index(w) if w in words else -1, layers, len(counts)) for w in (INPUT, OUTPUT))
    # Every layer that reads nothing reads the input; every layer that nobody reads makes the output.
    read, reads = (
        np.bincount(layers.edges[:, side][layers.edges[:, 0] >= 0], minlength=len(layers.codes)) for side in (0, 1)
    )
    reads[layers.edges[layers.edges[:, 0] < 0, 1]] += 1
    rows = np.arange(len(layers.codes))
    inner = layers.edges[layers.edges[:, 0] >= 0]
    from_input = reads == 0
    from_input[layers.edges[layers.edges[:, 0] < 0, 1]] = True
    sources = rows[from_input]
    sources = sources[own_input[layers.network[sources]] != sources]
    sinks = rows[(read == 0) & (own_output[layers.network] != rows)]
    local = rows - first[layers.network]
    _sort(layers, inner, sources, sinks, own_input, own_output, local, first, counts, names, file)

    before = (own_input < 0).astype(np.int64)
    after = (own_output < 0).astype(np.int64)
    size = counts + before + after
    start = np.cumsum(size) - size
    node = local + before[layers.network]  # place in the new graph
    head = np.where(own_input < 0, 0, node[own_input])
    tail = np.where(own_output < 0, size - 1, node[own_output])
    of = layers.network
    graph = np.concatenate([of[inner[:, 1]], of[sources], of[sinks]])
    pairs = np.concatenate(
        [
            np.stack([node[inner[:, 0]], node[inner[:, 1]]], axis=1),
            np.stack([head[of[sources]], node[sources]], axis=1),
            np.stack([node[sinks], tail[of[sinks]]], axis=1),
        ]
    )
    flat = _distinct((graph << 32) + (pairs[:, 0] << 16) + pairs[:, 1])  # MAX_NODES < 2^16
    edges = np.stack([(flat >> 16) & 0xFFFF, flat & 0xFFFF], axis=1)
    vocabulary = sorted({*words, *([INPUT] if before.any() else []), *([OUTPUT] if after.any() else [])})
    codes = np.empty(int(size.sum()), dtype=np.int16)
    if before.any():
        codes[start[before > 0]] = vocabulary.index(INPUT)
    if after.any():
        codes[(start + size - 1)[after > 0]] = vocabulary.index(OUTPUT)
    places = start[of] + node
    codes[places] = np.array([vocabulary.index(word) for word in words], dtype=np.int16)[layers.codes]
    columns, table = _numbers(layers, batch, places, len(codes))
    _input_sizes(table, columns, layers, sources, start[of[sources]], before[of[sources]] > 0, batch)
    whole = _whole_networks(attributes, table, columns, start, batch)
    per_graph = np.bincount(flat >> 32, minlength=len(counts))
    return PackedGraphs(codes, size, edges, per_graph, vocabulary, whole, table if columns else None, columns)


def _numbers(
    layers: Layers, batch: NDArray[np.float64], places: Ints, size: int
) -> tuple[list[str], NDArray[np.float32]]:
    """Names of the attributes, and the attributes of all nodes, (M, F); 0 where a layer has none."""
    columns: list[str] = []
    table = np.zeros((size, 0), dtype=np.float32)
    ends = np.searchsorted(layers.edges[:, 1], np.arange(0, len(layers.codes) + CHUNK, CHUNK))
    for chunk, start in enumerate(range(0, len(layers.codes), CHUNK)):
        rows = slice(start, min(start + CHUNK, len(layers.codes)))
        edges = layers.edges[ends[chunk] : ends[chunk + 1]]
        # A layer may read one of an earlier chunk: the rows it reads come along.
        low = int(min(edges[edges[:, 0] >= 0, 0].min(initial=start), start))
        wide = slice(low, rows.stop)
        shifted = np.stack([np.where(edges[:, 0] < 0, -1, edges[:, 0] - low), edges[:, 1] - low], axis=1)
        known = {name: values[wide].astype(np.float64) for name, values in layers.columns.items()}
        numbers = onnx_numbers(layers.labels, layers.codes[wide], known, shifted, batch[layers.network[wide]])
        if not numbers:
            break
        if not columns:
            columns = sorted(numbers)
            table = np.zeros((size, len(columns)), dtype=np.float32)
        block = np.stack([numbers[name][start - low :] for name in columns], axis=1).astype(np.float32)
        table[places[rows]] = np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return columns, table


def _own(code: int, layers: Layers, networks: int) -> Ints:
    """The row of the network's own node of that operation, the first where there are several; -1 where it has none."""
    rows = np.full(networks, -1, dtype=np.int64)
    found = np.flatnonzero(layers.codes == code)[::-1]
    rows[layers.network[found]] = found
    return rows


def _sort(
    layers: Layers, inner: Ints, sources: Ints, sinks: Ints, own_input: Ints, own_output: Ints, local: Ints,
    first: Ints, counts: Ints, names: list[str], file: str,
) -> None:  # fmt: skip
    """Puts the layers of networks that are not written in topological order into one; changes ``local``."""
    wrong = set(layers.network[inner[inner[:, 0] >= inner[:, 1], 1]].tolist())
    wrong |= set(np.flatnonzero((own_input >= 0) & (own_input != first)).tolist())
    wrong |= set(np.flatnonzero((own_output >= 0) & (own_output != first + counts - 1)).tolist())
    for network in sorted(wrong):
        rows = range(int(first[network]), int(first[network] + counts[network]))
        before: dict[int, list[int]] = {row: [] for row in rows}
        for source, target in inner[layers.network[inner[:, 1]] == network].tolist():
            before[target].append(source)
        try:
            order = list(TopologicalSorter(before).static_order())
        except CycleError as error:
            around = ", ".join(str(layers.number[row]) for row in error.args[1][1:][:8])
            raise UsageError(
                f"network '{names[network]}' in {file} has a cycle through nodes {around}; a network must be acyclic"
            ) from error
        depth = dict.fromkeys(rows, 0)
        for row in order:
            depth[row] = max((depth[source] + 1 for source in before[row]), default=0)
        ends = int(own_input[network]), int(own_output[network])
        place = sorted(rows, key=lambda row: (row != ends[0], row == ends[1], depth[row], row))
        local[place] = np.arange(len(place))


def _input_sizes(
    table: NDArray[np.float32], columns: list[str], layers: Layers, readers: Ints, node: Ints, added: NDArray[np.bool_],
    batch: NDArray[np.float64],
) -> None:  # fmt: skip
    """The shape of the network's input, from the first layer that reads it."""
    if not {"in_channels", "in_size"} <= layers.columns.keys() or "output_3" not in columns:
        return
    readers, node = readers[added][::-1], node[added][::-1]  # the first reader is written last
    sizes = (batch[layers.network], layers.columns["in_channels"], *[layers.columns["in_size"]] * 2)
    for place, values in enumerate(sizes):
        given = values[readers]
        table[node, columns.index(f"output_{place}")] = np.where(np.isfinite(given), given, 0)


def _whole_networks(
    attributes: Mapping[str, NDArray[np.float64]], table: NDArray[np.float32], columns: list[str], start: Ints,
    batch: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """What the table says of whole networks, and the sums of their layers where it does not."""
    whole = {name: values for name, values in attributes.items() if name != "nodes"}
    for name in ("macs", "parameters", "memory_bytes"):
        if name in columns and name not in whole:
            whole[name] = np.add.reduceat(table[:, columns.index(name)].astype(np.float64), start)
    if "macs" in whole:
        whole.setdefault("flops", 2.0 * whole["macs"])
    whole["batch_size"] = batch
    return whole
