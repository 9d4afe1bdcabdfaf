"""Attention along the edges alone, for whole networks: hundreds of nodes, each with a few neighbours.

A network of 150 operations has about 170 edges and 22,500 pairs of nodes, on which narrow models spend most of a
training step; for wide ones a product of dense matrices is quicker than gathering rows of hundreds of channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

WIDE = 128
"""From so many channels on, dense matrices are as quick."""


@dataclass(frozen=True)
class EdgeList:
    """The edges of B padded graphs, in place of their adjacency `(1, B, N, N)`.

    Args:
        sources: Places `b N + i` of the nodes that edges leave, `(K,)`.
        targets: Places of the nodes that they reach, `(K,)`.
        graphs: Number B of graphs.
        nodes: Number N of nodes that each is padded to.

    >>> edges = EdgeList(torch.tensor([0, 0]), torch.tensor([1, 2]), graphs=1, nodes=3)
    >>> edges.sum(-1).tolist(), edges.sum(-2).tolist()
    ([[[2.0, 0.0, 0.0]]], [[[0.0, 1.0, 1.0]]])
    """

    sources: Tensor
    targets: Tensor
    graphs: int
    nodes: int

    @classmethod
    def of(cls, adjacency: Tensor) -> EdgeList:
        """The edges of an adjacency `(1, B, N, N)`."""
        graph, source, target = adjacency[0].nonzero().unbind(-1)
        nodes = adjacency.shape[-1]
        return cls(graph * nodes + source, graph * nodes + target, adjacency.shape[1], nodes)

    def to(self, device: torch.device) -> EdgeList:
        """The same edges on a device."""
        return EdgeList(self.sources.to(device), self.targets.to(device), self.graphs, self.nodes)

    def sum(self, dim: int) -> Tensor:
        """How many edges leave each node (dim -1) or reach it (dim -2), `(1, B, N)`, as an adjacency's sums."""
        ends = self.sources if dim == -1 else self.targets
        return torch.bincount(ends, minlength=self.graphs * self.nodes).float().view(1, self.graphs, self.nodes)

    def attention(self, x: Tensor, h: Tensor, directed: bool) -> Tensor:
        """Equations (9) and (10) of NAR-Former V2 without the last map: weights `x_i x_j / sqrt(d)`, their mean of h.

        Args:
            x: Queries and keys `(E, B, N, d)`, positive.
            h: Values `(E, B, N, d)`.
            directed: Successors and predecessors apart, `(E, B, N, 2d)`, and not together, `(E, B, N, d)`.
        """
        members, width = len(h), h.shape[-1]
        offsets = torch.arange(members, device=h.device)[:, None] * (self.graphs * self.nodes)
        sources, targets = (self.sources + offsets).flatten(), (self.targets + offsets).flatten()
        x, flat = x.reshape(-1, width), h.reshape(-1, width)
        weights = (x[sources] * x[targets]).sum(-1) / math.sqrt(width)
        if directed:
            ways = [_mean(flat, weights, sources, targets), _mean(flat, weights, targets, sources)]
            return torch.cat(ways, dim=-1).view(*h.shape[:-1], 2 * width)
        here, there = torch.cat([sources, targets]), torch.cat([targets, sources])
        return _mean(flat, weights.repeat(2), here, there).view(h.shape)


def _mean(values: Tensor, weights: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """Weighted means of the values there at the nodes here; zero at a node without any."""
    total = values.new_zeros(len(values)).index_add(0, here, weights)
    sums = torch.zeros_like(values).index_add(0, here, weights[:, None] * values[there])
    return sums / (total + 1e-6)[:, None]
