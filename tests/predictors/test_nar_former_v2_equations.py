"""Equations 5 to 12 of the NAR-Former V2 paper, each written out with loops and compared with its layer."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from nasx.predictors.inputs import Inputs
from nasx.predictors.losses import relative_log
from nasx.predictors.nar_former_v2 import (
    Block,
    Fusion,
    GraphAttention,
    Head,
    NARFormerV2Network,
    NetworkConfig,
    TAEnhance,
    network_config,
)
from nasx.predictors.nar_former_v2_predictor import NARFormerV2
from nasx.predictors.presets import PAPER_NETWORKS
from nasx.search_spaces.batch import GraphBatch

NODES, INPUTS, WIDTH, GROUPS = 5, 6, 8, 2
CONFIG = NetworkConfig(blocks=3, width=WIDTH, groups=GROUPS)
# 0 -> 1 -> 3 -> 4, 0 -> 2 -> 4; node numbers as in the paper's A, without self loops
EDGES = {(0, 1), (1, 3), (3, 4), (0, 2), (2, 4)}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def linear(layer: torch.nn.Module, x: list[float]) -> list[float]:
    """W x + b, number by number."""
    weight = layer.weight[0].tolist()
    bias = [0.0] * len(weight[0]) if layer.bias is None else layer.bias[0].flatten().tolist()
    return [sum(x[i] * weight[i][o] for i in range(len(x))) + bias[o] for o in range(len(bias))]


def layer_norm(x: list[float], gain: list[float], shift: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((number - mean) ** 2 for number in x) / len(x) + 1e-5)
    return [(number - mean) / deviation * g + b for number, g, b in zip(x, gain, shift, strict=True)]


def group_linear(layer: torch.nn.Module, x: list[float]) -> list[float]:
    """Each group of channels has its own map, and a layer norm that the groups share."""
    inner, result = len(x) // GROUPS, []
    for g in range(GROUPS):
        part, weight, bias = x[g * inner : (g + 1) * inner], layer.weight[g].tolist(), layer.bias[g, 0].tolist()
        y = [sum(part[i] * weight[i][o] for i in range(inner)) + bias[o] for o in range(len(bias))]
        result += layer_norm(y, layer.norm.weight[0].tolist(), layer.norm.bias[0].tolist())
    return result


def adjacent(i: int, j: int) -> bool:
    """The paper's A: edges whatever their direction."""
    return (i, j) in EDGES or (j, i) in EDGES


def ta_enhance(layer: TAEnhance, h: list[list[float]]) -> list[list[float]]:
    """(11): TAEnhance(H, D) = Sigmoid(W_d D + b_d) * H."""
    degrees = [float(sum(adjacent(i, j) for j in range(NODES))) for i in range(NODES)]
    return [
        [sigmoid(gate) * x for gate, x in zip(linear(layer.gate, [degrees[i]]), h[i], strict=True)]
        for i in range(NODES)
    ]


def graph_attention(layer: GraphAttention, h: list[list[float]]) -> list[list[float]]:
    """(8) X = Sigmoid(W_q H + b_q), (9) S = (X X^T / sqrt(d)) * A, (10) Z = W_a (Norm(S) H) + b_a."""
    x = [[sigmoid(number) for number in linear(layer.query, row)] for row in h]
    z = []
    for i in range(NODES):
        scores = [
            sum(a * b for a, b in zip(x[i], x[j], strict=True)) / math.sqrt(INPUTS) if adjacent(i, j) else 0.0
            for j in range(NODES)
        ]
        total = sum(scores) + 1e-6
        mean = [sum(scores[j] / total * h[j][c] for j in range(NODES)) for c in range(INPUTS)]
        z.append(linear(layer.aggregate, mean))
    return z


