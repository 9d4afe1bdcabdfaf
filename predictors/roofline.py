"""Latency as a sum over layers: each layer's cost is what its arithmetic and its memory traffic take.

    y = sum_i ( macs_i exp(a_i) + bytes_i exp(b_i) + exp(c_i) ) + exp(d),    (a_i, b_i, c_i) = W h_i + w

A network gives a state h_i of each layer, the state gives rates: how far from its best speed the device computes and
moves data there, and what it costs to start. Rates change little from layer to layer while costs span many orders of
magnitude, so that layers larger than any in training are extrapolated along the roofline (Williams et al. 2009), and
networks of families that no training network belongs to are predicted from their layers.

Shapes: E ensemble members, B graphs, N nodes, d channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasx.predictors.edges import node_sums
from nasx.predictors.inputs import Inputs
from nasx.predictors.layers import Linear
from nasx.search_spaces.errors import UsageError

RATES = 3
"""Numbers (a, b, c) of each layer."""
_START = (1.0, 1.0, 4.0)
_STEEPEST = 6.0


class Roofline(nn.Module):
    """States of layers and their sizes to positive scores of graphs; begins with equal rates for all layers.

    >>> roofline = Roofline(members=2, width=8)
    >>> codes, mask, sizes = (torch.zeros(1, 4, 7, *shape) for shape in ((), (), (2,)))
    >>> graphs = Inputs(codes.long(), torch.zeros(1, 4, 0, 0), mask, sizes=sizes)
    >>> roofline(torch.zeros(2, 4, 7, 8), graphs).shape
    torch.Size([2, 4])
    """

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.rates = Linear(members, width, RATES)
        for value in self.rates.parameters():
            nn.init.zeros_(value)
        self.constant = nn.Parameter(torch.full((members, 1), -3.0))
        self.start: Tensor
        self.register_buffer("start", torch.tensor(_START), persistent=False)

    def forward(self, h: Tensor, graphs: Inputs, more: Tensor | float = 0.0) -> Tensor:
        """Scores graphs by the states of their layers, `(E, B, N, d)`: `(E, B)`; `more` is added to (a, b, c)."""
        if graphs.sizes is None:
            raise UsageError(
                "the roofline needs the sizes of layers, which node_attributes='log' reads; see preset 'network'"
            )
        rates = self.rates(h) + more
        rates = torch.exp(_STEEPEST * torch.tanh(rates / _STEEPEST) - self.start)
        costs = (rates[..., :2] * graphs.sizes).sum(-1, keepdim=True) + rates[..., 2:]
        return node_sums(costs, graphs).squeeze(-1) + self.constant.exp()
