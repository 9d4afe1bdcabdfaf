"""Many graphs as padded arrays: the columnar form that every predictor reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike

from nasx.search_spaces.canonical import DEAD
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph

if TYPE_CHECKING:
    from nasx.search_spaces.packed_graphs import PackedGraphs

CHUNK = 65_536  # graphs handled at once where an operation needs temporary memory
PADDING = -1


class GraphBatch:
    """B graphs of up to N nodes each. Frozen; ``len``, iteration and indexing as for a sequence of graphs.

    The real nodes of a graph come first; the rest of its row is padding (operation -1, no edges).

    Args:
        operations: ``(B, N)`` codes into the vocabulary, -1 in the padding.
        adjacency: ``(B, N, N)`` zeros and ones, strictly upper-triangular.
        num_nodes: ``(B,)`` real nodes of each graph.
        vocabulary: The operation labels the codes stand for.
        attributes: Whole-graph numbers, ``(B,)`` each; NaN where a graph does not have that attribute.
        node_attributes: ``(B, N, F)`` float32, 0 in the padding, NaN where a graph does not have that attribute; None
            where no graph has any.
        node_attribute_names: F names of the columns, sorted.

    Raises:
        UsageError: If shapes do not fit or codes lie outside the vocabulary.

    >>> chain = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> batch = GraphBatch.from_graphs([chain, Graph(["input", "output"], [[0, 1], [0, 0]])])
    >>> len(batch), batch.operations.tolist(), batch.vocabulary
    (2, [[1, 0, 2], [1, 2, -1]], ('conv', 'input', 'output'))
    >>> batch[0] == chain, len(batch[1:])
    (True, 1)
    """

    __slots__ = (
        "adjacency",
        "attributes",
        "node_attribute_names",
        "node_attributes",
        "num_nodes",
        "operations",
        "vocabulary",
    )

    operations: np.ndarray
    adjacency: np.ndarray
    num_nodes: np.ndarray
    vocabulary: tuple[str, ...]
    attributes: Mapping[str, np.ndarray]
    node_attributes: np.ndarray | None
    node_attribute_names: tuple[str, ...]

    def __init__(
        self,
        operations: ArrayLike,
        adjacency: ArrayLike,
        num_nodes: ArrayLike,
        vocabulary: Sequence[str],
        attributes: Mapping[str, ArrayLike] | None = None,
        node_attributes: ArrayLike | None = None,
        node_attribute_names: Sequence[str] = (),
    ) -> None:
        codes = np.asarray(operations, dtype=np.int16)
        matrix = np.asarray(adjacency, dtype=bool)
        counts = np.asarray(num_nodes, dtype=np.int64)
        if codes.ndim != 2 or matrix.shape != (*codes.shape, codes.shape[1]) or counts.shape != codes.shape[:1]:
            raise UsageError(
                "a batch needs operations (B, N), adjacency (B, N, N) and num_nodes (B,); "
                f"got {codes.shape}, {matrix.shape} and {counts.shape}"
            )
        words = tuple(vocabulary)
        if codes.size and (codes.max() >= len(words) or codes.min() < PADDING):
            raise UsageError(f"operation codes must lie in 0..{len(words) - 1} (padding: -1); got {codes.max()}")
        if len(counts) and (counts.min() < 1 or counts.max() > codes.shape[1]):
            raise UsageError(f"num_nodes must lie in 1..{codes.shape[1]}; got {counts.min()}..{counts.max()}")
        columns = {key: np.asarray(value, dtype=np.float64) for key, value in (attributes or {}).items()}
        for key, column in columns.items():
            if column.shape != counts.shape:
                raise UsageError(
                    f"attribute '{key}' needs one number a graph, shape {counts.shape}; got {column.shape}"
                )
        table = None if node_attributes is None else np.asarray(node_attributes, dtype=np.float32)
        names = tuple(node_attribute_names)
        if (table is None and names) or (table is not None and table.shape != (*codes.shape, len(names))):
            raise UsageError(
                f"node attributes need {len(names)} numbers a node, shape {(*codes.shape, len(names))}; "
                f"got {None if table is None else table.shape}"
            )
        if list(names) != sorted(set(names)):
            raise UsageError(f"names of node attributes are sorted and differ; got {', '.join(names)}")
        for name, value in (
            ("operations", codes),
            ("adjacency", matrix),
            ("num_nodes", counts),
            ("vocabulary", words),
            ("attributes", columns),
            ("node_attributes", table if names else None),
            ("node_attribute_names", names),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def from_graphs(cls, graphs: Sequence[Graph]) -> GraphBatch:
        """Makes a batch of graphs; the vocabulary is the sorted set of their labels."""
        graphs = list(graphs)
        vocabulary = sorted({label for graph in graphs for label in graph.operations})
        code = {label: index for index, label in enumerate(vocabulary)}
        counts = np.array([graph.num_nodes for graph in graphs], dtype=np.int64)
        width = int(counts.max()) if len(graphs) else 1
        operations = np.full((len(graphs), width), PADDING, dtype=np.int16)
        adjacency = np.zeros((len(graphs), width, width), dtype=bool)
        names = sorted({name for graph in graphs for name in graph.attributes})
        attributes = {name: np.full(len(graphs), np.nan) for name in names}
        table, columns = None, sorted({name for graph in graphs for name in graph.node_attribute_names})
        if columns:
            table = np.zeros((len(graphs), width, len(columns)), dtype=np.float32)
            table[np.arange(width) < counts[:, None]] = np.nan
        for row, graph in enumerate(graphs):
            size = graph.num_nodes
            operations[row, :size] = [code[label] for label in graph.operations]
            adjacency[row, :size, :size] = graph.adjacency
            for name, value in graph.attributes.items():
                attributes[name][row] = value
            if table is not None and graph.node_attributes is not None:
                places = [columns.index(name) for name in graph.node_attribute_names]
                table[row, :size, places] = graph.node_attributes.T
        return cls(operations, adjacency, counts, vocabulary, attributes, table, columns)

    @classmethod
    def concatenate(cls, batches: Sequence[GraphBatch]) -> GraphBatch:
        """Joins batches; vocabularies are merged (the first one's codes stay), padding grows to the widest batch."""
        batches = list(batches)
        if not batches:
            return cls.from_graphs([])
        vocabulary = tuple(dict.fromkeys(word for batch in batches for word in batch.vocabulary))
        width = max(batch.max_nodes for batch in batches)
        wide = [batch.recode(vocabulary)._padded(width) for batch in batches]
        names = sorted({name for batch in wide for name in batch.attributes})
        attributes = {
            name: np.concatenate([batch.attributes.get(name, np.full(len(batch), np.nan)) for batch in wide])
            for name in names
        }
        columns = sorted({name for batch in wide for name in batch.node_attribute_names})
        return cls(
            np.concatenate([batch.operations for batch in wide]),
            np.concatenate([batch.adjacency for batch in wide]),
            np.concatenate([batch.num_nodes for batch in wide]),
            vocabulary,
            attributes,
            np.concatenate([batch._node_columns(columns) for batch in wide]) if columns else None,
            columns,
        )

    @property
    def max_nodes(self) -> int:
        """N, the width all graphs are padded to."""
        return int(self.operations.shape[1])

    @property
    def mask(self) -> np.ndarray:
        """``(B, N)`` bool: True at real nodes."""
        return np.arange(self.max_nodes) < self.num_nodes[:, None]

    def recode(self, vocabulary: Sequence[str]) -> GraphBatch:
        """Returns the same graphs with codes into another vocabulary.

        Raises:
            UsageError: If a graph has an operation that the vocabulary lacks.

        >>> GraphBatch.from_graphs([Graph(["input"], [[0]])]).recode(["output", "input"]).operations.tolist()
        [[1]]
        """
        words = tuple(vocabulary)
        if words == self.vocabulary:
            return self
        position = {word: index for index, word in enumerate(words)}
        used = np.bincount(self.operations[self.operations != PADDING], minlength=len(self.vocabulary))
        missing = [word for word, count in zip(self.vocabulary, used, strict=True) if count and word not in position]
        if missing:
            raise UsageError(
                f"unknown operation{'s' if len(missing) > 1 else ''} {', '.join(missing)}; known: {', '.join(words)}"
            )
        table = np.array([position.get(word, PADDING) for word in self.vocabulary] + [PADDING], dtype=np.int16)
        nodes = self.node_attributes, self.node_attribute_names
        return GraphBatch(table[self.operations], self.adjacency, self.num_nodes, words, self.attributes, *nodes)

    def pruned(self) -> GraphBatch:
        """Returns every graph without its dead parts, exactly as ``Graph.pruned`` does one graph.

        Padding shrinks to the largest graph left.
        """
        parts = [self._pruned_chunk(slice(i, i + CHUNK)) for i in range(0, len(self), CHUNK)]
        if not parts:
            return self
        return parts[0] if len(parts) == 1 else GraphBatch.concatenate(parts)

    def _pruned_chunk(self, rows: slice) -> GraphBatch:
        operations, adjacency, counts = self.operations[rows], self.adjacency[rows], self.num_nodes[rows]
        size, width = operations.shape
        last = np.arange(size), counts - 1
        dead = self.vocabulary.index(DEAD) if DEAD in self.vocabulary else PADDING
        allowed = (operations != PADDING) & (operations != dead)
        allowed[:, 0] = allowed[last] = True
        forward = np.zeros((width, size), dtype=bool)  # node first: every step reads and writes whole rows
        backward = np.zeros((width, size), dtype=bool)
        forward[0] = True
        backward[counts - 1, np.arange(size)] = True
        edges = np.ascontiguousarray(adjacency.transpose(1, 2, 0))
        for node in range(1, width):
            forward[node] = (forward[:node] & edges[:node, node]).any(axis=0) & allowed[:, node]
        for node in range(width - 2, -1, -1):
            backward[node] |= (backward[node + 1 :] & edges[node, node + 1 :]).any(axis=0) & allowed[:, node]
        keep = (forward & backward).T
        keep[:, 0] = keep[last] = True
        order = np.argsort(~keep, axis=1, kind="stable")
        kept = keep.sum(axis=1)
        width = int(kept.max())
        order = order[:, :width]
        real = np.arange(width) < kept[:, None]
        new_operations = np.where(real, np.take_along_axis(operations, order, axis=1), PADDING).astype(np.int16)
        new_adjacency = adjacency[np.arange(size)[:, None, None], order[:, :, None], order[:, None, :]]
        new_adjacency &= real[:, :, None] & real[:, None, :]
        attributes = {name: column[rows] for name, column in self.attributes.items()}
        table = self.node_attributes
        if table is not None:
            table = np.where(real[:, :, None], np.take_along_axis(table[rows], order[:, :, None], axis=1), 0)
        names = self.node_attribute_names
        return GraphBatch(new_operations, new_adjacency, kept, self.vocabulary, attributes, table, names)

    def distinct(self) -> tuple[GraphBatch, np.ndarray]:
        """Finds rows that are equal node by node (not merely isomorphic).

        Returns:
            The distinct graphs, and for every graph of this batch its position among them, ``(B,)``.
        """
        if not len(self):
            return self, np.zeros(0, dtype=np.int64)
        columns = [self.operations.astype(np.int16).view(np.uint8).reshape(len(self), -1)]
        columns.append(np.packbits(self.adjacency.reshape(len(self), -1), axis=1))
        columns += [np.ascontiguousarray(value).view(np.uint8).reshape(-1, 8) for value in self.attributes.values()]
        if self.node_attributes is not None:
            columns.append(np.ascontiguousarray(self.node_attributes.reshape(len(self), -1)).view(np.uint8))
        rows = np.ascontiguousarray(np.concatenate(columns, axis=1))
        keys = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return self[first], inverse.reshape(-1)

    def _padded(self, width: int) -> GraphBatch:
        extra = width - self.max_nodes
        if not extra:
            return self
        operations = np.pad(self.operations, ((0, 0), (0, extra)), constant_values=PADDING)
        adjacency = np.pad(self.adjacency, ((0, 0), (0, extra), (0, extra)))
        table, names = self.node_attributes, self.node_attribute_names
        if table is not None:
            table = np.pad(table, ((0, 0), (0, extra), (0, 0)))
        return GraphBatch(operations, adjacency, self.num_nodes, self.vocabulary, self.attributes, table, names)

    def _node_columns(self, names: Sequence[str]) -> np.ndarray:
        """Node attributes in the columns of these names, ``(B, N, F)``; NaN at real nodes that lack one."""
        table = np.where(self.mask[:, :, None], np.full(len(names), np.nan, dtype=np.float32), np.float32(0))
        if self.node_attributes is not None:
            table[:, :, [names.index(name) for name in self.node_attribute_names]] = self.node_attributes
        return table

    def __len__(self) -> int:
        return len(self.num_nodes)

    def __iter__(self) -> Iterator[Graph]:
        return (self[row] for row in range(len(self)))

    @overload
    def __getitem__(self, key: int | np.integer) -> Graph: ...

    @overload
    def __getitem__(self, key: slice | np.ndarray | Sequence[int]) -> GraphBatch: ...

    def __getitem__(self, key: int | np.integer | slice | np.ndarray | Sequence[int]) -> Graph | GraphBatch:
        if isinstance(key, int | np.integer):
            size = int(self.num_nodes[key])
            labels = tuple(self.vocabulary[code] for code in self.operations[key, :size].tolist())
            attributes = {name: float(column[key]) for name, column in self.attributes.items()}
            present = {name: value for name, value in attributes.items() if value == value}  # NaN: not there
            adjacency = self.adjacency[key, :size, :size].copy()
            if self.node_attributes is None:
                return Graph.trusted(labels, adjacency, present)
            table = self.node_attributes[key, :size]
            has = ~np.isnan(table[0])  # NaN: not there
            names = tuple(name for name, given in zip(self.node_attribute_names, has, strict=True) if given)
            return Graph.trusted(labels, adjacency, present, table[:, has] if names else None, names)
        rows = key if isinstance(key, slice) else np.asarray(key)
        if not isinstance(rows, slice) and rows.size == 0:
            rows = rows.astype(np.int64)
        attributes = {name: column[rows] for name, column in self.attributes.items()}  # type: ignore[misc]
        return GraphBatch(
            self.operations[rows],
            self.adjacency[rows],
            self.num_nodes[rows],
            self.vocabulary,
            attributes,
            None if self.node_attributes is None else self.node_attributes[rows],  # type: ignore[index]
            self.node_attribute_names,
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"batches are frozen; make a new GraphBatch instead of setting '{name}'")

    def __reduce__(self) -> tuple[type[GraphBatch], tuple[object, ...]]:
        parts = (self.operations, self.adjacency, self.num_nodes, self.vocabulary, dict(self.attributes))
        return GraphBatch, (*parts, self.node_attributes, self.node_attribute_names)

    def __repr__(self) -> str:
        return f"GraphBatch({len(self)} graphs, up to {self.max_nodes} nodes, {len(self.vocabulary)} operations)"


def as_batch(graphs: GraphBatch | PackedGraphs | Sequence[Graph]) -> GraphBatch:
    """Returns a batch as it is and makes one of a sequence of graphs, or of packed ones.

    Raises:
        UsageError: If something in the sequence is not a graph.
    """
    if isinstance(graphs, GraphBatch):
        return graphs
    from nasx.search_spaces.packed_graphs import PackedGraphs

    if isinstance(graphs, PackedGraphs):
        return graphs.dense()
    listed = list(graphs)
    for graph in listed:
        if not isinstance(graph, Graph):
            raise UsageError(f"expected graphs (space.graphs(architectures) makes them); got {type(graph).__name__}")
    return GraphBatch.from_graphs(listed)
