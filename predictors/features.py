"""Numbers that describe graphs and their nodes: counts, depths, walks and paths, for a whole batch at once.

Shapes: B graphs, N nodes, V operations of the vocabulary. Operations that only pass their input on (`IDENTITIES`) are
contracted where paths and walks are counted: conv -> skip -> conv is a path with two operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.batch import GraphBatch

Array = NDArray[np.float32]

IDENTITIES = frozenset({"skip_connect", "skip", "identity"})

_PRIME = np.uint64(1_000_003)
_MANY = np.float32(1e12)  # path counts of deep networks grow without bound; enough is enough


def one_hot(graphs: GraphBatch) -> Array:
    """Operations as `(B, N, V)` zeros and ones; padding is all zero."""
    return (graphs.operations[..., None] == np.arange(len(graphs.vocabulary), dtype=np.int16)).astype(np.float32)


def is_identity(graphs: GraphBatch) -> NDArray[np.bool_]:
    """Which nodes only pass their input on: `(B, N)`."""
    codes = [code for code, operation in enumerate(graphs.vocabulary) if operation in IDENTITIES]
    return np.isin(graphs.operations, codes)


def contracted(graphs: GraphBatch) -> Array:
    """Adjacency with identities cut out: `(B, N, N)`, the number of ways from a node to the next that does something.

    >>> from nasx.search_spaces.graph import Graph
    >>> graph = Graph(["input", "skip_connect", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> contracted(GraphBatch.from_graphs([graph]))[0].tolist()
    [[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    ways = graphs.adjacency.astype(np.float32)
    identity = is_identity(graphs)
    for node in np.flatnonzero(identity.any(axis=0)):
        rows = identity[:, node]
        ways[rows] += ways[rows, :, node, None] * ways[rows, None, node, :]
        ways[rows, :, node] = 0
        ways[rows, node, :] = 0
    return np.minimum(ways, _MANY)


def longest_paths(adjacency: NDArray[np.bool_], weights: Array) -> tuple[Array, Array]:
    """The heaviest path that ends at each node, and the heaviest that starts there.

    Args:
        adjacency: `(B, N, N)`, upper-triangular.
        weights: Weight of each node in each of W weightings, `(B, N, W)`, not negative.

    Returns:
        Two arrays `(B, N, W)`; a path's weight includes both its ends.
    """
    forward, backward = weights.copy(), weights.copy()
    count = weights.shape[1]
    for node in range(1, count):
        before = np.where(adjacency[:, :node, node, None], forward[:, :node], 0)
        forward[:, node] += before.max(axis=1)
    for node in range(count - 2, -1, -1):
        after = np.where(adjacency[:, node, node + 1 :, None], backward[:, node + 1 :], 0)
        backward[:, node] += after.max(axis=1)
    return forward, backward


def path_counts(graphs: GraphBatch) -> tuple[Array, Array]:
    """How many paths lead from the first node to each node, and from each node to the last: two arrays `(B, N)`."""
    rows, adjacency, count = np.arange(len(graphs)), graphs.adjacency, graphs.max_nodes
    forward, backward = np.zeros((2, len(graphs), count), dtype=np.float32)
    forward[:, 0] = 1
    backward[rows, graphs.num_nodes - 1] = 1
    for node in range(1, count):
        forward[:, node] = np.minimum((adjacency[:, :node, node] * forward[:, :node]).sum(axis=1), _MANY)
    for node in range(count - 2, -1, -1):
        onward = (adjacency[:, node, node + 1 :] * backward[:, node + 1 :]).sum(axis=1)
        backward[:, node] = np.minimum(backward[:, node] + onward, _MANY)
    return forward, backward


def node_features(graphs: GraphBatch) -> Array:
    """Where each node stands: `(B, N, 6)`.

    The longest path up to it and from it, counted in nodes and in nodes that do something (each divided by 3, to be
    of order one), and the logarithms of the numbers of paths to it and from it.
    """
    real = graphs.mask
    weights = np.stack([real, real & ~is_identity(graphs)], axis=-1).astype(np.float32)
    forward, backward = longest_paths(graphs.adjacency, weights)
    paths = np.log1p(np.stack(path_counts(graphs), axis=-1))
    return np.concatenate([forward / 3, backward / 3, paths], axis=-1) * real[..., None]


def summary_features(graphs: GraphBatch) -> Array:
    """A graph in a few numbers: `(B, 4 + 3 V + 2 V^2)`.

    Nodes, edges, logarithm of the number of paths, longest path of nodes that do something; then for each operation
    how often it occurs, how often at most on one path, how often on the average path; then for each two operations
    the edges and (logarithms) the walks between them, identities contracted.
    """
    count = len(graphs)
    operations = one_hot(graphs)
    active = (graphs.mask & ~is_identity(graphs)).astype(np.float32)[..., None]
    longest = longest_paths(graphs.adjacency, np.concatenate([active, operations], axis=-1))[0].max(axis=1)
    forward, backward = path_counts(graphs)
    paths = backward[:, 0]
    on_paths = np.einsum("bn,bnv->bv", forward * backward, operations) / np.maximum(paths, 1)[:, None]
    ways = contracted(graphs)
    kinds = (operations * active).transpose(0, 2, 1)
    edges = kinds @ ways @ operations
    walks = np.log1p(kinds @ walk_counts(ways, operations))
    scalars = [graphs.num_nodes, graphs.adjacency.sum(axis=(1, 2)), np.log1p(paths)]
    parts = [np.stack(scalars, axis=1), longest, operations.sum(axis=1), on_paths]
    parts += [np.log1p(edges).reshape(count, -1), walks.reshape(count, -1)]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def walk_counts(ways: Array, operations: Array) -> Array:
    """How many walks of any length lead from each node to each operation: `(B, N, V)`.

    Args:
        ways: Contracted adjacency `(B, N, N)`.
        operations: One-hot operations `(B, N, V)`.
    """
    walks = np.zeros_like(operations)
    for node in range(walks.shape[1] - 2, -1, -1):
        onward = ways[:, node, None, node + 1 :] @ (operations[:, node + 1 :] + walks[:, node + 1 :])
        walks[:, node] = np.minimum(onward[:, 0], _MANY)
    return walks


def path_hashes(graphs: GraphBatch, length: int) -> tuple[NDArray[np.int64], NDArray[np.uint64], Array]:
    """The sequences of operations along the paths from the first to the last node, identities contracted.

    All paths of all graphs are followed at once, one edge at a time; paths of a graph that stand at one node with one
    sequence behind them are merged and counted. A path with more than `length` inner nodes counts as what it begins
    with.

    Returns:
        Graph numbers, hashes of the sequences, numbers of paths: three arrays `(P,)`.
    """
    ways, last = contracted(graphs), graphs.num_nodes - 1
    labels = (graphs.operations + 1).astype(np.uint64)
    graph = np.arange(len(graphs))
    node = np.zeros(len(graphs), dtype=np.int64)
    hashes = np.zeros(len(graphs), dtype=np.uint64)
    counts = np.ones(len(graphs), dtype=np.float32)
    ended = []
    for step in range(length + 2):
        ends = (node == last[graph]) | (step == length + 1)
        ended.append((graph[ends], hashes[ends], counts[ends]))
        graph, node, hashes, counts = graph[~ends], node[~ends], hashes[~ends], counts[~ends]
        onward = ways[graph, node]  # (P, N)
        origin, node = onward.nonzero()
        counts = np.minimum(counts[origin] * onward[origin, node], _MANY)
        graph, hashes = graph[origin], hashes[origin]
        inner = node != last[graph]
        hashes[inner] = hashes[inner] * _PRIME + labels[graph[inner], node[inner]]
        graph, node, hashes, counts = _merged(graph, node, hashes, counts)
    graphs_ended, hashes_ended, counts_ended = (np.concatenate(part) for part in zip(*ended, strict=True))
    return graphs_ended, hashes_ended, counts_ended


def known_paths(graphs: GraphBatch, length: int = 8) -> NDArray[np.uint64]:
    """The hashes of all paths that graphs have, sorted: `(P,)`."""
    return np.unique(path_hashes(graphs, length)[1])


def path_encoding(graphs: GraphBatch, paths: NDArray[np.uint64], length: int = 8) -> Array:
    """Which of the (sorted) paths each graph has, `(B, P)`, as in BANANAS; paths not among them are ignored.

    >>> from nasx.search_spaces.graph import Graph
    >>> plain = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> residual = Graph(["input", "conv", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> batch = GraphBatch.from_graphs([plain, residual])
    >>> path_encoding(batch, known_paths(batch)).tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """
    return (_path_occurrences(graphs, paths, length) > 0).astype(np.float32)


def _merged(
    graph: NDArray[np.int64], node: NDArray[np.int64], hashes: NDArray[np.uint64], counts: Array
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], Array]:
    """Adds up the counts of equal (graph, node, hash)."""
    order = np.lexsort((hashes, node, graph))
    graph, node, hashes, counts = graph[order], node[order], hashes[order], counts[order]
    new = np.ones(len(graph), dtype=bool)
    new[1:] = (graph[1:] != graph[:-1]) | (node[1:] != node[:-1]) | (hashes[1:] != hashes[:-1])
    first = np.flatnonzero(new)
    if len(first) == len(graph):
        return graph, node, hashes, counts
    return graph[first], node[first], hashes[first], np.add.reduceat(counts, first)


@dataclass
class FeatureExtractor:
    """Turns graphs into feature vectors: the summary, and the counts of the paths that the training graphs have.

    Graphs are pruned first, so functionally equal cells have equal features. What a device does with a cell depends on
    its dead parts and on where they are, too: `as_written` adds the same features of graphs as they are, and which
    operation stands at which node. Features that are the same for all training graphs are left out.

    >>> from nasx.search_spaces.graph import Graph
    >>> plain = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> residual = Graph(["input", "conv", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> extractor = FeatureExtractor.of(GraphBatch.from_graphs([plain, residual]))
    >>> extractor(GraphBatch.from_graphs([plain, residual, plain])).shape == (3, extractor.columns.sum())
    True
    """

    vocabulary: tuple[str, ...]
    paths: NDArray[np.uint64]
    columns: NDArray[np.bool_]
    path_length: int
    written: tuple[NDArray[np.uint64], int] | None = None
    """Paths of the training graphs as they are written, and their largest number of nodes."""

    @classmethod
    def of(cls, graphs: GraphBatch, path_length: int = 8, *, as_written: bool = False) -> FeatureExtractor:
        """Learns from the training graphs which paths exist and which features differ."""
        paths = known_paths(graphs.pruned(), path_length)
        written = (known_paths(graphs, path_length), int(graphs.num_nodes.max())) if as_written else None
        everything = cls(graphs.vocabulary, paths, np.zeros(0, dtype=bool), path_length, written)
        features = everything._all(graphs)
        everything.columns = (features != features[:1]).any(axis=0)
        everything.columns[0] = True  # a regressor needs at least one
        return everything

    def __call__(self, graphs: GraphBatch) -> Array:
        """Features `(B, F)` of graphs.

        Raises:
            UsageError: If a graph has an operation that the vocabulary of the training graphs lacks.
        """
        return np.ascontiguousarray(self._all(graphs)[:, self.columns])

    def _all(self, graphs: GraphBatch) -> Array:
        functional = _features(graphs.pruned().recode(self.vocabulary), self.paths, self.path_length)
        if self.written is None:
            return functional
        paths, nodes = self.written
        same = graphs.recode(self.vocabulary)
        places = np.zeros((len(graphs), nodes, len(self.vocabulary)), dtype=np.float32)
        known = one_hot(same)[:, :nodes]
        places[:, : known.shape[1]] = known
        return np.concatenate([functional, _features(same, paths, self.path_length), places.reshape(len(same), -1)], 1)


def _features(graphs: GraphBatch, paths: NDArray[np.uint64], length: int) -> Array:
    """All features: the summary, then how often each of the (sorted) paths occurs; unknown paths are ignored."""
    return np.concatenate([summary_features(graphs), _path_occurrences(graphs, paths, length)], axis=1)


def _path_occurrences(graphs: GraphBatch, paths: NDArray[np.uint64], length: int) -> Array:
    """How often each of the (sorted) paths occurs in each graph: `(B, P)`."""
    graph, hashes, counts = path_hashes(graphs, length)
    column = np.minimum(np.searchsorted(paths, hashes), len(paths) - 1)
    known = paths[column] == hashes
    occurrences = np.zeros((len(graphs), len(paths)), dtype=np.float32)
    np.add.at(occurrences, (graph[known], column[known]), counts[known])
    return occurrences
