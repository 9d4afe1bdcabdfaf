"""What a random walk through a graph meets: for few measured graphs the most telling numbers there are.

A walker starts at the output and steps back to one of the node's inputs, each with the same chance, until the input is
reached: as a signal that is averaged (or concatenated, or added and normalised) at each node would tell where it came
from. How many operations of each kind the walker meets, how much that varies, and how much of a signal would survive
if each meeting weakened it, describe a cell's effective depth; the longest path and the number of paths do not.

No measured value is looked at, and any acyclic graph will do. Shapes: B graphs, N nodes, V operations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.features import Array, one_hot
from nasx.search_spaces.batch import GraphBatch

GAINS = (0.3, 0.6)
"""What is left of a signal after an operation, in each of the two ways it is weakened."""

_FLOOR = np.float32(1e-3)  # of the logarithm: a signal weakened to less is gone


def shares(adjacency: NDArray[np.bool_], axis: int) -> Array:
    """Edges as shares `(B, N, N)`: of all edges into a node (axis 1) or out of it (axis 2); zero where there is none.

    >>> shares(np.array([[[0, 1, 1], [0, 0, 1], [0, 0, 0]]], dtype=bool), axis=1)[0].tolist()
    [[0.0, 1.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    edges = adjacency.astype(np.float32)
    return np.asarray(edges / np.maximum(edges.sum(axis=axis, keepdims=True), 1))


def visits(graphs: GraphBatch) -> Array:
    """The chance of each node to be met, `(B, N, 2)`: on a walk back from the output, on one onward from the input.

    >>> from nasx.search_spaces.graph import Graph
    >>> graph = Graph(["input", "conv", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> visits(GraphBatch.from_graphs([graph]))[0].tolist()
    [[1.0, 1.0], [0.5, 0.5], [1.0, 1.0]]
    """
    back = np.zeros(graphs.operations.shape, dtype=np.float32)
    onward = np.zeros_like(back)
    back[np.arange(len(graphs)), graphs.num_nodes - 1] = 1
    onward[:, 0] = 1
    into, out_of = shares(graphs.adjacency, axis=1), shares(graphs.adjacency, axis=2)
    for node in range(graphs.max_nodes - 2, -1, -1):
        back[:, node] += (into[:, node, node + 1 :] * back[:, node + 1 :]).sum(axis=1)
    for node in range(1, graphs.max_nodes):
        onward[:, node] = (out_of[:, :node, node] * onward[:, :node]).sum(axis=1)
    return np.stack([back, onward], axis=-1)


def walk_features(graphs: GraphBatch) -> Array:
    """A graph as its walks see it: `(B, 8 V + 5)`.

    Mean number of nodes on a walk from the output back to the input. Then, for each operation and for any node:
    the standard deviation of how often it is met, and `log E[g^n]` for both gains g of `GAINS`, n times being met.
    Then, for each operation, sums over its nodes: edges in, edges out, the chances b and f to be met on a walk back
    and on one onward, their product b f. Last, whether input and output are joined directly.
    """
    count, rows, last = len(graphs), np.arange(len(graphs)), graphs.num_nodes - 1
    operations = one_hot(graphs)
    means, deviations, survivals = _meetings(graphs, operations)
    chances = visits(graphs)
    back, onward = chances[..., 0], chances[..., 1]
    edges_in, edges_out = graphs.adjacency.sum(axis=1), graphs.adjacency.sum(axis=2)
    roles = np.stack([edges_in, edges_out, back, onward, back * onward], axis=1, dtype=np.float32)
    direct = graphs.adjacency[rows, 0, last][:, None]
    parts = [means[:, -1:], deviations, np.log(survivals + _FLOOR), (roles @ operations).reshape(count, -1), direct]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _meetings(graphs: GraphBatch, operations: Array) -> tuple[Array, Array, Array]:
    """Mean and deviation of the numbers of meetings n, `(B, V + 1)` each, and E[g^n], `(B, 2 (V + 1))`.

    With x_j the indicator of the operation at node j and i one of its inputs, each with the same chance,
    E[n_j] = E[n_i] + x_j,  E[n_j^2] = E[n_i^2] + 2 x_j E[n_i] + x_j,  E[g^n_j] = g^x_j E[g^n_i].
    """
    count, width, kinds = operations.shape
    met = np.concatenate([operations, graphs.mask[..., None]], axis=-1, dtype=np.float32)  # (B, N, V + 1)
    size = kinds + 1
    gains = np.concatenate([np.float32(gain) ** met for gain in GAINS], axis=-1)
    into = shares(graphs.adjacency, axis=1)
    state = np.zeros((count, width, 4 * size), dtype=np.float32)
    state[:, 0, :size] = state[:, 0, size : 2 * size] = met[:, 0]
    state[:, 0, 2 * size :] = gains[:, 0]
    for node in range(1, width):
        here = met[:, node]
        state[:, node] = (into[:, None, :node, node] @ state[:, :node])[:, 0]
        state[:, node, size : 2 * size] += 2 * here * state[:, node, :size] + here
        state[:, node, :size] += here
        state[:, node, 2 * size :] *= gains[:, node]
    end = state[np.arange(count), graphs.num_nodes - 1]
    means, squares = end[:, :size], end[:, size : 2 * size]
    return means, np.sqrt(np.maximum(squares - means**2, 0)), end[:, 2 * size :]
