"""Layers with a leading member dimension: an ensemble of E networks computed as one.

Every tensor is `(E, ..., d)` and every parameter has one slice a member, so that E small networks cost a few large
matrix products instead of E times as many small ones. Members never mix; E = 1 is an ordinary network.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NARROW = 256
"""Up to so many channels a group-linear map is computed as one product, and torch drops values."""


class Linear(nn.Module):
    """`y_e = x_e W_e + b_e` for each member e.

    Weights start uniform in +-1/sqrt(in_features), biases in +-`bias_bound` (default the same): the initialisation
    of torch, PyTorch Geometric and the released NAR-Former V2.

    >>> Linear(3, 4, 2)(torch.zeros(3, 5, 7, 4)).shape
    torch.Size([3, 5, 7, 2])
    """

    def __init__(
        self, members: int, in_features: int, out_features: int, bias: bool = True, bias_bound: float | None = None
    ) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(members, in_features, out_features).uniform_(-bound, bound))
        bias_bound = bound if bias_bound is None else bias_bound
        self.bias = (
            nn.Parameter(torch.empty(members, 1, out_features).uniform_(-bias_bound, bias_bound)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(E, ..., in_features)` to `(E, ..., out_features)`."""
        flat = x.flatten(1, -2)
        y = torch.bmm(flat, self.weight) if self.bias is None else torch.baddbmm(self.bias, flat, self.weight)
        return y.unflatten(1, x.shape[1:-1])


class LayerNorm(nn.Module):
    """Layer normalisation over the last dimension with one gain and bias vector a member.

    >>> LayerNorm(3, 4)(torch.zeros(3, 5, 4)).shape
    torch.Size([3, 5, 4])
    """

    def __init__(self, members: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, features))
        self.bias = nn.Parameter(torch.zeros(members, features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalises `(E, ..., features)`."""
        if len(self.weight) == 1:
            return F.layer_norm(x, x.shape[-1:], self.weight[0], self.bias[0])
        shape = (len(self.weight),) + (1,) * (x.dim() - 2) + (-1,)
        return torch.addcmul(self.bias.view(shape), F.layer_norm(x, x.shape[-1:]), self.weight.view(shape))


class GroupLinear(nn.Module):
    """Group-linear map (Mehta et al. 2018): each of G groups of channels has its own small matrix.

    `y = concat_g LN(x_g W_g + b_g)`, the layer norm over a group's outputs being shared by the groups.

    >>> GroupLinear(3, 8, 16, groups=4)(torch.zeros(3, 5, 7, 8)).shape
    torch.Size([3, 5, 7, 16])
    """

    def __init__(self, members: int, in_features: int, out_features: int, groups: int, norm: bool = True) -> None:
        super().__init__()
        self.groups = groups
        inner, outer = in_features // groups, out_features // groups
        # xavier_uniform_ of the released three-dimensional weight (G, inner, outer): torch takes dimension 1 as
        # inputs, 0 as outputs and 2 as a receptive field.
        bound = math.sqrt(6 / (outer * (inner + groups)))
        self.weight = nn.Parameter(torch.empty(members * groups, inner, outer).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members * groups, 1, outer))
        self.norm = LayerNorm(members, outer) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(E, ..., in_features)` to `(E, ..., out_features)`."""
        members, leading = x.shape[0], x.shape[1:-1]
        if self.groups == 1 or x.shape[-1] <= NARROW:
            # One product with a block-diagonal matrix: more sums, but nothing is copied into groups and back.
            weight, bias = self._dense(members)
            y = torch.baddbmm(bias, x.flatten(1, -2), weight).unflatten(-1, (self.groups, -1))  # (E, M, G, outer)
        else:
            grouped = x.reshape(members, -1, self.groups, x.shape[-1] // self.groups).transpose(1, 2)
            y = torch.baddbmm(self.bias, grouped.flatten(0, 1), self.weight)  # (E G, M, outer)
            y = y.unflatten(0, (members, self.groups)).transpose(1, 2)
        if self.norm is not None:
            y = self.norm(y)
        return y.reshape(members, *leading, -1)

    def _dense(self, members: int) -> tuple[Tensor, Tensor]:
        """Weight `(E, in_features, out_features)` and bias `(E, 1, out_features)` of the same map."""
        weight = self.weight.unflatten(0, (members, self.groups))  # (E, G, inner, outer)
        eye = torch.eye(self.groups, dtype=weight.dtype, device=weight.device)
        blocks = weight.unsqueeze(3) * eye.view(self.groups, 1, self.groups, 1)  # (E, G, inner, G, outer)
        return blocks.flatten(3).flatten(1, 2), self.bias.view(members, 1, -1)


class Embedding(nn.Module):
    """One learned vector a code and member.

    >>> Embedding(3, 7, 4)(torch.zeros(1, 5, 6, dtype=torch.long)).shape
    torch.Size([3, 5, 6, 4])
    """

    def __init__(self, members: int, codes: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(members, codes, features))

    def forward(self, codes: Tensor) -> Tensor:
        """Looks up `codes (E or 1, ...)`; gives `(E, ..., features)`."""
        # A product instead of an index: the gradient of an index adds up in whatever order the threads arrive.
        rows = F.one_hot(codes.flatten(1), self.weight.shape[1]).to(self.weight.dtype)
        return (rows @ self.weight).view(-1, *codes.shape[1:], self.weight.shape[2])


class Dropout(nn.Module):
    """Dropout; `shared` drops a channel in all nodes of a graph together.

    >>> Dropout(0.5, shared=True)(torch.ones(3, 5, 7, 4)).shape
    torch.Size([3, 5, 7, 4])
    """

    def __init__(self, share: float, shared: bool = False) -> None:
        super().__init__()
        self.share = share
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """Drops values of nodes `(E, B, N, d)` while training."""
        if not (self.training and self.share):
            return x
        if not self.shared and x.shape[-1] <= NARROW:
            return F.dropout(x, self.share)
        if not self.shared:
            return x * torch.where(self._kept(x), 1 / (1 - self.share), 0.0)
        # Uniform numbers compared are several times quicker on a CPU than Bernoulli draws.
        kept = torch.rand(*x.shape[:2], 1, x.shape[-1], device=x.device) >= self.share
        return x * (kept / (1 - self.share))

    def _kept(self, x: Tensor) -> Tensor:
        """Which values stay: of every 64 random bits four values take 16 each, a quarter of what `F.dropout` costs."""
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        return bits.view(torch.int16)[: x.numel()].view(x.shape) >= round(self.share * 2**16) - 2**15


def lecun_initialisation(module: nn.Module) -> None:
    """Starts the linear maps of a module with outputs as large as their inputs, and without biases."""
    for layer in module.modules():
        if isinstance(layer, Linear | GroupLinear):
            bound = math.sqrt(3 / layer.weight.shape[-2])
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
