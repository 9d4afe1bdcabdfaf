"""Whole networks on their way into a torch model: encoded when a batch needs them, in buckets of similar sizes.

A batch of random networks is split into buckets (`PackedGraphs.buckets`), each padded and masked, so that padding never
exceeds half of the work and memory is bounded by the nodes of a bucket, whatever the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nasx.predictors.edges import EdgeList
from nasx.predictors.fitted_network import Links
from nasx.predictors.inputs import Inputs
from nasx.predictors.layer_encoding import LayerEncoder
from nasx.search_spaces.packed_graphs import PackedGraphs

NODES_A_BUCKET = 4096
"""Nodes that are padded and computed together."""


@dataclass(frozen=True)
class NetworkInputs:
    """Packed graphs and how they are encoded; `rows` gives what a network reads, as `Inputs.rows` does for cells.

    Args:
        graphs: B graphs in the vocabulary of the model.
        encoder: Turns attributes into numbers.
        device: Where tensors go.
        links: How the model reads edges: "dense", as matrices; "edges", as `EdgeList`; "none": `Inputs.adjacency` is
            empty.
        costs: Whether nodes begin with their multiply-adds and bytes, as they are.
        nodes: Nodes that are padded together.
    """

    graphs: PackedGraphs
    encoder: LayerEncoder
    device: torch.device
    links: Links = "dense"
    costs: bool = False
    nodes: int = NODES_A_BUCKET

    def rows(self, index: Tensor) -> list[tuple[Tensor, Inputs]]:
        """Picks graphs, `(1, b)`: places within the batch and inputs `(1, b')` of each bucket."""
        some = self.graphs[index[0].cpu().numpy()]
        return [(torch.from_numpy(rows).to(self.device), self.inputs(some[rows])) for rows in some.buckets(self.nodes)]

    def inputs(self, graphs: PackedGraphs) -> Inputs:
        """Graphs of similar sizes, padded to the largest, with a member dimension of 1 in front."""
        width = max(graphs.max_nodes, 1)
        mask = np.arange(width) < graphs.num_nodes[:, None]
        codes = np.zeros(mask.shape, dtype=np.int64)
        codes[mask] = graphs.operations
        features = self.encoder.nodes(graphs)
        if self.costs:
            features = np.concatenate([self.encoder.costs(graphs).astype(np.float32), features], axis=1)
        nodes = np.zeros((*mask.shape, features.shape[1]), dtype=np.float32)
        nodes[mask] = features
        summary = self.encoder.whole(graphs)
        parts = [codes, mask.astype(np.float32), nodes, summary]
        tensors = [torch.from_numpy(part).to(self.device).unsqueeze(0) for part in parts]
        return Inputs(tensors[0], self._links(graphs, width), *tensors[1:])

    def _links(self, graphs: PackedGraphs, width: int) -> Any:
        of = np.repeat(np.arange(len(graphs)), graphs.num_edges)
        if self.links == "edges":
            ends = torch.from_numpy(of[:, None] * width + graphs.edges).to(self.device)
            return EdgeList(ends[:, 0].contiguous(), ends[:, 1].contiguous(), len(graphs), width)
        shape = (1, len(graphs), width, width) if self.links == "dense" else (1, len(graphs), 0, 0)
        adjacency = np.zeros(shape, dtype=np.float32)
        if self.links == "dense":
            adjacency[0, of, graphs.edges[:, 0], graphs.edges[:, 1]] = 1
        return torch.from_numpy(adjacency).to(self.device)


class Bucketed(nn.Module):
    """A network that reads the buckets of `NetworkInputs.rows` and puts the scores back in order.

    Args:
        network: Maps `Inputs` of `(1, b)` graphs to scores `(E, b)`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, buckets: list[tuple[Tensor, Inputs]]) -> Tensor:
        """Scores of the batch, `(E, b)`."""
        places = torch.cat([rows for rows, _ in buckets])
        scores = torch.cat([self.network(inputs) for _, inputs in buckets], dim=1)
        return scores[:, places.argsort()]