def block_output(block: Block, h: list[list[float]]) -> list[list[float]]:
    """(5) H~ = TAEnhance(H, D), (6) H^ = L2(GraphAttn(H~, A) + W_r H~), (7) H' = GFFN(LN(H^)) + H^.

    As released, ReLU follows (6) and a learned factor is on GFFN.
    """
    enhanced = ta_enhance(block.enhance, h)
    attended = graph_attention(block.attention, enhanced)
    result = []
    for i in range(NODES):
        row = [a + b for a, b in zip(attended[i], linear(block.root, enhanced[i]), strict=True)]
        length = math.sqrt(sum(number**2 for number in row))
        row = [max(number / length, 0.0) for number in row]
        normed = layer_norm(row, block.norm.weight[0].tolist(), block.norm.bias[0].tolist())
        hidden = [max(number, 0.0) for number in group_linear(block.up, normed)]
        down, scale = group_linear(block.down, hidden), block.scale[0, 0, 0].tolist()
        result.append([number + s * d for number, s, d in zip(row, scale, down, strict=True)])
    return result


@pytest.fixture
def nodes() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(1, 1, NODES, INPUTS, dtype=torch.float64)


@pytest.fixture
def adjacency() -> Tensor:
    matrix = torch.zeros(1, 1, NODES, NODES, dtype=torch.float64)
    for i, j in EDGES:
        matrix[0, 0, i, j] = 1
    return matrix


