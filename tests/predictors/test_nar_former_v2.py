from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nasx.predictors.fitted_network import FittedNetwork
from nasx.predictors.inputs import Inputs, encode
from nasx.predictors.nar_former_v2 import NARFormerV2Network, NetworkConfig
from nasx.predictors.nar_former_v2_predictor import NARFormerV2, label_codes
from nasx.predictors.presets import DEFAULT, PAPER
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.tokenizer import PUBLISHED_LABELS, Tokenizer

CPU = torch.device("cpu")


def one_graph_at_a_time(network: NARFormerV2Network, tokens: Tensor, adjacency: Tensor, member: int = 0) -> Tensor:
    """The published forward pass of one graph, tokens `(N, C)` and directed adjacency `(N, N)`, written out."""
    e, config, h = member, network.config, tokens
    symmetric = adjacency + adjacency.T

    def linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = x @ layer.weight[e]
        return y if layer.bias is None else y + layer.bias[e, 0]

    def group_linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        count, parts = layer.groups, []
        for g, part in enumerate(x.chunk(count, dim=-1)):
            y = part @ layer.weight[e * count + g] + layer.bias[e * count + g, 0]
            if layer.norm is not None:
                y = F.layer_norm(y, y.shape[-1:], layer.norm.weight[e], layer.norm.bias[e])
            parts.append(y)
        return torch.cat(parts, dim=-1)

    outputs = []
    for block in network.blocks:
        degrees = symmetric.sum(-1, keepdim=True)
        if config.directions == "both":
            degrees = torch.stack([adjacency.sum(1), adjacency.sum(0)], dim=-1)
        h = torch.sigmoid(linear(block.enhance.gate, degrees)) * h  # (11)
        x = torch.sigmoid(linear(block.attention.query, h))  # (8)
        neighbours = []
        for mask in [adjacency, adjacency.T] if config.directions == "both" else [symmetric]:
            s = (x @ x.T / math.sqrt(h.shape[1])) * mask  # (9)
            neighbours.append(s / (s.sum(1, keepdim=True) + 1e-6) @ h)
        z = linear(block.attention.aggregate, torch.cat(neighbours, dim=-1))  # (10)
        h = F.normalize(z + linear(block.root, h), dim=-1)  # (6)
        if not config.unit_norm:
            h = h * math.sqrt(config.width)
        h = F.relu(h)
        normed = F.layer_norm(h, h.shape[-1:], block.norm.weight[e], block.norm.bias[e])
        h = h + block.scale[e, 0, 0] * group_linear(block.down, F.relu(group_linear(block.up, normed)))  # (7)
        outputs.append(h.mean(0))
    weights = torch.sigmoid(linear(network.fusion.weights, F.relu(linear(network.fusion.hidden, torch.cat(outputs)))))
    fused = sum(weight * output for weight, output in zip(weights, outputs, strict=True))
    hidden = F.relu(linear(network.head.second, F.relu(linear(network.head.first, fused))))
    y = linear(network.head.last, hidden)[0]
    return -F.logsigmoid(y) if config.positive else y  # (12)


def double(graphs: Inputs) -> Inputs:
    """The graphs in double precision."""
    return graphs._replace(adjacency=graphs.adjacency.double(), mask=graphs.mask.double())


