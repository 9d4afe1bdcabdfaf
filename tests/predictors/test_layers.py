from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nasx.predictors import layers
from nasx.predictors.layers import Dropout, Embedding, GroupLinear, LayerNorm, Linear, lecun_initialisation


def test_linear_members_are_separate_maps() -> None:
    layer, x = Linear(3, 4, 5), torch.randn(3, 2, 6, 4)
    y = layer(x)
    for e in range(3):
        torch.testing.assert_close(y[e], F.linear(x[e], layer.weight[e].T, layer.bias[e, 0]))


def test_layer_norm_has_a_gain_a_member() -> None:
    layer, x = LayerNorm(2, 4), torch.randn(2, 3, 5, 4)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    y = layer(x)
    for e in range(2):
        torch.testing.assert_close(y[e], F.layer_norm(x[e], (4,), layer.weight[e], layer.bias[e]))


@pytest.mark.parametrize("narrow", [0, 256])
@pytest.mark.parametrize("norm", [False, True])
def test_group_linear_is_a_map_a_group(narrow: int, norm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "NARROW", narrow)  # both ways to compute it
    layer, x = GroupLinear(2, 8, 12, groups=4, norm=norm), torch.randn(2, 3, 5, 8)
    torch.nn.init.normal_(layer.bias)
    y = layer(x)
    for e in range(2):
        for g in range(4):
            expected = x[e, ..., 2 * g : 2 * g + 2] @ layer.weight[4 * e + g] + layer.bias[4 * e + g]
            if norm:
                expected = F.layer_norm(expected, (3,))
            torch.testing.assert_close(y[e, ..., 3 * g : 3 * g + 3], expected)


def test_embedding_looks_up_each_members_table() -> None:
    layer = Embedding(2, 5, 3)
    codes = torch.tensor([[0, 4, 2]])
    torch.testing.assert_close(layer(codes), layer.weight[:, codes[0]])
    own = torch.tensor([[0, 4, 2], [1, 1, 3]])
    torch.testing.assert_close(layer(own)[1], layer.weight[1, own[1]])


@pytest.mark.parametrize("shared", [False, True])
def test_dropout_drops_the_share_and_keeps_the_mean(shared: bool) -> None:
    torch.manual_seed(0)
    layer, x = Dropout(0.25, shared), torch.ones(2, 50, 6, 40)
    y = layer(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert y.mean().item() == pytest.approx(1.0, abs=0.05)
    alike = bool((y == y[:, :, :1]).all())
    assert alike == shared
    assert layer.eval()(x) is x


def test_lecun_initialisation_keeps_the_size_of_signals() -> None:
    torch.manual_seed(0)
    layer = Linear(2, 64, 64)
    lecun_initialisation(layer)
    assert layer(torch.randn(2, 100, 64)).std().item() == pytest.approx(1.0, abs=0.05)
    assert layer.bias.abs().sum() == 0
