"""Numbers that describe graphs, for predictors that read vectors: counts, degrees, walks and paths.

Everything is computed for a whole batch at once. Shapes: B graphs, N nodes, V operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nasx.search_spaces.batch import GraphBatch
from numpy.typing import NDArray

Array = NDArray[np.float32]

_PRIME = np.uint64(1_000_003)


def one_hot(graphs: GraphBatch) -> Array:
    """Operations as `(B, N, V)` zeros and ones; padding is all zero."""
    return (graphs.operations[..., None] == np.arange(len(graphs.vocabulary), dtype=np.int16)).astype(np.float32)


def depths(graphs: GraphBatch) -> NDArray[np.int64]:
    """The longest path from any source to each node, in edges: `(B, N)`."""
    depth = np.zeros(graphs.operations.shape, dtype=np.int64)
    for node in range(1, depth.shape[1]):  # nodes are in topological order
        depth[:, node] = np.where(graphs.adjacency[:, :node, node], depth[:, :node] + 1, 0).max(axis=1)
    return depth


def path_counts(graphs: GraphBatch) -> Array:
    """The number of paths from the first node to each node: `(B, N)`."""
    paths = np.zeros(graphs.operations.shape, dtype=np.float32)
    paths[:, 0] = 1
    for node in range(1, paths.shape[1]):
        paths[:, node] = (graphs.adjacency[:, :node, node] * paths[:, :node]).sum(axis=1)
    return paths


def summary_features(graphs: GraphBatch) -> Array:
    """A graph in a few numbers: `(B, 5 + 3 V)`.

    Nodes, edges, depth, logarithm of the number of paths, longest path over nodes; then for each operation how often
    it occurs, and the edges into and out of it.
    """
    rows = np.arange(len(graphs))
    last = graphs.num_nodes - 1
    edges = graphs.adjacency.sum(axis=(1, 2))
    depth = depths(graphs)[rows, last]
    paths = np.log1p(path_counts(graphs)[rows, last])
    scalars = np.stack([graphs.num_nodes, edges, depth, paths, depth / np.maximum(last, 1)], axis=1)
    operations = one_hot(graphs)
    in_degree = graphs.adjacency.sum(axis=1, dtype=np.float32)
    out_degree = graphs.adjacency.sum(axis=2, dtype=np.float32)
    counts = [operations.sum(axis=1)]
    counts += [np.einsum("bn,bnv->bv", degree, operations) for degree in (in_degree, out_degree)]
    return np.concatenate([scalars.astype(np.float32), *counts], axis=1)


def depth_features(graphs: GraphBatch, levels: int) -> Array:
    """How often each operation occurs at each depth, from the input and from the output: `(B, 2 * levels * V)`.

    Depths past the last level count as the last level.
    """
    operations = one_hot(graphs)
    forward = depths(graphs)
    total = forward[np.arange(len(graphs)), graphs.num_nodes - 1][:, None]
    parts = []
    for depth in (forward, total - forward):
        level = np.clip(depth, 0, levels - 1)
        at_level = (level[..., None] == np.arange(levels)).astype(np.float32)
        parts.append(np.einsum("bnl,bnv->blv", at_level, operations).reshape(len(graphs), -1))
    return np.concatenate(parts, axis=1)


def walk_features(graphs: GraphBatch, length: int) -> Array:
    """Numbers of walks of 1..length edges between each two kinds of operations, `log(1 + X^T A^k X)`.

    Shape `(B, length * V * V)`.
    """
    operations = one_hot(graphs)
    adjacency = graphs.adjacency.astype(np.float32)
    reached, parts = operations, []
    for _ in range(length):
        reached = adjacency @ reached  # (B, N, V): walks from a node to an operation
        parts.append(np.log1p(operations.transpose(0, 2, 1) @ reached).reshape(len(graphs), -1))
    return np.concatenate(parts, axis=1)


def path_hashes(graphs: GraphBatch, length: int) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """The operation sequences along the paths from the first to the last node.

    All paths of all graphs are followed at once, one edge at a time; paths of a graph that stand at one node with one
    sequence behind them are merged and counted. Paths with more than `length` inner nodes are not followed to their
    end; what they begin with is reported instead.

    Returns:
        Graph numbers, hashes of the sequences, numbers of paths: three arrays `(P,)`.
    """
    graph = np.arange(len(graphs))
    node = np.zeros(len(graphs), dtype=np.int64)
    hashes = np.zeros(len(graphs), dtype=np.uint64)
    counts = np.ones(len(graphs), dtype=np.int64)
    last = graphs.num_nodes - 1
    labels = (graphs.operations + 1).astype(np.uint64)
    found: list[tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]] = []
    for step in range(length + 2):
        done = node == last[graph]
        if step == length + 1:
            done[:] = True
        found.append((graph[done], hashes[done], counts[done]))
        graph, node, hashes, counts = graph[~done], node[~done], hashes[~done], counts[~done]
        if len(graph) == 0:
            break
        origin, node = graphs.adjacency[graph, node].nonzero()
        graph, counts = graph[origin], counts[origin]
        inner = node != last[graph]
        hashes = np.where(inner, hashes[origin] * _PRIME + labels[graph, node], hashes[origin])
        graph, node, hashes, counts = _merged(graph, node, hashes, counts)
    graphs_found, hashes_found, counts_found = (np.concatenate(part) for part in zip(*found, strict=True))
    return graphs_found, hashes_found, counts_found


def _merged(
    graph: NDArray[np.int64], node: NDArray[np.int64], hashes: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Adds up the counts of equal (graph, node, hash)."""
    order = np.lexsort((hashes, node, graph))
    graph, node, hashes, counts = graph[order], node[order], hashes[order], counts[order]
    new = np.ones(len(graph), dtype=bool)
    new[1:] = (graph[1:] != graph[:-1]) | (node[1:] != node[:-1]) | (hashes[1:] != hashes[:-1])
    starts = np.flatnonzero(new)
    if len(starts) == len(graph):
        return graph, node, hashes, counts
    return graph[starts], node[starts], hashes[starts], np.add.reduceat(counts, starts)


