"""Whole networks on their way into a torch model: encoded when a batch needs them, in buckets of similar sizes.

A batch of random networks is split into buckets (`PackedGraphs.buckets`), each padded and masked, so that padding never
exceeds half of the work and memory is bounded by the nodes of a bucket, whatever the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

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
        linked: Whether the model reads the adjacency; without, `Inputs.adjacency` is empty.
        costs: Whether nodes begin with their multiply-adds and bytes, as they are.
        nodes: Nodes that are padded together.
    """

    graphs: PackedGraphs
    encoder: LayerEncoder
    device: torch.device
    linked: bool = True
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
        parts = [self.encoder.nodes(graphs)]
        if self.costs:
            parts.insert(0, self.encoder.costs(graphs).astype(np.float32))
        features = np.concatenate(parts, axis=1)
        nodes = np.zeros((*mask.shape, features.shape[1]), dtype=np.float32)
        nodes[mask] = features
        adjacency = np.zeros((len(graphs), width, width) if self.linked else (len(graphs), 0, 0), dtype=np.float32)
        if self.linked:
            of = np.repeat(np.arange(len(graphs)), graphs.num_edges)
            adjacency[of, graphs.edges[:, 0], graphs.edges[:, 1]] = 1
        found = Inputs(
            torch.from_numpy(codes),
            torch.from_numpy(adjacency),
            torch.from_numpy(mask.astype(np.float32)),
            torch.from_numpy(nodes),
            torch.from_numpy(self.encoder.whole(graphs)),
        )
        return Inputs(*(None if part is None else part.to(self.device).unsqueeze(0) for part in found))  # type: ignore[arg-type]


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
