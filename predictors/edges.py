"""Whole networks as one row of nodes with lists of edges: nothing is padded, and attention goes along edges alone.

A network of 150 operations has about 170 edges and 22,500 pairs of nodes, on which models would spend most of a
training step. The nodes of all graphs of a batch stand in a row, `(1, 1, M)`: operations on small tensors take about as
long as on large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nasx.predictors.inputs import Inputs


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
        weights = (x.index_select(0, sources) * x.index_select(0, targets)).sum(-1) / math.sqrt(width)
        if directed:
            ways = [_mean(flat, weights, sources, targets), _mean(flat, weights, targets, sources)]
            return torch.cat(ways, dim=-1).view(*h.shape[:-1], 2 * width)
        here, there = torch.cat([sources, targets]), torch.cat([targets, sources])
        return _mean(flat, weights.repeat(2), here, there).view(h.shape)

    def means(self, h: Tensor, directed: bool) -> Tensor:
        """Means of h `(E, 1, M, d)` over the neighbours of each node, zero without any; as `attention` if directed."""
        onward, back = self.neighbour_sums(h, h).chunk(2, dim=-1)
        out, into = self.sum(-1).unsqueeze(-1), self.sum(-2).unsqueeze(-1)
        if directed:
            return torch.cat([onward / out.clamp_min(1), back / into.clamp_min(1)], dim=-1)
        return (onward + back) / (out + into).clamp_min(1)

    def neighbour_sums(self, onward: Tensor, back: Tensor) -> Tensor:
        """`[A X ; A^T Y]`: sums of X over the successors of each node, beside sums of Y over its predecessors.

        Args:
            onward: X, `(E, 1, M, d)`.
            back: Y, of the same shape.
        """
        ways = ((onward, self.sources, self.targets), (back, self.targets, self.sources))
        sums = [torch.zeros_like(x).index_add(2, here, x.index_select(2, there)) for x, here, there in ways]
        return torch.cat(sums, dim=-1)

    def sibling_pairs(self) -> Pairs:
        """The pairs that `nn_former.sibling_masks` allows, the four masks one after another.

        >>> fork = EdgeList(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.zeros(3, dtype=torch.long), graphs=1)
        >>> pairs = fork.sibling_pairs()
        >>> list(zip(pairs.here[pairs.heads == 2].tolist(), pairs.there[pairs.heads == 2].tolist()))
        [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]
        """
        count = len(self.owners)
        itself = torch.arange(count, device=self.owners.device)
        lists = [
            (self.sources, self.targets),
            (self.targets, self.sources),
            _pairs_with_common(self.sources, self.targets),
            _pairs_with_common(self.targets, self.sources),
        ]
        keys = [
            head * count**2 + torch.cat([here, itself]) * count + torch.cat([there, itself])
            for head, (here, there) in enumerate(lists)
        ]
        unique = torch.cat(keys).unique()
        return Pairs(4, unique // count**2, unique % count**2 // count, unique % count)


@dataclass(frozen=True)
class Pairs:
    """Which nodes of a row look at which, head by head, in place of masks `(., B, H, M, M)`.

    Args:
        num_heads: H.
        heads: Head of each pair, `(K,)`.
        here: Place in the row of the node that looks, `(K,)`; every node looks at something, in every head.
        there: Place of what it looks at, `(K,)`.
    """

    num_heads: int
    heads: Tensor
    here: Tensor
    there: Tensor

    def repeated(self, times: int) -> Pairs:
        """The same with that many heads in place of each."""
        heads = torch.cat([self.heads * times + turn for turn in range(times)])
        return Pairs(self.num_heads * times, heads, self.here.repeat(times), self.there.repeat(times))

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Scaled dot-product attention of each head, `softmax_j(q_i k_j / sqrt(d_h)) v_j` over the pairs (i, j).

        Args:
            query: `(E, 1, M, H d_h)`, as are key, value and what is returned.
            key: What is looked at.
            value: What is seen there.
        """
        members, row = len(query), query.shape[2] * self.num_heads
        offsets = torch.arange(members, device=query.device)[:, None] * row
        here = (self.here * self.num_heads + self.heads + offsets).flatten()
        there = (self.there * self.num_heads + self.heads + offsets).flatten()
        q, k, v = (x.reshape(members * row, -1) for x in (query, key, value))
        scores = (q.index_select(0, here) * k.index_select(0, there)).sum(-1) / math.sqrt(q.shape[-1])
        highest = scores.new_zeros(len(q)).scatter_reduce(0, here, scores.detach(), "amax", include_self=False)
        weights = (scores - highest[here]).exp()
        total = scores.new_zeros(len(q)).index_add(0, here, weights)
        sums = torch.zeros_like(v).index_add(0, here, weights[:, None] * v.index_select(0, there))
        return (sums / total[:, None]).view(query.shape)


def node_sums(h: Tensor, graphs: Inputs) -> Tensor:
    """Sums over the nodes of each graph: `(E, B, N, d)`, or `(E, 1, M, d)` of nodes in a row, to `(E, B, d)`."""
    if not isinstance(graphs.adjacency, EdgeList):
        return (h * graphs.mask.unsqueeze(-1)).sum(2)
    edges = graphs.adjacency
    return h.new_zeros(len(h), edges.graphs, h.shape[-1]).index_add(1, edges.owners, h[:, 0])


def _pairs_with_common(ends: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of `others` of the edges that share an end; one that shares several comes as often."""
    order = ends.argsort(stable=True)
    others, counts = others[order], ends.bincount()
    of_edge = counts[ends[order]]  # every edge meets all edges of its end, itself among them
    first = (counts.cumsum(0) - counts)[ends[order]].repeat_interleave(of_edge)
    turn = torch.arange(len(first), device=ends.device) - (of_edge.cumsum(0) - of_edge).repeat_interleave(of_edge)
    return others.repeat_interleave(of_edge), others[first + turn]


def _mean(values: Tensor, weights: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """Weighted means of the values there at the nodes here; zero at a node without any."""
    total = values.new_zeros(len(values)).index_add(0, here, weights)
    sums = torch.zeros_like(values).index_add(0, here, weights[:, None] * values.index_select(0, there))
    return sums / (total + 1e-6)[:, None]
