"""Multi-head attention with a leading member dimension, and the feed-forward that goes with it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasx.predictors.edges import Pairs
from nasx.predictors.layers import Linear
from nasx.search_spaces.errors import UsageError


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017): `[..., softmax(Q_h K_h^T / sqrt(d_h) + M_h) V_h, ...] W_o`.

    Args:
        members: Number E of ensemble members.
        width: Channels d of what goes in and out.
        heads: Number H of heads.
        head_width: Channels of a head; 0: `width / heads`.
        bias: Whether the four maps have biases.

    >>> allowed = torch.ones(1, 5, 1, 6, 6, dtype=torch.bool)
    >>> MultiHeadAttention(2, 8, heads=4)(x := torch.randn(2, 5, 6, 8), x, allowed).shape
    torch.Size([2, 5, 6, 8])
    """

    def __init__(self, members: int, width: int, heads: int, head_width: int = 0, bias: bool = False) -> None:
        super().__init__()
        if not head_width and width % heads:
            raise UsageError(f"width {width} is not a multiple of the number of heads, {heads}")
        self.heads = heads
        inner = heads * (head_width or width // heads)
        self.query = Linear(members, width, inner, bias)
        self.key = Linear(members, width, inner, bias)
        self.value = Linear(members, width, inner, bias)
        self.out = Linear(members, inner, width, bias)

    def forward(self, x: Tensor, context: Tensor, allowed: Tensor | Pairs) -> Tensor:
        """Lets `x (E, B, N, d)` read `context (E, B, M, d)` where `allowed (., B, H or 1, N, M)` is true."""
        query, key, value = self.query(x), self.key(context), self.value(context)
        if isinstance(allowed, Pairs):
            return self.out(allowed.attention(query, key, value))  # type: ignore[no-any-return]
        query, key, value = self._split(query), self._split(key), self._split(value)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
        return self.out((weights @ value).transpose(2, 3).flatten(-2))

    def _split(self, x: Tensor) -> Tensor:
        """`(E, B, N, H d_h)` to `(E, B, H, N, d_h)`."""
        return x.unflatten(-1, (self.heads, -1)).transpose(2, 3)


class FeedForward(nn.Module):
    """`W_2 dropout(relu(W_1 x))`.

    >>> FeedForward(2, 8, 16)(torch.zeros(2, 5, 6, 8)).shape
    torch.Size([2, 5, 6, 8])
    """

    def __init__(self, members: int, width: int, inner: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.up = Linear(members, width, inner, bias)
        self.down = Linear(members, inner, width, bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(E, ..., d)` to the same shape."""
        return self.down(self.dropout(F.relu(self.up(x))))


def real_pairs(mask: Tensor) -> Tensor:
    """Where both nodes are real, or a node meets itself (so that padding has something to read): `(., B, 1, N, N)`."""
    real = mask.bool()
    eye = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return ((real.unsqueeze(-1) & real.unsqueeze(-2)) | eye).unsqueeze(-3)
