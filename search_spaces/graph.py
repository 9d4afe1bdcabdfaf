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


class Graph:
    """A directed acyclic graph with one operation label a node. Frozen, hashable, comparable.

    Nodes are in topological order: node 0 is the input of the network, the last node its output, every edge points
    to a later node. Two graphs are equal when labels, edges and attributes are equal node by node; isomorphic graphs
    have equal ``canonical()`` forms.

    Args:
        operations: Labels, one a node.
        adjacency: ``(N, N)``, zeros and ones; ``adjacency[i, j]`` is the edge from node i to node j > i.
        attributes: Numbers that belong to the whole graph, for example ``{"input_size": 32}``.

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
    """

    __slots__ = ("_hash", "adjacency", "attributes", "operations")

    operations: tuple[str, ...]
    adjacency: np.ndarray
    attributes: Mapping[str, float]
    _hash: int | None

    def __init__(
        self, operations: Sequence[str], adjacency: ArrayLike, attributes: Mapping[str, float] | None = None
    ) -> None:
        labels = (operations,) if isinstance(operations, str) else tuple(operations)
        matrix = _checked_adjacency(adjacency, len(labels))
        if not all(isinstance(label, str) for label in labels):
            raise UsageError(f"operation labels must be text; got {labels!r}")
        numbers = {str(key): float(value) for key, value in (attributes or {}).items()}
        for key, value in numbers.items():
            if not math.isfinite(value):
                raise UsageError(f"attribute '{key}' of a graph must be a finite number; got {value}")
        self._fill(labels, matrix, numbers)

    def _fill(self, operations: tuple[str, ...], adjacency: np.ndarray, attributes: Mapping[str, float]) -> None:
        adjacency.flags.writeable = False
        object.__setattr__(self, "operations", operations)
        object.__setattr__(self, "adjacency", adjacency)
        object.__setattr__(self, "attributes", attributes)
        object.__setattr__(self, "_hash", None)

    @classmethod
    def trusted(
        cls, operations: tuple[str, ...], adjacency: np.ndarray, attributes: Mapping[str, float] | None = None
    ) -> Graph:
        """Makes a graph from parts known to be right, without checks or copies: for adapters in inner loops.

        Args:
            operations: Labels, a tuple.
            adjacency: ``(N, N)`` bool, strictly upper-triangular; it becomes read-only.
            attributes: Finite numbers.
        """
        graph = object.__new__(cls)
        graph._fill(operations, adjacency, attributes or {})
        return graph

    @classmethod
    def from_edges(
        cls,
        operations: Sequence[str],
        edges: Iterable[tuple[int, int]],
        attributes: Mapping[str, float] | None = None,
    ) -> Graph:
        """Makes a graph from a list of edges, in any order of nodes.

        Nodes are put into topological order, keeping the given order wherever edges allow it, so that a first node
        without predecessors stays first and a last node without successors stays last.

        Raises:
            UsageError: If an edge names a node that does not exist, or the edges form a cycle.

        >>> Graph.from_edges(["input", "pool", "conv", "output"], [(0, 2), (2, 1), (1, 3)])
        Graph(input, conv, pool, output; 0>1 1>2 2>3)
        """
        count = len(operations)
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
        return cls([operations[node] for node in order], adjacency, attributes)

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
        return Graph.trusted(labels, self.adjacency[np.ix_(keep, keep)], self.attributes)

    def _canonical_parts(self) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
        """Labels and sorted edges of the canonical form."""
        edges = self.edges
        keep = live_nodes(self.operations, edges)
        operations: Sequence[str] = self.operations
        if len(keep) < len(operations):
            place = {node: index for index, node in enumerate(keep)}
            edges = tuple((place[u], place[v]) for u, v in edges if u in place and v in place)
            operations = [operations[node] for node in keep]
        order = canonical_order(operations, edges)
        labels = [""] * len(order)
        for node, position in enumerate(order):
            labels[position] = operations[node]
        return tuple(labels), sorted([(order[u], order[v]) for u, v in edges])

    def canonical(self) -> Graph:
        """Returns the canonical form: pruned, nodes in the canonical order. Equal for isomorphic graphs.

        The order is exact (no hash collisions), topological, and keeps the input first and the output last.
        """
        labels, edges = self._canonical_parts()
        adjacency = np.zeros((len(labels), len(labels)), dtype=bool)
        for source, target in edges:
            adjacency[source, target] = True
        return Graph.trusted(labels, adjacency, self.attributes)

    def canonical_hash(self) -> str:
        """Returns 32 hexadecimal digits, the same in every process, equal for graphs with equal canonical forms."""
        labels, edges = self._canonical_parts()
        text = json.dumps((labels, edges, sorted(self.attributes.items())), separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dictionary: ``operations``, ``edges`` and, if there are any, ``attributes``.

        >>> Graph(["input", "output"], [[0, 1], [0, 0]]).to_dict()
        {'operations': ['input', 'output'], 'edges': [[0, 1]]}
        """
        record: dict[str, Any] = {"operations": list(self.operations), "edges": [list(edge) for edge in self.edges]}
        if self.attributes:
            record["attributes"] = dict(self.attributes)
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
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(
                "a graph is written as {'operations': [labels], 'edges': [[source, target], ...]}; "
                f"could not read {str(record)[:80]}"
            ) from error
        return cls.from_edges(operations, edges, attributes)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"graphs are frozen; make a new Graph instead of setting '{name}'")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"graphs are frozen; '{name}' cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return (
            self.operations == other.operations
            and np.array_equal(self.adjacency, other.adjacency)
            and self.attributes == other.attributes
        )

    def __hash__(self) -> int:
        if self._hash is None:
            value = hash((self.operations, self.adjacency.tobytes(), frozenset(self.attributes.items())))
            object.__setattr__(self, "_hash", value)
        return self._hash  # type: ignore[return-value]

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.operations, np.array(self.adjacency), dict(self.attributes))

    def __repr__(self) -> str:
        edges = " ".join(f"{source}>{target}" for source, target in self.edges)
        extra = f"; {dict(self.attributes)}" if self.attributes else ""
        return f"Graph({', '.join(self.operations)}; {edges or 'no edges'}{extra})"


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
