"""The second half of a node table: one row a layer, turned into packed graphs."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.network_layers import Ints, Layers, distinct, read_layers
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import MAX_NODES
from nasx.search_spaces.layer_numbers import OPERATORS, onnx_numbers
from nasx.search_spaces.packed_graphs import PackedGraphs

INPUT, OUTPUT = "input", "output"
CHUNK = 1 << 19  # layers whose attributes are worked out at once


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
    layers = read_layers(nodes, ids, file)
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
    flat = distinct((graph << 32) + (pairs[:, 0] << 16) + pairs[:, 1])  # MAX_NODES < 2^16
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
