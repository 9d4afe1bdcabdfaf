"""The operation graph: what every architecture of every space is turned into."""

from __future__ import annotations

import hashlib
import heapq
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nasx.search_spaces.canonical import canonical_order, live_nodes
from nasx.search_spaces.errors import UsageError

MAX_NODES = 20_000
"""Nodes of the largest graph: its adjacency then takes 400 MB."""


class Graph:
    """A directed acyclic graph with one operation label a node. Frozen, hashable, comparable.

    Nodes are in topological order: node 0 is the input of the network, the last node its output, every edge points
    to a later node. Two graphs are equal when labels, edges and attributes are equal node by node; isomorphic graphs
    have equal ``canonical()`` forms.

    Args:
        operations: Labels, one a node.
        adjacency: ``(N, N)``, zeros and ones; ``adjacency[i, j]`` is the edge from node i to node j > i.
        attributes: Numbers that belong to the whole graph, for example ``{"input_size": 32}``.
        node_attributes: ``(N, F)`` float32, F numbers a node, for example its kernel; None where nodes have none.
        node_attribute_names: F names of the columns; the graph keeps the columns in the order of their names.

    Raises:
        UsageError: If the graph has no node, the shapes do not fit, an entry is not 0 or 1, an edge points backwards
            (see ``Graph.from_edges``, which orders nodes itself) or an attribute is not a finite number.

    >>> cell = Graph(["input", "conv3x3", "none", "output"], [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    >>> cell.num_nodes, cell.edges
    (4, ((0, 1), (0, 2), (1, 3), (2, 3)))
    >>> cell.pruned()
    Graph(input, conv3x3, output; 0>1 1>2)
    >>> cell.canonical_hash() == cell.pruned().canonical_hash()
    True
    >>> layer = Graph(["input", "conv"], [[0, 1], [0, 0]], node_attributes=[[0], [3]], node_attribute_names=["kernel"])
    >>> layer.node_attributes[:, 0].tolist()
    [0.0, 3.0]
    """

    __slots__ = ("_hash", "adjacency", "attributes", "node_attribute_names", "node_attributes", "operations")

    operations: tuple[str, ...]
    adjacency: np.ndarray
    attributes: Mapping[str, float]
    node_attributes: np.ndarray | None
    node_attribute_names: tuple[str, ...]
    _hash: int | None

    def __init__(
        self,
        operations: Sequence[str],
        adjacency: ArrayLike,
        attributes: Mapping[str, float] | None = None,
        node_attributes: ArrayLike | None = None,
        node_attribute_names: Sequence[str] = (),
    ) -> None:
        labels = (operations,) if isinstance(operations, str) else tuple(operations)
        _check_size(len(labels))
        matrix = _checked_adjacency(adjacency, len(labels))
        if not all(isinstance(label, str) for label in labels):
            raise UsageError(f"operation labels must be text; got {labels!r}")
        numbers = {str(key): float(value) for key, value in (attributes or {}).items()}
        for key, value in numbers.items():
            if not math.isfinite(value):
                raise UsageError(f"attribute '{key}' of a graph must be a finite number; got {value}")
        table, names = _checked_node_attributes(node_attributes, node_attribute_names, len(labels))
        self._fill(labels, matrix, numbers, table, names)

    def _fill(
        self,
        operations: tuple[str, ...],
        adjacency: np.ndarray,
        attributes: Mapping[str, float],
        node_attributes: np.ndarray | None,
        node_attribute_names: tuple[str, ...],
    ) -> None:
        adjacency.flags.writeable = False
        if node_attributes is not None:
            node_attributes.flags.writeable = False
        object.__setattr__(self, "operations", operations)
        object.__setattr__(self, "adjacency", adjacency)
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "node_attributes", node_attributes)
        object.__setattr__(self, "node_attribute_names", node_attribute_names)
        object.__setattr__(self, "_hash", None)

    @classmethod
    def trusted(
        cls,
        operations: tuple[str, ...],
        adjacency: np.ndarray,
        attributes: Mapping[str, float] | None = None,
        node_attributes: np.ndarray | None = None,
        node_attribute_names: tuple[str, ...] = (),
    ) -> Graph:
        """Makes a graph from parts known to be right, without checks or copies: for adapters in inner loops.

        Args:
            operations: Labels, a tuple.
            adjacency: ``(N, N)`` bool, strictly upper-triangular; it becomes read-only.
            attributes: Finite numbers.
            node_attributes: ``(N, F)`` float32, finite, or None; it becomes read-only.
            node_attribute_names: Names of its columns, sorted.
        """
        graph = object.__new__(cls)
        graph._fill(operations, adjacency, attributes or {}, node_attributes, node_attribute_names)
        return graph

    @classmethod
    def from_edges(
        cls,
        operations: Sequence[str],
        edges: Iterable[tuple[int, int]],
        attributes: Mapping[str, float] | None = None,
        node_attributes: ArrayLike | None = None,
        node_attribute_names: Sequence[str] = (),
    ) -> Graph:
        """Makes a graph from a list of edges, in any order of nodes.

        Nodes are put into topological order, keeping the given order wherever edges allow it, so that a first node
        without predecessors stays first and a last node without successors stays last. Attributes of nodes are given in
        the order of the operations given.

        Raises:
            UsageError: If an edge names a node that does not exist, or the edges form a cycle.

        >>> Graph.from_edges(["input", "pool", "conv", "output"], [(0, 2), (2, 1), (1, 3)])
        Graph(input, conv, pool, output; 0>1 1>2 2>3)
        """
        count = len(operations)
        _check_size(count)
        successors: list[set[int]] = [set() for _ in range(count)]
        waiting = [0] * count
        for source, target in edges:
            if not (0 <= source < count and 0 <= target < count):
                raise UsageError(f"edge {source}>{target} names a node that does not exist; nodes are 0..{count - 1}")
            if target not in successors[source]:
                successors[source].add(target)
                waiting[target] += 1
        ready = [node for node in range(count) if not waiting[node]]
        order: list[int] = []
        while ready:
            node = heapq.heappop(ready)
            order.append(node)
            for target in successors[node]:
                waiting[target] -= 1
                if not waiting[target]:
                    heapq.heappush(ready, target)
        if len(order) < count:
            stuck = ", ".join(str(node) for node in range(count) if waiting[node])
            raise UsageError(f"the edges form a cycle through nodes {stuck}; an operation graph must be acyclic")
        position = {node: place for place, node in enumerate(order)}
        adjacency = np.zeros((count, count), dtype=bool)
        for source, targets in enumerate(successors):
            for target in targets:
                adjacency[position[source], position[target]] = True
        if node_attributes is not None:
            table, names = _checked_node_attributes(node_attributes, node_attribute_names, count)
            node_attributes, node_attribute_names = None if table is None else table[order], names
        return cls([operations[node] for node in order], adjacency, attributes, node_attributes, node_attribute_names)

    @property
    def num_nodes(self) -> int:
        """The number of nodes, input and output included."""
        return len(self.operations)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges ``(source, target)``, sorted."""
        sources, targets = self.adjacency.nonzero()
        return tuple(zip(sources.tolist(), targets.tolist(), strict=True))

    def pruned(self) -> Graph:
        """Returns the graph without dead parts.

        Dropped are nodes labelled ``none`` and nodes on no path from the first (input) to the last (output) node. A
        graph with nothing alive becomes its input and output, unconnected. Order is kept.
        """
        keep = live_nodes(self.operations, self.edges)
        if len(keep) == self.num_nodes:
            return self
        labels = tuple(self.operations[node] for node in keep)
        table = None if self.node_attributes is None else self.node_attributes[keep]
        adjacency = self.adjacency[np.ix_(keep, keep)]
        return Graph.trusted(labels, adjacency, self.attributes, table, self.node_attribute_names)

    def _canonical_parts(self) -> tuple[tuple[str, ...], list[tuple[int, int]], np.ndarray | None]:
        """Labels, sorted edges and node attributes of the canonical form."""
        edges = self.edges
        keep = live_nodes(self.operations, edges)
        operations: Sequence[str] = self.operations
        if len(keep) < len(operations):
            place = {node: index for index, node in enumerate(keep)}
            edges = tuple((place[u], place[v]) for u, v in edges if u in place and v in place)
            operations = [operations[node] for node in keep]
        table = self.node_attributes
        if table is None:
            order = canonical_order(operations, edges)
        else:  # nodes are alike only if their numbers are
            table = table[keep]
            rows = zip(operations, table, strict=True)
            order = canonical_order([f"{label} {row.tobytes().hex()}" for label, row in rows], edges)
            table = table[np.argsort(order)]
        labels = [""] * len(order)
        for node, position in enumerate(order):
            labels[position] = operations[node]
        return tuple(labels), sorted([(order[u], order[v]) for u, v in edges]), table

    def canonical(self) -> Graph:
        """Returns the canonical form: pruned, nodes in the canonical order. Equal for isomorphic graphs.

        The order is exact (no hash collisions), topological, and keeps the input first and the output last.
        """
        labels, edges, table = self._canonical_parts()
        adjacency = np.zeros((len(labels), len(labels)), dtype=bool)
        for source, target in edges:
            adjacency[source, target] = True
        return Graph.trusted(labels, adjacency, self.attributes, table, self.node_attribute_names)

    def canonical_hash(self) -> str:
        """Returns 32 hexadecimal digits, the same in every process, equal for graphs with equal canonical forms."""
        labels, edges, table = self._canonical_parts()
        text = json.dumps((labels, edges, sorted(self.attributes.items())), separators=(",", ":"))
        digest = hashlib.blake2b(text.encode(), digest_size=16)
        if table is not None:
            digest.update(json.dumps(self.node_attribute_names).encode())
            digest.update(np.ascontiguousarray(table, dtype="<f4").tobytes())
        return digest.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dictionary: ``operations``, ``edges`` and, if there are any, attributes.

        >>> Graph(["input", "output"], [[0, 1], [0, 0]]).to_dict()
        {'operations': ['input', 'output'], 'edges': [[0, 1]]}
        """
        record: dict[str, Any] = {"operations": list(self.operations), "edges": [list(edge) for edge in self.edges]}
        if self.attributes:
            record["attributes"] = dict(self.attributes)
        if self.node_attributes is not None:
            columns = zip(self.node_attribute_names, self.node_attributes.T, strict=True)
            record["node_attributes"] = {name: column.tolist() for name, column in columns}
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Graph:
        """Makes the graph that ``to_dict`` described.

        Raises:
            UsageError: If a key is missing, an edge is no pair of numbers, or the graph is invalid.
        """
        try:
            operations = record["operations"]
            edges = [(int(source), int(target)) for source, target in record["edges"]]
            attributes = record.get("attributes", {})
            columns = dict(record.get("node_attributes", {}))
            table = np.array(list(columns.values()), dtype=np.float32).T if columns else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                "a graph is written as {'operations': [labels], 'edges': [[source, target], ...]}; "
                f"could not read {str(record)[:80]}"
            ) from error
        return cls.from_edges(operations, edges, attributes, table, tuple(columns))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"graphs are frozen; make a new Graph instead of setting '{name}'")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"graphs are frozen; '{name}' cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        mine, theirs = self.node_attributes, other.node_attributes
        return (
            self.operations == other.operations
            and np.array_equal(self.adjacency, other.adjacency)
            and self.attributes == other.attributes
            and self.node_attribute_names == other.node_attribute_names
            and (mine is None or theirs is None or np.array_equal(mine, theirs))
        )

    def __hash__(self) -> int:
        if self._hash is None:
            table = b"" if self.node_attributes is None else self.node_attributes.tobytes()
            value = hash((self.operations, self.adjacency.tobytes(), frozenset(self.attributes.items()), table))
            object.__setattr__(self, "_hash", value)
        return self._hash  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        parts = (self.operations, np.array(self.adjacency), dict(self.attributes))
        return Graph, (*parts, self.node_attributes, self.node_attribute_names)

    def __repr__(self) -> str:
        edges = " ".join(f"{source}>{target}" for source, target in self.edges)
        extra = f"; {dict(self.attributes)}" if self.attributes else ""
        extra += f"; nodes with {', '.join(self.node_attribute_names)}" if self.node_attribute_names else ""
        return f"Graph({', '.join(self.operations)}; {edges or 'no edges'}{extra})"