@dataclass
class FeatureExtractor:
    """Turns graphs into feature vectors; learns from training graphs which paths exist.

    Graphs are pruned first, so functionally equal cells have equal features. A path that no training graph has is
    ignored.

    >>> from nasx.search_spaces.graph import Graph
    >>> conv = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> skip = Graph(["input", "conv", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> extractor = FeatureExtractor.of(GraphBatch.from_graphs([conv, skip]))
    >>> extractor(GraphBatch.from_graphs([conv, skip, conv])).shape == (3, extractor.width)
    True
    """

    vocabulary: tuple[str, ...]
    levels: int
    paths: NDArray[np.uint64]
    walk_length: int = 3
    path_length: int = 6

    @classmethod
    def of(cls, graphs: GraphBatch, walk_length: int = 3, path_length: int = 6) -> FeatureExtractor:
        """Learns vocabulary, depth and paths of the training graphs."""
        pruned = graphs.pruned()
        levels = min(int(depths(pruned).max()) + 1, 16)
        hashes = np.unique(path_hashes(pruned, path_length)[1])
        return cls(graphs.vocabulary, levels, hashes, walk_length, path_length)

    @property
    def width(self) -> int:
        """Number of features F."""
        operations = len(self.vocabulary)
        return 5 + 3 * operations + 2 * self.levels * operations + self.walk_length * operations**2 + len(self.paths)

    def __call__(self, graphs: GraphBatch) -> Array:
        """Features `(B, F)` of graphs.

        Raises:
            UsageError: If a graph has an operation the training graphs' vocabulary lacks.
        """
        graphs = graphs.pruned().recode(self.vocabulary)
        features = np.zeros((len(graphs), self.width), dtype=np.float32)
        fixed = [
            summary_features(graphs),
            depth_features(graphs, self.levels),
            walk_features(graphs, self.walk_length),
        ]
        np.concatenate(fixed, axis=1, out=features[:, : self.width - len(self.paths)])
        graph, hashes, counts = path_hashes(graphs, self.path_length)
        if len(self.paths):
            column = np.minimum(np.searchsorted(self.paths, hashes), len(self.paths) - 1)
            known = self.paths[column] == hashes
            columns = self.width - len(self.paths) + column[known]
            np.add.at(features, (graph[known], columns), counts[known])
        return features
