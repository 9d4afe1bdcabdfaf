"""Many graphs of very different sizes without padding: the form in which whole networks are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from nasx.search_spaces.batch import GraphBatch, as_batch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import MAX_NODES, Graph

SPREAD = 1.4
"""How much larger the largest graph of a bucket may be than its smallest: (1.4)^2 < 2, so that less than half of the
work is padding, even where work grows with the square of a size."""

MOST_PADDED = 2**26
"""Entries of adjacency matrices beyond which a list of graphs is packed, not padded."""

SAME_WORK = (
    ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout"),
    ("GlobalAveragePool", "ReduceMean"),
    ("Gemm", "MatMul"),
    ("Add", "Sub"),
    ("Mul", "Div"),
)
"""ONNX operators that are the same work for a device: one exporter writes this, another that, for the same layer."""


class PackedGraphs:
    """B graphs with M nodes and E edges in all, one after another. Frozen; ``len``, iteration, indexing as a sequence.

    Args:
        operations: ``(M,)`` codes into the vocabulary, graph after graph, in topological order.
        num_nodes: ``(B,)`` nodes of each graph.
        edges: ``(E, 2)`` node numbers (source, target) within their graph, sorted graph by graph.
        num_edges: ``(B,)`` edges of each graph.
        vocabulary: The operation labels the codes stand for.
        attributes: Whole-graph numbers, ``(B,)`` each; NaN where a graph does not have that attribute.
        node_attributes: ``(M, F)`` float32, NaN where a graph does not have it; None where no graph has any.
        node_attribute_names: F names of the columns, sorted.

    Raises:
        UsageError: If shapes do not fit, codes lie outside the vocabulary, or an edge does not point to a later node.

    >>> chain = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> packed = PackedGraphs.from_graphs([chain, Graph(["input", "output"], [[0, 1], [0, 0]])])
    >>> len(packed), packed.operations.tolist(), packed.edges.tolist()
    (2, [1, 0, 2, 1, 2], [[0, 1], [1, 2], [0, 1]])
    >>> packed[0] == chain, packed[1:].dense().operations.tolist()
    (True, [[1, 2]])
    """

    __slots__ = (
        "attributes",
        "edges",
        "node_attribute_names",
        "node_attributes",
        "num_edges",
        "num_nodes",
        "operations",
        "vocabulary",
    )

    operations: np.ndarray
    num_nodes: np.ndarray
    edges: np.ndarray
    num_edges: np.ndarray
    vocabulary: tuple[str, ...]
    attributes: Mapping[str, np.ndarray]
    node_attributes: np.ndarray | None
    node_attribute_names: tuple[str, ...]

    def __init__(
        self,
        operations: ArrayLike,
        num_nodes: ArrayLike,
        edges: ArrayLike,
        num_edges: ArrayLike,
        vocabulary: Sequence[str],
        attributes: Mapping[str, ArrayLike] | None = None,
        node_attributes: ArrayLike | None = None,
        node_attribute_names: Sequence[str] = (),
    ) -> None:
        codes, counts = np.asarray(operations, dtype=np.int16), np.asarray(num_nodes, dtype=np.int64)
        if counts.max(initial=0) > MAX_NODES:
            raise UsageError(f"a graph has {counts.max():,} nodes; graphs of up to {MAX_NODES:,} nodes can be read")
        pairs, edge_counts = np.asarray(edges, dtype=np.int32), np.asarray(num_edges, dtype=np.int64)
        words, names = tuple(vocabulary), tuple(node_attribute_names)
        if codes.ndim != 1 or counts.ndim != 1 or counts.sum() != len(codes) or (counts < 1).any():
            raise UsageError(
                "packed graphs need operations (M,) and num_nodes (B,), positive, that add up to M; "
                f"got {codes.shape} and {counts.shape} with the sum {counts.sum()}"
            )
        if pairs.shape != (edge_counts.sum(), 2) or edge_counts.shape != counts.shape or (edge_counts < 0).any():
            raise UsageError(
                "packed graphs need edges (E, 2) and num_edges (B,) that add up to E; "
                f"got {pairs.shape} and {edge_counts.shape} with the sum {edge_counts.sum()}"
            )
        if codes.size and not (codes.min() >= 0 and codes.max() < len(words)):
            raise UsageError(f"operation codes must lie in 0..{len(words) - 1}; got {codes.min()}..{codes.max()}")
        sources, targets = pairs[:, 0], pairs[:, 1]
        if not ((sources >= 0) & (sources < targets) & (targets < np.repeat(counts, edge_counts))).all():
            raise UsageError("edges of packed graphs must lead from a node to a later node of the same graph")
        columns = {key: np.asarray(value, dtype=np.float64) for key, value in (attributes or {}).items()}
        for key, column in columns.items():
            if column.shape != counts.shape:
                raise UsageError(
                    f"attribute '{key}' needs one number a graph, shape {counts.shape}; got {column.shape}"
                )
        table = None if node_attributes is None or not names else np.asarray(node_attributes, dtype=np.float32)
        if (table is None and names) or (table is not None and table.shape != (len(codes), len(names))):
            raise UsageError(
                f"node attributes need {len(names)} numbers a node, shape {(len(codes), len(names))}; "
                f"got {None if table is None else table.shape}"
            )
        if list(names) != sorted(set(names)):
            raise UsageError(f"names of node attributes are sorted and differ; got {', '.join(names)}")
        self._fill(codes, counts, pairs, edge_counts, words, columns, table, names)

    def _fill(self, *parts: Any) -> None:
        names = ("operations", "num_nodes", "edges", "num_edges", "vocabulary", "attributes", "node_attributes")
        for name, value in zip((*names, "node_attribute_names"), parts, strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def from_graphs(cls, graphs: Sequence[Graph]) -> PackedGraphs:
        """Packs graphs; the vocabulary is the sorted set of their labels.

        Raises:
            UsageError: If something in the sequence is not a graph.
        """
        listed = list(graphs)
        for graph in listed:
            if not isinstance(graph, Graph):
                raise UsageError(
                    f"expected graphs (space.graphs(architectures) makes them); got {type(graph).__name__}"
                )
        vocabulary = sorted({label for graph in listed for label in graph.operations})
        code = {label: index for index, label in enumerate(vocabulary)}
        counts = np.array([graph.num_nodes for graph in listed], dtype=np.int64)
        codes = np.array([code[label] for graph in listed for label in graph.operations], dtype=np.int16)
        pairs = [np.argwhere(graph.adjacency).astype(np.int32) for graph in listed]
        names = sorted({name for graph in listed for name in graph.attributes})
        attributes = {name: [graph.attributes.get(name, np.nan) for graph in listed] for name in names}
        table, columns = None, sorted({name for graph in listed for name in graph.node_attribute_names})
        if columns:
            table = np.full((len(codes), len(columns)), np.nan, dtype=np.float32)
            ends = np.cumsum(counts)
            for graph, end in zip(listed, ends, strict=True):
                if graph.node_attributes is not None:
                    places = [columns.index(name) for name in graph.node_attribute_names]
                    table[end - graph.num_nodes : end, places] = graph.node_attributes
        edges = np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int32)
        return cls(codes, counts, edges, [len(part) for part in pairs], vocabulary, attributes, table, columns)

    @classmethod
    def from_batch(cls, graphs: GraphBatch) -> PackedGraphs:
        """Packs the graphs of a padded batch; the vocabulary stays."""
        mask = graphs.mask
        rows, sources, targets = graphs.adjacency.nonzero()
        table = None if graphs.node_attributes is None else graphs.node_attributes[mask]
        return cls(
            graphs.operations[mask],
            graphs.num_nodes,
            np.stack([sources, targets], axis=1),
            np.bincount(rows, minlength=len(graphs)),
            graphs.vocabulary,
            graphs.attributes,
            table,
            graphs.node_attribute_names,
        )

    @classmethod
    def concatenate(cls, parts: Sequence[PackedGraphs]) -> PackedGraphs:
        """Joins packed graphs; vocabularies are merged (the first one's codes stay).

        >>> one = PackedGraphs.from_graphs([Graph(["input"], [[0]])])
        >>> PackedGraphs.concatenate([one, PackedGraphs.from_graphs([Graph(["conv"], [[0]])])]).vocabulary
        ('input', 'conv')
        """
        parts = list(parts)
        if not parts:
            return cls.from_graphs([])
        vocabulary = tuple(dict.fromkeys(word for part in parts for word in part.vocabulary))
        parts = [part.recode(vocabulary) for part in parts]
        names = sorted({name for part in parts for name in part.attributes})
        columns = sorted({name for part in parts for name in part.node_attribute_names})
        return cls(
            np.concatenate([part.operations for part in parts]),
            np.concatenate([part.num_nodes for part in parts]),
            np.concatenate([part.edges for part in parts]),
            np.concatenate([part.num_edges for part in parts]),
            vocabulary,
            {
                name: np.concatenate([part.attributes.get(name, np.full(len(part), np.nan)) for part in parts])
                for name in names
            },
            np.concatenate([part.node_columns(columns) for part in parts]) if columns else None,
            columns,
        )

    @property
    def max_nodes(self) -> int:
        """The number of nodes of the largest graph, 0 without graphs."""
        return int(self.num_nodes.max(initial=0))

    @property
    def first_nodes(self) -> np.ndarray:
        """``(B,)`` place of each graph's first node in a row of all nodes."""
        return np.cumsum(self.num_nodes) - self.num_nodes

    @property
    def graph_of_node(self) -> np.ndarray:
        """``(M,)`` the number of the graph that each node belongs to."""
        return np.repeat(np.arange(len(self)), self.num_nodes)

    def global_edges(self) -> np.ndarray:
        """Edges as places in a row of all nodes, ``(E, 2)`` int64."""
        return self.edges + np.repeat(self.first_nodes, self.num_edges)[:, None]

    def node_columns(self, names: Sequence[str]) -> np.ndarray:
        """Node attributes in the columns of these names, ``(M, F)`` float32; NaN where a graph lacks one."""
        table = np.full((len(self.operations), len(names)), np.nan, dtype=np.float32)
        if self.node_attributes is not None:
            for place, name in enumerate(names):
                if name in self.node_attribute_names:
                    table[:, place] = self.node_attributes[:, self.node_attribute_names.index(name)]
        return table

    def recode(self, vocabulary: Sequence[str]) -> PackedGraphs:
        """Returns the same graphs with codes into another vocabulary.

        An operation that the vocabulary lacks becomes one of the same work (`SAME_WORK`) that it has.

        Raises:
            UsageError: If a graph has an operation that the vocabulary lacks, under any name.

        >>> from nasx.search_spaces.graph import Graph
        >>> PackedGraphs.from_graphs([Graph(["ReduceMean"], [[0]])]).recode(["GlobalAveragePool"])[0].operations
        ('GlobalAveragePool',)
        """
        words = tuple(vocabulary)
        if words == self.vocabulary:
            return self
        position = {word: index for index, word in enumerate(words)}
        for names in SAME_WORK:
            known = [position[name] for name in names if name in position]
            for name in names if known else ():
                position.setdefault(name, known[0])
        used = np.bincount(self.operations, minlength=len(self.vocabulary))
        missing = [word for word, count in zip(self.vocabulary, used, strict=True) if count and word not in position]
        if missing:
            raise UsageError(
                f"unknown operation{'s' if len(missing) > 1 else ''} {', '.join(missing)}; known: {', '.join(words)}"
            )
        table = np.array([position.get(word, 0) for word in self.vocabulary], dtype=np.int16)
        codes = table[self.operations] if len(table) else self.operations
        return self._with(codes, words)

    def _with(self, codes: np.ndarray, words: tuple[str, ...]) -> PackedGraphs:
        graphs = object.__new__(PackedGraphs)
        parts = (codes, self.num_nodes, self.edges, self.num_edges, words, self.attributes)
        graphs._fill(*parts, self.node_attributes, self.node_attribute_names)
        return graphs

    def dense(self) -> GraphBatch:
        """Returns the graphs padded to the largest: ``B N (N + 4)`` bytes, so pack few, or of about one size.

        >>> PackedGraphs.from_graphs([Graph(["input"], [[0]])]).dense()
        GraphBatch(1 graphs, up to 1 nodes, 1 operations)
        """
        width = max(self.max_nodes, 1)
        real = np.arange(width) < self.num_nodes[:, None]
        operations = np.full(real.shape, -1, dtype=np.int16)
        operations[real] = self.operations
        adjacency = np.zeros((*real.shape, width), dtype=bool)
        adjacency[np.repeat(np.arange(len(self)), self.num_edges), self.edges[:, 0], self.edges[:, 1]] = True
        table = None
        if self.node_attributes is not None:
            table = np.zeros((*real.shape, len(self.node_attribute_names)), dtype=np.float32)
            table[real] = self.node_attributes
        attributes, names = self.attributes, self.node_attribute_names
        return GraphBatch(operations, adjacency, self.num_nodes, self.vocabulary, attributes, table, names)

    def buckets(self, nodes: int) -> Iterator[np.ndarray]:
        """Row numbers of graphs of similar sizes: padded, a bucket has at most so many nodes (or is one graph).

        The largest graph of a bucket has at most ``SPREAD`` times the nodes of the smallest.

        >>> packed = PackedGraphs.from_graphs([Graph(["a"] * n, [[0] * n] * n) for n in (3, 9, 3, 3)])
        >>> [rows.tolist() for rows in packed.buckets(6)]
        [[0, 2], [3], [1]]
        """
        order = np.argsort(self.num_nodes, kind="stable")
        sizes = self.num_nodes[order]
        start = 0
        while start < len(order):
            end = start + 1
            most = sizes[start] * SPREAD
            while end < len(order) and sizes[end] <= most and sizes[end] * (end + 1 - start) <= nodes:
                end += 1
            yield order[start:end]
            start = end

    def __len__(self) -> int:
        return len(self.num_nodes)

    def __iter__(self) -> Iterator[Graph]:
        return (self[row] for row in range(len(self)))

    @overload
    def __getitem__(self, key: int | np.integer) -> Graph: ...

    @overload
    def __getitem__(self, key: slice | np.ndarray | Sequence[int]) -> PackedGraphs: ...

    def __getitem__(self, key: int | np.integer | slice | np.ndarray | Sequence[int]) -> Graph | PackedGraphs:
        if isinstance(key, int | np.integer):
            return self[np.array([range(len(self))[int(key)]])].dense()[0]
        rows = np.arange(len(self))[key if isinstance(key, slice) else _index(key)]
        counts, edge_counts = self.num_nodes[rows], self.num_edges[rows]
        nodes = _ranges(self.first_nodes[rows], counts)
        edges = _ranges((np.cumsum(self.num_edges) - self.num_edges)[rows], edge_counts)
        graphs = object.__new__(PackedGraphs)
        attributes = {name: column[rows] for name, column in self.attributes.items()}
        table = None if self.node_attributes is None else self.node_attributes[nodes]
        parts = (self.operations[nodes], counts, self.edges[edges], edge_counts, self.vocabulary, attributes)
        graphs._fill(*parts, table, self.node_attribute_names)
        return graphs

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"packed graphs are frozen; make new PackedGraphs instead of setting '{name}'")

    def __reduce__(self) -> tuple[type[PackedGraphs], tuple[object, ...]]:
        parts = (self.operations, self.num_nodes, self.edges, self.num_edges, self.vocabulary, dict(self.attributes))
        return PackedGraphs, (*parts, self.node_attributes, self.node_attribute_names)

    def __repr__(self) -> str:
        return f"PackedGraphs({len(self)} graphs, up to {self.max_nodes} nodes, {len(self.vocabulary)} operations)"