def shaken(layer: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with parameters that make every term count."""
    layer = layer.double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return layer


def test_equation_11_type_aware_enhancement(nodes: Tensor, adjacency: Tensor) -> None:
    layer = shaken(TAEnhance(CONFIG, INPUTS))
    expected = ta_enhance(layer, nodes[0, 0].tolist())  # type: ignore[arg-type]
    torch.testing.assert_close(layer(nodes, adjacency)[0, 0], torch.tensor(expected, dtype=torch.float64))


def test_equations_8_to_10_graph_attention(nodes: Tensor, adjacency: Tensor) -> None:
    layer = shaken(GraphAttention(CONFIG, INPUTS))
    expected = graph_attention(layer, nodes[0, 0].tolist())  # type: ignore[arg-type]
    torch.testing.assert_close(layer(nodes, adjacency)[0, 0], torch.tensor(expected, dtype=torch.float64))


def test_equations_5_to_7_block(nodes: Tensor, adjacency: Tensor) -> None:
    block = shaken(Block(CONFIG, INPUTS))
    expected = block_output(block, nodes[0, 0].tolist())  # type: ignore[arg-type]
    torch.testing.assert_close(block(nodes, adjacency, adjacency)[0, 0], torch.tensor(expected, dtype=torch.float64))


def test_global_attention_leaves_out_the_adjacency(nodes: Tensor, adjacency: Tensor) -> None:
    """Table 6: S = X X^T / sqrt(d) instead of (9); degrees (11) are those of the graph still."""
    torch.manual_seed(0)
    config = NetworkConfig(blocks=1, width=WIDTH, groups=GROUPS, attention="global", tokens="learned")
    network = shaken(NARFormerV2Network(config, NODES))
    layer = network.blocks[0].attention
    h = network.blocks[0].enhance(network.tokens(torch.arange(NODES)[None, None]).expand(1, 1, -1, -1), adjacency)
    x = torch.sigmoid(layer.query(h))[0, 0]
    weights = x @ x.T / math.sqrt(WIDTH)
    expected = layer.aggregate((weights / weights.sum(-1, keepdim=True) @ h[0, 0])[None, None])
    found = layer(h, torch.ones(1, 1, NODES, NODES, dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    graphs = Inputs(torch.arange(NODES)[None, None], adjacency, torch.ones(1, 1, NODES, dtype=torch.float64))
    seen: list[Tensor] = []
    layer.register_forward_hook(lambda _, given, __: seen.append(given[1]))
    network(graphs)
    assert seen[0].all()


def test_fusion_weighs_the_blocks() -> None:
    fusion = shaken(Fusion(1, 3, WIDTH))
    outputs = torch.randn(1, 1, 3, WIDTH, dtype=torch.float64)
    rows = outputs[0, 0].tolist()
    hidden = [max(number, 0.0) for number in linear(fusion.hidden, sum(rows, []))]  # noqa: RUF017
    weights = [sigmoid(number) for number in linear(fusion.weights, hidden)]
    expected = [sum(w * row[c] for w, row in zip(weights, rows, strict=True)) for c in range(WIDTH)]
    torch.testing.assert_close(fusion(outputs)[0, 0], torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("features", [0, 3])
def test_equation_12_head(features: int) -> None:
    """y = -logsigmoid(FC(ReLU(FC(ReLU(FC(h)))))); static features join h through a linear map and ReLU."""
    head = shaken(Head(CONFIG, features))
    h = torch.randn(1, 1, WIDTH, dtype=torch.float64)
    summary = torch.randn(1, 1, features, dtype=torch.float64) if features else None
    x = h[0, 0].tolist()
    if summary is not None:
        x += [max(number, 0.0) for number in linear(head.summary, summary[0, 0].tolist())]
    for layer in (head.first, head.second):
        x = [max(number, 0.0) for number in linear(layer, x)]
    y = -math.log(sigmoid(linear(head.last, x)[0]))
    assert head(h, summary).item() == pytest.approx(y)


def test_squareplus_learns_from_scores_however_small() -> None:
    """(y + sqrt(y^2 + 4)) / 2 of a head far below zero; -logsigmoid of one as far above it is zero, and stays there."""
    config = dataclasses.replace(CONFIG, positive_function="squareplus", readout_gain=0.5)
    head, published = shaken(Head(config, 0)), shaken(Head(CONFIG, 0))
    published.load_state_dict(head.state_dict())
    h = torch.randn(1, 1, WIDTH, dtype=torch.float64)
    y = -math.log(math.expm1(published(0.5 * h, None).item()))
    assert head(h, None).item() == pytest.approx((y + math.sqrt(y * y + 4)) / 2)
    for some, far in ((head, -1000.0), (published, 1000.0)):
        with torch.no_grad():
            some.last.bias.fill_(far)
        score = some(h, None)
        assert 0 <= score.item() < 0.002
        some.zero_grad()
        relative_log(score, torch.ones(1, 1, dtype=torch.float64)).backward()  # type: ignore[no-untyped-call]
    assert head.last.bias.grad.abs().item() > 1e-5
    assert published.last.bias.grad.item() == 0


def test_the_preset_for_whole_networks_reads_the_sum_of_the_last_block() -> None:
    torch.manual_seed(0)
    config = NetworkConfig(**{**network_config(PAPER_NETWORKS).__dict__, "width": 16})
    network = NARFormerV2Network(config, operations=4).eval()
    assert (len(network.blocks), network.fusion) == (2, None)
    graphs = Inputs(torch.tensor([[[0, 3, 1, 0]]]), torch.ones(1, 1, 4, 4).triu(1), torch.tensor([[[1.0, 1, 1, 0]]]))
    h = torch.nn.functional.one_hot(graphs.codes, 4).float()
    adjacency = graphs.adjacency * graphs.mask.unsqueeze(-1) * graphs.mask.unsqueeze(-2)
    for block in network.blocks:
        h = block(h, adjacency, adjacency)
    expected = network.head(h[:, :, :3].sum(2), None)
    torch.testing.assert_close(network(graphs._replace(adjacency=adjacency)), expected)


def test_the_preset_for_whole_networks_is_as_published() -> None:
    preset = PAPER_NETWORKS
    assert (preset.blocks, preset.width, preset.groups, preset.readout, preset.fused) == (2, 512, 8, "sum", False)
    assert (preset.losses, preset.consistency) == ({"relative_mse": 1.0}, 0.0)
    assert (preset.learning_rate, preset.epochs, preset.batch_size, preset.schedule) == (1e-3, 50, 16, "linear")
    assert (preset.tokens, preset.directions, preset.positive) == ("one_hot", "symmetric", True)


@pytest.mark.slow
def test_the_preset_for_whole_networks_learns(graphs: GraphBatch) -> None:
    """A latency in milliseconds that is a sum over operations."""
    costs = {"conv": 5.0, "pool": 1.0}
    latency = [1 + sum(costs.get(operation, 0.0) for operation in graph.operations) for graph in graphs]
    predictor = NARFormerV2("paper-networks", {"width": 16, "epochs": 200, "learning_rate": 6e-3})
    errors = abs(predictor.fit(graphs, latency).predict(graphs) / latency - 1)
    assert errors.mean() < 0.15