def shaken(network: NARFormerV2Network) -> NARFormerV2Network:
    """The network with parameters that make every term count."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network.eval()


@pytest.mark.parametrize("directions", ["symmetric", "both"])
@pytest.mark.parametrize("width", [32, 320])
def test_batched_equals_one_graph_at_a_time(directions: str, width: int, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    vocabulary = graphs.vocabulary
    config = NetworkConfig(blocks=3, width=width, groups=4, directions=directions)
    network = shaken(NARFormerV2Network(config, len(vocabulary), label_codes=label_codes(vocabulary))).double()
    scores = network(double(encode(graphs, CPU)).unsqueezed())
    tokenizer = Tokenizer(vocabulary)
    for row, graph in enumerate(graphs):
        tokens = torch.from_numpy(tokenizer([graph]).features[0]).double()
        expected = one_graph_at_a_time(network, tokens, torch.tensor(graph.adjacency).double())
        assert scores[0, row].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)


def test_members_of_an_ensemble_are_separate_networks(graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(
        members=3, blocks=2, width=16, groups=4, group_norm=False, tokens="learned", directions="both", unit_norm=False
    )
    network = shaken(NARFormerV2Network(config, len(graphs.vocabulary))).double()
    scores = network(double(encode(graphs, CPU)).unsqueezed())
    assert scores.shape == (3, len(graphs))
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        adjacency = torch.tensor(graph.adjacency).double()
        for member in range(3):
            tokens = network.tokens.weight[member, codes]
            expected = one_graph_at_a_time(network, tokens, adjacency, member)
            assert scores[member, row].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-5)


def test_paper_preset_has_the_published_size() -> None:
    """facts: 6 blocks, width 512, 8 groups, tokens of 128 numbers: 8,582,535 parameters."""
    vocabulary = PUBLISHED_LABELS["nasbench201"]
    blank = Inputs(torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2, 2), torch.ones(1, 2))
    network = NARFormerV2("paper")._build(PAPER, vocabulary, blank)
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_582_535


def test_paper_preset_is_as_published() -> None:
    assert (PAPER.blocks, PAPER.width, PAPER.groups, PAPER.ratio, PAPER.dropout) == (6, 512, 8, 4, 0.05)
    assert (PAPER.tokens, PAPER.directions, PAPER.pruned, PAPER.members) == ("frequency", "symmetric", False, 1)
    assert (PAPER.losses, PAPER.consistency, PAPER.copies) == ({"relative_mse": 1.0, "sr": 0.1}, 0.5, "reordered")
    assert (PAPER.optimizer, PAPER.learning_rate, PAPER.weight_decay) == ("adam", 1e-4, 0.0)
    assert (PAPER.warmup, PAPER.schedule, PAPER.batch_size, PAPER.epochs) == (0.1, "linear", 8, 1000)
    assert (PAPER.target_scaling, PAPER.positive, PAPER.layer_scale) == ("unit", True, 1e-4)


def test_published_labels_are_used_where_they_apply() -> None:
    mixed = ("none", "nor_conv_3x3", "input", "output")  # any order, any subset
    codes = label_codes(PUBLISHED_LABELS["nasbench201"])
    torch.testing.assert_close(label_codes(mixed), codes[[5, 2, 0, 6]])
    assert label_codes(("input", "mine", "output")).shape == (3, 64)


@pytest.mark.parametrize("options", [{}, {"attention": "global"}, {"enhanced": False}])
def test_padding_does_not_change_a_score(graphs: GraphBatch, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    predictor = NARFormerV2(options={"width": 16, "members": 2, **options})
    fitted = FittedNetwork.prepared(predictor.config, graphs, np.arange(24.0), CPU, predictor._build)
    fitted.network.eval()
    together = fitted.network(fitted.inputs(fitted.readable(graphs)).unsqueezed())
    small = int(graphs.num_nodes.argmin())
    alone = fitted.network(fitted.inputs(fitted.readable(graphs[[small]])).unsqueezed())
    torch.testing.assert_close(alone[:, 0], together[:, small], rtol=1e-4, atol=1e-5)


def test_widths_and_groups_have_to_fit() -> None:
    with pytest.raises(UsageError, match="multiple"):
        NetworkConfig(width=30, groups=8)
    assert DEFAULT.width % DEFAULT.groups == 0


def test_neighbour_gain_scales_only_the_aggregation() -> None:
    networks = []
    for gain in (1.0, 2.0):
        torch.manual_seed(0)
        networks.append(NARFormerV2Network(NetworkConfig(blocks=1, width=16, tokens="learned", neighbour_gain=gain), 3))
    for (name, plain), (_, scaled) in zip(*(network.named_parameters() for network in networks), strict=True):
        factor = 2 if name.endswith("aggregate.weight") else 1
        torch.testing.assert_close(scaled, factor * plain)


def test_added_places_keep_the_width_of_tokens() -> None:
    config = NetworkConfig(blocks=1, width=16, tokens="learned", places="added", head_width=24)
    network = NARFormerV2Network(config, 3, node_features=6)
    assert network.blocks[0].root.weight.shape == (1, 16, 16)
    assert network.head.second.weight.shape == (1, 24, 24)
    without = Inputs(torch.tensor([[[0, 1, 2]]]), torch.ones(1, 1, 3, 3).triu(1), torch.ones(1, 1, 3))
    moved = without._replace(nodes=torch.ones(1, 1, 3, 6))
    network.eval()
    assert not torch.equal(network(without._replace(nodes=torch.zeros(1, 1, 3, 6))), network(moved))
