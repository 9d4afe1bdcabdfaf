"""Whole networks as one row of nodes with lists of edges: nothing is padded, and attention goes along edges alone.

A network of 150 operations has about 170 edges and 22,500 pairs of nodes, on which narrow models spend most of a
training step; for wide ones a product of dense matrices is quicker than gathering rows of hundreds of channels. The
nodes of all graphs of a batch stand in a row, `(1, 1, M)`: operations on small tensors take about as long as on large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nasx.predictors.inputs import Inputs

WIDE = 128
"""From so many channels on, dense matrices are as quick."""


@dataclass(frozen=True)
class EdgeList:
    """The edges of B graphs whose M nodes stand in one row, in place of their adjacency `(1, B, N, N)`.

    Args:
        sources: Places in the row of the nodes that edges leave, `(K,)`.
        targets: Places of the nodes that they reach, `(K,)`.
        owners: Number of the graph of each node, `(M,)`.
        graphs: B.

    >>> edges = EdgeList(torch.tensor([0, 0]), torch.tensor([1, 2]), owners=torch.zeros(3, dtype=torch.long), graphs=1)
    >>> edges.sum(-1).tolist(), edges.sum(-2).tolist()
    ([[[2.0, 0.0, 0.0]]], [[[0.0, 1.0, 1.0]]])
    """

    sources: Tensor
    targets: Tensor
    owners: Tensor
    graphs: int

    def sum(self, dim: int) -> Tensor:
        """How many edges leave each node (dim -1) or reach it (dim -2), `(1, 1, M)`, as an adjacency's sums."""
        ends = self.sources if dim == -1 else self.targets
        return torch.bincount(ends, minlength=len(self.owners)).float().view(1, 1, -1)

    def attention(self, x: Tensor, h: Tensor, directed: bool) -> Tensor:
        """Equations (9) and (10) of NAR-Former V2 without the last map: weights `x_i x_j / sqrt(d)`, their mean of h.

        Args:
            x: Queries and keys `(E, 1, M, d)`, positive.
            h: Values `(E, 1, M, d)`.
            directed: Successors and predecessors apart, `(E, 1, M, 2d)`, and not together, `(E, 1, M, d)`.
        """
        members, width = len(h), h.shape[-1]
        offsets = torch.arange(members, device=h.device)[:, None] * len(self.owners)
        sources, targets = (self.sources + offsets).flatten(), (self.targets + offsets).flatten()
        x, flat = x.reshape(-1, width), h.reshape(-1, width)
        weights = (x[sources] * x[targets]).sum(-1) / math.sqrt(width)
        if directed:
            ways = [_mean(flat, weights, sources, targets), _mean(flat, weights, targets, sources)]
            return torch.cat(ways, dim=-1).view(*h.shape[:-1], 2 * width)
        here, there = torch.cat([sources, targets]), torch.cat([targets, sources])
        return _mean(flat, weights.repeat(2), here, there).view(h.shape)


def node_sums(h: Tensor, graphs: Inputs) -> Tensor:
    """Sums over the nodes of each graph: `(E, B, N, d)`, or `(E, 1, M, d)` of nodes in a row, to `(E, B, d)`."""
    if not isinstance(graphs.adjacency, EdgeList):
        return (h * graphs.mask.unsqueeze(-1)).sum(2)
    edges = graphs.adjacency
    return h.new_zeros(len(h), edges.graphs, h.shape[-1]).index_add(1, edges.owners, h[:, 0])


def _mean(values: Tensor, weights: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """Weighted means of the values there at the nodes here; zero at a node without any."""
    total = values.new_zeros(len(values)).index_add(0, here, weights)
    sums = torch.zeros_like(values).index_add(0, here, weights[:, None] * values[there])
    return sums / (total + 1e-6)[:, None]
