"""Whole networks on their way into a torch model: encoded when a batch needs them, without or with little padding.

Models that do not need matrices of edges read all nodes of a batch in one row. For the others a batch of random
networks is split into buckets of similar sizes (`PackedGraphs.buckets`), each padded and masked, so that padding never
exceeds half of the work. Either way memory is bounded by the nodes of a part, whatever the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nasx.predictors.edges import EdgeList
from nasx.predictors.fitted_network import Links
from nasx.predictors.inputs import Inputs
from nasx.predictors.layer_encoding import LayerEncoder
from nasx.search_spaces.packed_graphs import PackedGraphs

NODES_A_BUCKET = 4096
"""Nodes that are computed together."""


@dataclass(frozen=True)
class NetworkInputs:
    """Packed graphs and how they are encoded; `rows` gives what a network reads, as `Inputs.rows` does for cells.

    Args:
        graphs: B graphs in the vocabulary of the model.
        encoder: Turns attributes into numbers.
        device: Where tensors go.
        links: How the model reads edges: "dense", as matrices of padded graphs; "edges", as `EdgeList`, nodes in one
            row; "none": the same without edges.
        nodes: Nodes that are computed together.
    """

    graphs: PackedGraphs
    encoder: LayerEncoder
    device: torch.device
    links: Links = "dense"
    nodes: int = NODES_A_BUCKET

    def rows(self, index: Tensor) -> list[tuple[Tensor, Inputs]]:
        """Picks graphs, `(1, b)`: places within the batch and inputs `(1, b')` of each part."""
        some = self.graphs[index[0].cpu().numpy()]
        parts = self.parts(some, self.nodes)
        return [(torch.from_numpy(rows).to(self.device), self.inputs(some[rows])) for rows in parts]

    def parts(self, graphs: PackedGraphs, nodes: int) -> list[NDArray[np.intp]]:
        """Row numbers of graphs that are computed together, with about so many nodes."""
        if self.links == "dense":
            return list(graphs.buckets(nodes))
        turns = np.flatnonzero(np.diff(np.cumsum(graphs.num_nodes) // nodes)) + 1
        return np.split(np.arange(len(graphs)), turns)

    def inputs(self, graphs: PackedGraphs) -> Inputs:
        """Graphs of one part, with a member dimension of 1 in front."""
        of_nodes: list[NDArray[Any]] = [graphs.operations.astype(np.int64), self.encoder.nodes(graphs)]
        if self.encoder.knows_sizes:
            of_nodes.append(self.encoder.sizes(graphs))
        edges: Any
        if self.links == "dense":
            mask = np.arange(max(graphs.max_nodes, 1)) < graphs.num_nodes[:, None]
            of_nodes, edges = [_padded(values, mask) for values in of_nodes], self._matrices(graphs, mask.shape[1])
        else:
            mask, edges = np.ones((1, len(graphs.operations)), dtype=bool), self._edge_list(graphs)
            of_nodes = [values[None] for values in of_nodes]
        parts = (*of_nodes, mask.astype(np.float32), self.encoder.whole(graphs))
        codes, nodes, *sizes, present, summary = (torch.from_numpy(x).unsqueeze(0).to(self.device) for x in parts)
        return Inputs(codes, edges, present, nodes, summary, *sizes)

    def _matrices(self, graphs: PackedGraphs, width: int) -> Tensor:
        adjacency = np.zeros((1, len(graphs), width, width), dtype=np.float32)
        of = np.repeat(np.arange(len(graphs)), graphs.num_edges)
        adjacency[0, of, graphs.edges[:, 0], graphs.edges[:, 1]] = 1
        return torch.from_numpy(adjacency).to(self.device)

    def _edge_list(self, graphs: PackedGraphs) -> EdgeList:
        first = np.cumsum(graphs.num_nodes) - graphs.num_nodes
        ends = graphs.edges + np.repeat(first, graphs.num_edges)[:, None]
        if self.links == "none":
            ends = ends[:0]
        sources, targets = torch.from_numpy(ends.astype(np.int64)).to(self.device).t().contiguous()
        return EdgeList(sources, targets, torch.from_numpy(graphs.graph_of_node).to(self.device), len(graphs))


def _padded(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Values of nodes `(M, ...)` as rows of padded graphs `(B, N, ...)`."""
    rows = np.zeros((*mask.shape, *values.shape[1:]), dtype=values.dtype)
    rows[mask] = values
    return rows


class InParts(nn.Module):
    """A network that reads the parts of `NetworkInputs.rows` and puts the scores back in order.

    Args:
        network: Maps `Inputs` of `(1, b)` graphs to scores `(E, b)`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, parts: list[tuple[Tensor, Inputs]]) -> Tensor:
        """Scores of the batch, `(E, b)`."""
        places = torch.cat([rows for rows, _ in parts])
        scores = torch.cat([self.network(inputs) for _, inputs in parts], dim=1)
        return scores[:, places.argsort()]
