"""What the nodes and the whole of a network look like to a torch model: attributes as numbers of order one.

Three encodings. "published" is that of NAR-Former V2 for whole networks, f_PE "trans" of each attribute with five
frequencies: eight slots of a node's window, four of its output's shape, 120 numbers (which with the one-hot operation
in 32 make the token of 152), and four of the whole network, 40 numbers. "nnlp" is that of the NNLP
baseline: the same slots as plain numbers, 12 and 4. "log" is ours: logarithms of sizes and costs, standardised by the
training networks, which operations come before and after, and how the channels fit into blocks of 4, 8, 16, 32.

Shapes: B graphs, M nodes in all, V operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.features import Array
from nasx.predictors.network_features import GRAPH_COSTS, graph_cost, node_column, output_elements, summed
from nasx.search_spaces.packed_graphs import PackedGraphs
from nasx.search_spaces.tokenizer import frequency_encoding

Encoding = Literal["none", "published", "nnlp", "log"]
"""How the attributes of nodes reach a network; "none": it reads graphs without any."""

WINDOW = ("kernel_height", "stride_height", "pad_begin_height", "dilation_height", "groups")
"""Slots of the published encoding in their order."""
SLOTS = 8
"""The other three, whether there is a bias and how a permutation begins, are left empty: graphs do not say it."""
SHAPE = tuple(f"output_{place}" for place in range(4))
STATIC = ("batch_size", "flops", "parameters", "memory_bytes")
FREQUENCIES = 5
ONE_HOT = 32
"""Length of the published one-hot operation."""

# Means and spans of output shapes in the released NNLP code.
_NNLP_CENTRE = np.array([12.25, 286.96, 32.62, 31.80])
_NNLP_SPAN = np.array([1024.0, 2496.0, 256.0, 256.0])

SIZES = ("macs", "memory_bytes")
BLOCKS = (4, 8, 16, 32)
_LOGS = ("macs", "parameters", "memory_bytes", "output_1", "output_2", "kernel_height", "stride_height", "groups")
_FARTHEST = 6.0  # standard deviations


def one_hot_length(vocabulary: Sequence[str]) -> int:
    """Length of the one-hot operation: the published 32, or more if the vocabulary has more words."""
    return max(ONE_HOT, len(vocabulary))


@dataclass(frozen=True)
class LayerEncoder:
    """Turns packed graphs into numbers for nodes and whole graphs; a missing attribute counts as absent, or average.

    Args:
        kind: The encoding.
        scales: Means, deviations, least and largest of the "log" encoding's numbers, `(4, F)` of nodes and `(4, S)` of
            graphs; outside of what was seen in training a number stays at its edge. Then multiply-adds and bytes of a
            typical network `(2,)`.

    >>> from nasx.search_spaces.graph import Graph
    >>> conv = Graph(["Conv"], [[0]], {"flops": 2e9}, [[3.0, 64.0]], ["kernel_height", "output_1"])
    >>> packed = PackedGraphs.from_graphs([conv])
    >>> [LayerEncoder.of(kind, packed).nodes(packed).shape for kind in ("published", "nnlp", "log")]
    [(1, 120), (1, 12), (1, 26)]
    >>> LayerEncoder.of("nnlp", packed).whole(packed).tolist()
    [[0.0, 2.0, 0.0, 0.0]]
    """

    kind: Encoding
    scales: tuple[Array, Array, Array] | None = None

    @classmethod
    def of(cls, kind: Encoding, graphs: PackedGraphs, most: int = 2000) -> LayerEncoder:
        """Learns the scales from training graphs (so many of them, evenly picked, are enough)."""
        if kind != "log":
            return cls(kind)
        some = graphs[np.unique(np.linspace(0, len(graphs) - 1, most).astype(np.int64))]
        typical = [np.exp(np.log1p(summed(some, node_column(some, name))).mean()) for name in SIZES]
        return cls(kind, (_scale(_log_nodes(some)), _scale(_log_whole(some)), np.array(typical, dtype=np.float32)))

    def nodes(self, graphs: PackedGraphs) -> Array:
        """Numbers of nodes `(M, F)`."""
        if self.kind == "log":
            assert self.scales is not None
            own = _standardised(_log_nodes(graphs), self.scales[0])
            return np.concatenate([own, *_around(graphs)], axis=1, dtype=np.float32)
        window = graphs.node_columns(WINDOW)
        shape = graphs.node_columns(SHAPE)
        window[~(window[:, 0] > 0)] = np.nan  # an operation without a kernel has no window
        window = np.pad(window, ((0, 0), (0, SLOTS - len(WINDOW))), constant_values=np.nan)
        if self.kind == "nnlp":
            shape = (np.nan_to_num(shape) - _NNLP_CENTRE) / _NNLP_SPAN
            return np.concatenate([np.nan_to_num(window), shape], axis=1, dtype=np.float32)
        return _waves(np.concatenate([window, shape], axis=1))

    def whole(self, graphs: PackedGraphs) -> Array:
        """Numbers of whole graphs `(B, S)`."""
        if self.kind == "log":
            assert self.scales is not None
            return _standardised(_log_whole(graphs), self.scales[1])
        columns = [graph_cost(graphs, name) / (1 if name == "batch_size" else 1e9) for name in STATIC]
        static = np.stack(columns, axis=1)
        return _waves(static) if self.kind == "published" else np.nan_to_num(static).astype(np.float32)

    @property
    def knows_sizes(self) -> bool:
        """Whether `sizes` can be asked for."""
        return self.scales is not None

    def sizes(self, graphs: PackedGraphs) -> Array:
        """Multiply-adds and bytes of each node, `(M, 2)`, in those of a typical network; 0 where nothing is known."""
        assert self.scales is not None
        columns = np.stack([node_column(graphs, name) for name in SIZES], axis=1)
        return (columns / self.scales[2]).astype(np.float32)  # type: ignore[no-any-return]

    def state(self) -> tuple[str, dict[str, NDArray[Any]]]:
        """The kind, and arrays."""
        names = ("encoder.nodes", "encoder.whole", "encoder.costs")
        return self.kind, {} if self.scales is None else dict(zip(names, self.scales, strict=True))

    @classmethod
    def from_state(cls, kind: Encoding, tensors: Mapping[str, NDArray[Any]]) -> LayerEncoder:
        """What `state` described."""
        if kind != "log":
            return cls(kind)
        return cls(kind, (tensors["encoder.nodes"], tensors["encoder.whole"], tensors["encoder.costs"]))


def _waves(numbers: NDArray[np.floating[Any]]) -> Array:
    """f_PE "trans" of each number, `(..., S)` to `(..., 10 S)`; zeros where one is missing."""
    waves = frequency_encoding(np.nan_to_num(numbers), FREQUENCIES, "trans")
    waves[np.isnan(numbers)] = 0
    return waves.reshape(len(numbers), -1)


def _log_whole(graphs: PackedGraphs) -> NDArray[np.float64]:
    """Logarithms of costs and sizes, `(B, 7)`; NaN where one is missing."""
    costs = [np.log1p(graph_cost(graphs, name)) for name in GRAPH_COSTS]
    return np.stack([*costs, np.log(graphs.num_nodes), np.log1p(graphs.num_edges)], axis=1)


def _log_nodes(graphs: PackedGraphs) -> NDArray[np.float64]:
    """Logarithms and fits of nodes, `(M, 24)`; NaN where an attribute is missing."""
    count, edges = len(graphs.operations), graphs.global_edges()
    known = graphs.node_columns(_LOGS).astype(np.float64)
    channels = np.nan_to_num(known[:, _LOGS.index("output_1")])
    elements = output_elements(graphs)
    read = np.bincount(edges[:, 1], weights=elements[edges[:, 0]], minlength=count)
    channels_read = np.bincount(edges[:, 1], weights=channels[edges[:, 0]], minlength=count)
    places = np.maximum(read, 1) / np.maximum(channels_read, 1)
    macs = np.nan_to_num(known[:, 0])
    derived = [elements, read, channels_read, places, macs / np.maximum(elements, 1)]
    plain = [known[:, _LOGS.index(name)] for name in ("kernel_height", "stride_height")]
    fits = [np.ceil(x / block) * block / np.maximum(x, 1) - 1 for block in BLOCKS for x in (channels, channels_read)]
    grouped = (np.nan_to_num(known[:, _LOGS.index("groups")]) > 1).astype(np.float64)
    logs = [*np.log1p(np.maximum(known, 0)).T, *np.log1p(np.array(derived))]
    return np.stack([*logs, *plain, *fits, grouped], axis=1)


def _around(graphs: PackedGraphs) -> list[Array]:
    """How often each operation comes just before and just after each node, `(M, V)` each, counted up to two."""
    count, kinds, edges = len(graphs.operations), len(graphs.vocabulary), graphs.global_edges()
    codes = graphs.operations.astype(np.int64)
    before = np.bincount(edges[:, 1] * kinds + codes[edges[:, 0]], minlength=count * kinds)
    after = np.bincount(edges[:, 0] * kinds + codes[edges[:, 1]], minlength=count * kinds)
    return [np.minimum(counts, 2).reshape(count, kinds).astype(np.float32) for counts in (before, after)]


def _scale(numbers: NDArray[np.float64]) -> Array:
    """Means, deviations, least and largest of columns, `(4, F)`, missing ones left out."""
    present = ~np.isnan(numbers)
    filled = np.where(present, numbers, 0)
    count = np.maximum(present.sum(axis=0), 1)
    mean = filled.sum(axis=0) / count
    deviation = np.sqrt((np.where(present, numbers - mean, 0) ** 2).sum(axis=0) / count)
    least = np.where(present, numbers, mean).min(axis=0, initial=np.inf)
    largest = np.where(present, numbers, mean).max(axis=0, initial=-np.inf)
    return np.stack([mean, deviation, least, largest]).astype(np.float32)


def _standardised(numbers: NDArray[np.float64], scale: Array) -> Array:
    """Numbers with mean 0 and deviation 1, within what training had; 0 where one is missing or never varied."""
    mean, deviation, least, largest = scale.astype(np.float64)
    varies = deviation > 1e-6
    inside = np.clip(numbers, least, largest)
    found = np.where(varies, (inside - mean) / np.where(varies, deviation, 1), 0)
    return np.nan_to_num(found).clip(-_FARTHEST, _FARTHEST).astype(np.float32)
