"""Whole networks in a few hundred numbers: what their layers cost, added up kind by kind.

Shapes: B graphs, M nodes in all. A kind of layer is its operation and, where it has a kernel, the size of the kernel
and whether its channels are in groups: `Conv 3 grouped`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.predictors.features import Array
from nasx.search_spaces.packed_graphs import PackedGraphs

COSTS = ("macs", "parameters", "memory_bytes")
"""Attributes of nodes that are added up (names as in `search_spaces.onnx_network`); elements of outputs, too."""

GRAPH_COSTS = ("batch_size", "flops", "macs", "parameters", "memory_bytes")


def node_column(graphs: PackedGraphs, name: str) -> NDArray[np.float64]:
    """An attribute of all nodes, `(M,)`; 0 where it is missing."""
    return np.nan_to_num(graphs.node_columns([name])[:, 0].astype(np.float64))


def output_elements(graphs: PackedGraphs) -> NDArray[np.float64]:
    """Numbers that each node hands on, `(M,)`: the product of the known sizes of its output."""
    sizes = [np.maximum(node_column(graphs, f"output_{place}"), 1) for place in range(4)]
    return np.prod(sizes, axis=0)


def summed(graphs: PackedGraphs, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Sums over the nodes of each graph: `(M,)` to `(B,)`."""
    return np.bincount(graphs.graph_of_node, weights=values, minlength=len(graphs)).astype(np.float64, copy=False)


def graph_cost(graphs: PackedGraphs, name: str) -> NDArray[np.float64]:
    """A cost of each whole graph, `(B,)`: its attribute, else the sum of its nodes', else NaN.

    FLOPs are two a multiply-add where only `macs` are known, and the other way round.

    >>> from nasx.search_spaces.graph import Graph
    >>> graph = Graph(["conv"], [[0]], {"macs": 7.0})
    >>> graph_cost(PackedGraphs.from_graphs([graph]), "flops").tolist()
    [14.0]
    """
    found = np.full(len(graphs), np.nan)
    for other, factor in ((name, 1.0), *{"flops": (("macs", 2.0),), "macs": (("flops", 0.5),)}.get(name, ())):
        if other in graphs.attributes:
            found = np.where(np.isnan(found), factor * graphs.attributes[other], found)
        if np.isnan(found).any() and other in graphs.node_attribute_names:
            values = graphs.node_columns([other])[:, 0].astype(np.float64)
            known = summed(graphs, ~np.isnan(values)) > 0
            sums = np.where(known, factor * summed(graphs, np.nan_to_num(values)), np.nan)
            found = np.where(np.isnan(found), sums, found)
    return found


def layer_kinds(graphs: PackedGraphs) -> tuple[list[str], NDArray[np.int64]]:
    """The kinds of layers that occur, by name, and which of them each node is, `(M,)`."""
    kernel = node_column(graphs, "kernel_height").astype(np.int64)
    grouped = (node_column(graphs, "groups") > 1).astype(np.int64)
    keys = np.stack([graphs.operations.astype(np.int64), kernel, grouped], axis=1)
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    names = [
        graphs.vocabulary[code] + (f" {size}" if size else "") + (" grouped" if grouped else "")
        for code, size, grouped in distinct.tolist()
    ]
    return names, which.reshape(-1)


@dataclass(frozen=True)
class NetworkFeatures:
    """Turns whole networks into feature vectors.

    Logarithms of the costs of the whole graph; numbers of nodes and edges; then for each kind of layer that the
    training graphs have, how often it occurs and the logarithms of what its layers cost together.

    >>> from nasx.search_spaces.graph import Graph
    >>> def network(layers):
    ...     table, names = [[9.0, 3.0]] * layers, ["macs", "kernel_height"]
    ...     return Graph(["Conv"] * layers, [[0] * layers] * layers, None, table, names)
    >>> packed = PackedGraphs.from_graphs([network(1), network(2)])
    >>> features = NetworkFeatures.of(packed)
    >>> features.kinds, features(packed).shape
    (('Conv 3',), (2, 12))
    """

    vocabulary: tuple[str, ...]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, graphs: PackedGraphs) -> NetworkFeatures:
        """Learns from the training graphs which kinds of layers exist."""
        return cls(graphs.vocabulary, tuple(layer_kinds(graphs)[0]))

    def __call__(self, graphs: PackedGraphs) -> Array:
        """Features `(B, 7 + 5 K)` of graphs, K kinds; a kind that no training graph has counts as its operation.

        Raises:
            UsageError: If a graph has an operation that the vocabulary of the training graphs lacks.
        """
        graphs = graphs.recode(self.vocabulary)
        whole = [np.log1p(np.nan_to_num(graph_cost(graphs, name))) for name in GRAPH_COSTS]
        parts = [np.stack([*whole, graphs.num_nodes, graphs.num_edges], axis=1)]
        costs = [*(node_column(graphs, name) for name in COSTS), output_elements(graphs)]
        counts, *sums = self.sums(graphs, [np.ones(len(graphs.operations)), *costs])
        return np.concatenate([*parts, counts, *map(np.log1p, sums)], axis=1, dtype=np.float32)

    def sums(self, graphs: PackedGraphs, values: Sequence[NDArray[np.floating[Any]]]) -> list[NDArray[np.float64]]:
        """Sums over the layers of each kind: numbers of nodes `(M,)` each to `(B, K)` each."""
        names, which = layer_kinds(graphs)
        places = np.array([_place(name, self.kinds) for name in names], dtype=np.int64)[which]
        real = places >= 0
        cells = (graphs.graph_of_node * len(self.kinds) + places)[real]
        size = len(graphs) * len(self.kinds)
        found = [np.bincount(cells, weights=v[real], minlength=size).astype(np.float64, copy=False) for v in values]
        return [column.reshape(len(graphs), -1) for column in found]

    def state(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {"vocabulary": list(self.vocabulary), "kinds": list(self.kinds)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NetworkFeatures:
        """What `state` described."""
        return cls(tuple(state["vocabulary"]), tuple(state["kinds"]))


def _place(name: str, kinds: Sequence[str]) -> int:
    """The column of a kind: its own, or that of the kind of the same operation with the nearest kernel; -1: none."""
    if name in kinds:
        return kinds.index(name)
    operation, kernel, grouped = _parts(name)
    alike = [(other, _parts(other)) for other in kinds]
    nearest = [
        (abs(size - kernel), groups != grouped, other) for other, (same, size, groups) in alike if same == operation
    ]
    return kinds.index(min(nearest)[2]) if nearest else -1


def _parts(name: str) -> tuple[str, int, bool]:
    """Operation, kernel and grouping of a kind."""
    grouped = name.endswith(" grouped")
    operation, _, kernel = name.removesuffix(" grouped").rpartition(" ")
    return (operation, int(kernel), grouped) if operation and kernel.isdigit() else (name, 0, grouped)
