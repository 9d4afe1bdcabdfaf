"""What a random, untrained network of this graph does to a signal: computed exactly, without a network.

Take infinitely many channels and independent random weights. Then all there is to know about the values h_i at node i
are their mean m_i and their covariances C_ij(t) with the values at node j, t places further on (and, as one more
place, those of another input). Nodes add up their inputs; in the order of the nodes,

    u_j  = sum of h_i over the inputs i of j       C_uk = sum_i C_ik,   C_uu = sum_i C_ui
    convolution, norm, ReLU                        C_jj(t) = kappa(C_uu(t) / C_uu(0)) - 1 / 2 pi,  C_jk = 0
    average pooling                                covariances are smoothed once (C_jk) or twice (C_jj)
    max pooling                                    the same, with the variance and mean of the largest of three
    identity                                       h_j = u_j

with kappa(r) = (sqrt(1 - r^2) + r (pi - arccos r)) / 2 pi (Cho and Saul 2009): the covariance propagation of neural
network Gaussian processes (Lee et al. 2018; Novak et al. 2019), kept for all pairs of nodes, since branches that carry
the same signal add up to something else than branches that do not. The cell is applied several times, normalised in
between. Energy, variance, roughness and mean of what comes out say, before any training, how signals fare in it: a
zero-cost score (Mellor et al. 2021) that costs microseconds.

No measured value is looked at. The result does not depend on how nodes are numbered. Shapes: B graphs, N nodes, T lags.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.features import Array, is_identity
from nasx.search_spaces.batch import GraphBatch

CELLS = 5
"""How often the cell is applied."""

STATISTICS = 5
"""Numbers that are read off after each application."""

_LAGS = 5  # places 0..4 on a ring of eight
_DECAY = 0.5  # correlation of neighbouring places of the input
_OTHER = 0.5  # correlation of two inputs at the same place
_CHUNK = 2048  # graphs whose covariances fit into a processor's cache
_TINY = np.float32(1e-9)

_RELU_MEAN = np.float32(1 / np.sqrt(2 * np.pi))
_LARGEST_MEAN, _LARGEST_VARIANCE = np.float32(0.846), np.float32(0.559)  # of three independent standard normal numbers


def signal_features(graphs: GraphBatch) -> Array:
    """Statistics of the output, `(B, CELLS * STATISTICS)`.

    After each application of the cell: log energy, log variance, correlation of neighbouring places, mean over standard
    deviation, correlation of two inputs.

    >>> from nasx.search_spaces.graph import Graph
    >>> chain = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    >>> graphs = GraphBatch.from_graphs([Graph(["input", name, "output"], chain) for name in ("conv3x3", "avgpool3x3")])
    >>> rough, smooth = signal_features(graphs)[:, 2]
    >>> bool(smooth > rough)
    True
    """
    chunks = [_signal_features(graphs[start : start + _CHUNK]) for start in range(0, len(graphs), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.zeros((0, CELLS * STATISTICS), dtype=np.float32)


def _signal_features(graphs: GraphBatch) -> Array:
    """The same for a chunk; graphs are the last dimension of every array, where numpy is quickest."""
    edges = np.ascontiguousarray(graphs.adjacency.transpose(1, 2, 0), dtype=np.float32)
    kinds = _kinds(graphs)
    last = graphs.num_nodes - 1
    lags = np.append(np.float32(_DECAY) ** np.arange(_LAGS), _OTHER).astype(np.float32)
    signal = np.repeat(lags[:, None], len(graphs), axis=1)
    statistics = []
    for _ in range(CELLS):
        covariance, mean = _through(edges, kinds, last, signal)
        variance = covariance[0] + np.float32(1e-6)
        energy = np.log(variance + mean**2 + np.float32(1e-3))
        spread = np.log(variance + np.float32(1e-3))
        statistics += [energy, spread, covariance[1] / variance, mean / np.sqrt(variance), covariance[-1] / variance]
        signal = covariance / variance
        signal[:, covariance[0] < 1e-5] = np.eye(_LAGS + 1, 1, dtype=np.float32)  # nothing came through: start anew
    return np.stack(statistics, axis=1, dtype=np.float32)


def _kinds(graphs: GraphBatch) -> dict[str, NDArray[np.bool_]]:
    """Which nodes do what, `(N, B)` each, by their labels; what is not known is taken for a convolution."""
    names = [label.lower().replace("_", "") for label in graphs.vocabulary]

    def nodes(condition: list[bool]) -> NDArray[np.bool_]:
        return np.isin(graphs.operations, np.flatnonzero(condition)).T

    return {
        "identity": is_identity(graphs).T | (np.arange(graphs.max_nodes)[:, None] == graphs.num_nodes - 1),
        "max": nodes(["pool" in name and "max" in name for name in names]),
        "average": nodes(["pool" in name and "max" not in name for name in names]),
        "none": nodes([name == "none" for name in names]) | ~graphs.mask.T,
    }


def _through(
    edges: Array, kinds: dict[str, NDArray[np.bool_]], last: NDArray[np.int64], signal: Array
) -> tuple[Array, Array]:
    """The covariances `(T, B)` and the mean `(B,)` at the output of a cell that is fed the signal."""
    count, graphs = len(edges), edges.shape[-1]
    covariance = np.zeros((count, count, len(signal), graphs), dtype=np.float32)
    mean = np.zeros((count, graphs), dtype=np.float32)
    covariance[0, 0] = signal
    for node in range(1, count):
        into = edges[:node, node]
        with_others = np.einsum("ib,iktb->ktb", into, covariance[:node, :node])
        own = np.einsum("ib,itb->tb", into, with_others)
        level = np.einsum("ib,ib->b", into, mean[:node])
        with_others, own, level = _operation(
            {name: nodes[node] for name, nodes in kinds.items()}, with_others, own, level
        )
        covariance[node, :node] = covariance[:node, node] = with_others
        covariance[node, node], mean[node] = own, level
    rows = np.arange(graphs)
    return covariance[last, last, :, rows].T, mean[last, rows]


def _operation(
    kind: dict[str, NDArray[np.bool_]], others: Array, own: Array, mean: Array
) -> tuple[Array, Array, Array]:
    """What the operation of a node makes of its input: covariances with other nodes, with itself, and the mean."""
    pooled = kind["max"] | kind["average"]
    new = ~(pooled | kind["identity"] | kind["none"])
    variance = own[0] + _TINY
    result, level = own.copy(), mean.copy()
    if new.any():
        result[:, new] = _relu(own[:, new] / variance[new])
        level[new] = _RELU_MEAN
    if pooled.any():
        smooth = _smoothed(_smoothed(own[:, pooled]))
        neighbours = own[1, pooled] / variance[pooled]
        apart = np.maximum(1 - neighbours, 0)
        largest = variance[pooled] * (neighbours + apart * _LARGEST_VARIANCE)
        largest_mean = mean[pooled] + _LARGEST_MEAN * np.sqrt(variance[pooled] * apart)
        is_max = kind["max"][pooled]
        result[:, pooled] = np.where(is_max, smooth / (smooth[0] + _TINY) * largest, smooth)
        level[pooled] = np.where(is_max, largest_mean, mean[pooled])
        others[:, :, pooled] = _smoothed(others[:, :, pooled])
    silent = new | kind["none"]  # fresh random weights have nothing in common with any other node
    others *= ~silent
    result *= ~kind["none"]
    level *= ~kind["none"]
    return others, result, level


def _relu(correlation: Array) -> Array:
    """Covariance after a ReLU of standard normal numbers with these correlations."""
    r = np.clip(correlation, -1, 1)
    kappa = (np.sqrt(1 - r * r) + r * (np.float32(np.pi) - np.arccos(r))) * np.float32(0.5 / np.pi)
    return np.asarray(kappa - _RELU_MEAN**2)


def _smoothed(covariance: Array) -> Array:
    """Lags `(..., T, B)` averaged over three places; two inputs lose as much as one place with itself."""
    places = covariance[..., :_LAGS, :]
    left = np.concatenate([places[..., 1:2, :], places[..., :-1, :]], axis=-2)
    right = np.concatenate([places[..., 1:, :], places[..., -2:-1, :]], axis=-2)
    smooth = (left + places + right) / np.float32(3)
    first = places[..., :1, :]
    share = np.where(np.abs(first) > _TINY, smooth[..., :1, :] / np.where(first == 0, 1, first), 1)
    return np.concatenate([smooth, covariance[..., _LAGS:, :] * share], axis=-2)