def _check_size(num_nodes: int) -> None:
    if num_nodes > MAX_NODES:
        raise UsageError(f"a graph has {num_nodes:,} nodes; graphs of up to {MAX_NODES:,} nodes can be read")


def _checked_adjacency(adjacency: ArrayLike, num_nodes: int) -> np.ndarray:
    """A fresh bool matrix, or the error that says what is wrong with it."""
    given = np.asarray(adjacency)
    if num_nodes == 0:
        raise UsageError("a graph needs at least one node; got no operation labels")
    if given.shape != (num_nodes, num_nodes):
        raise UsageError(
            f"{num_nodes} operation labels need an adjacency of shape ({num_nodes}, {num_nodes}); got {given.shape}"
        )
    matrix = np.array(given, dtype=bool)
    if given.dtype != bool and not np.array_equal(matrix, given):
        raise UsageError("an adjacency holds only zeros and ones")
    backwards = np.tril(matrix)
    if backwards.any():
        source, target = (int(value) for value in np.argwhere(backwards)[0])
        raise UsageError(
            f"edge {source}>{target} does not point to a later node; the adjacency must be strictly upper-triangular "
            "(Graph.from_edges orders nodes for you)"
        )
    return matrix


def _checked_node_attributes(
    table: ArrayLike | None, names: Sequence[str], num_nodes: int
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """A fresh ``(N, F)`` float32 table and its names, sorted; or the error that says what is wrong with them."""
    words = (names,) if isinstance(names, str) else tuple(names)
    if table is None and not words:
        return None, ()
    given = np.zeros((num_nodes, 0)) if table is None else np.asarray(table)
    if given.shape != (num_nodes, len(words)) or len(set(words)) < len(words) or not all(words):
        raise UsageError(
            f"node attributes need one row for each of the {num_nodes} nodes and one column for each name, shape "
            f"({num_nodes}, {len(words)}), and names that differ; got {given.shape} and {', '.join(map(str, words))}"
        )
    try:
        with np.errstate(over="ignore"):
            numbers = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"node attributes must be numbers; got {given.ravel()[:3]!s}") from error
    finite = np.isfinite(numbers)
    if not finite.all():
        node, column = (int(value) for value in np.argwhere(~finite)[0])
        raise UsageError(
            f"attribute '{words[column]}' of node {node} must be a finite number; got {given[node, column]}"
        )
    if not words:
        return None, ()
    order = sorted(range(len(words)), key=words.__getitem__)
    return np.ascontiguousarray(numbers[:, order] + np.float32(0)), tuple(words[place] for place in order)  # no -0.0