def as_packed(graphs: PackedGraphs | GraphBatch | Sequence[Graph]) -> PackedGraphs:
    """Returns packed graphs as they are and packs others.

    Raises:
        UsageError: If something in a sequence is not a graph.
    """
    if isinstance(graphs, PackedGraphs):
        return graphs
    return PackedGraphs.from_batch(graphs) if isinstance(graphs, GraphBatch) else PackedGraphs.from_graphs(graphs)


def as_graphs(graphs: PackedGraphs | GraphBatch | Sequence[Graph]) -> PackedGraphs | GraphBatch:
    """Returns columns as they are; a list becomes a padded batch, or packed if nodes have attributes or are many.

    Raises:
        UsageError: If something in the sequence is not a graph.

    >>> type(as_graphs([Graph(["input"], [[0]])])).__name__
    'GraphBatch'
    """
    if isinstance(graphs, PackedGraphs | GraphBatch):
        return graphs
    listed = list(graphs)
    known = [graph for graph in listed if isinstance(graph, Graph)]
    whole = any(graph.node_attributes is not None for graph in known)
    large = len(known) * max((graph.num_nodes for graph in known), default=0) ** 2 > MOST_PADDED
    return PackedGraphs.from_graphs(listed) if whole or large else as_batch(listed)


def _index(key: np.ndarray | Sequence[int]) -> np.ndarray:
    rows = np.asarray(key)
    return rows if rows.size else rows.astype(np.int64)


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers start, start + 1, ..., start + count - 1 of every range, one range after another."""
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)
