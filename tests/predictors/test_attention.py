from __future__ import annotations

import math

import pytest
import torch

from nasx.predictors.attention import FeedForward, MultiHeadAttention, real_pairs
from nasx.search_spaces.errors import UsageError


@pytest.mark.parametrize("head_width", [0, 3])
def test_attention_is_its_formula(head_width: int) -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(2, 8, heads=4, head_width=head_width, bias=True).double()
    x, context = torch.randn(2, 3, 5, 8).double(), torch.randn(2, 3, 6, 8).double()
    allowed = torch.rand(1, 3, 4, 5, 6) < 0.5
    allowed[..., 0] = True
    y = layer(x, context, allowed)
    size = head_width or 2
    for e in range(2):
        for b in range(3):
            query = x[e, b] @ layer.query.weight[e] + layer.query.bias[e]
            key = context[e, b] @ layer.key.weight[e] + layer.key.bias[e]
            value = context[e, b] @ layer.value.weight[e] + layer.value.bias[e]
            heads = []
            for h in range(4):
                part = slice(h * size, (h + 1) * size)
                weights = torch.exp(query[:, part] @ key[:, part].T / math.sqrt(size)) * allowed[0, b, h]
                heads.append(weights / weights.sum(1, keepdim=True) @ value[:, part])
            expected = torch.cat(heads, dim=1) @ layer.out.weight[e] + layer.out.bias[e]
            torch.testing.assert_close(y[e, b], expected)


def test_feed_forward_is_its_formula() -> None:
    layer, x = FeedForward(2, 4, 6), torch.randn(2, 3, 4)
    for e in range(2):
        hidden = torch.relu(x[e] @ layer.up.weight[e] + layer.up.bias[e])
        torch.testing.assert_close(layer(x)[e], hidden @ layer.down.weight[e] + layer.down.bias[e])


def test_padding_sees_only_itself() -> None:
    pairs = real_pairs(torch.tensor([[1.0, 1.0, 0.0]]))
    assert pairs[0, 0].int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_heads_have_to_fit() -> None:
    with pytest.raises(UsageError, match="multiple"):
        MultiHeadAttention(1, 10, heads=4)
