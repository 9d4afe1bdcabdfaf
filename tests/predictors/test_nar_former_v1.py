from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nasx.predictors.inputs import encode
from nasx.predictors.nar_former_v1 import PAPER, NARFormer, NARFormerConfig, NARFormerNetwork, source_tokens
from nasx.predictors.nar_former_v2_predictor import label_codes
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.tokenizer import PUBLISHED_LABELS, frequency_encoding
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def code(number: float, frequencies: int = 32) -> Tensor:
    return torch.from_numpy(frequency_encoding(number, frequencies))


def naive_tokens(graph: Graph, labels: tuple[str, ...]) -> Tensor:
    """The token sequence of one graph, without the depth token."""
    tokens = []
    for node, operation in enumerate(graph.operations):
        sources = np.flatnonzero(graph.adjacency[:, node])
        source = sum(code(int(number)) for number in sources) if len(sources) else code(-1)
        tokens.append(torch.cat([code(labels.index(operation)), code(node), source]))
    return torch.stack([*tokens, torch.cat([code(1e5)] * 3)])


def one_graph_at_a_time(network: NARFormerNetwork, graph: Graph, labels: tuple[str, ...], e: int) -> Tensor:
    """The published forward pass of one graph."""

    def linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = x @ layer.weight[e]
        return y if layer.bias is None else y + layer.bias[e, 0]

    def norm(layer: torch.nn.Module, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], layer.weight[e], layer.bias[e])

    def attention(layer: torch.nn.Module, x: Tensor, context: Tensor) -> Tensor:
        heads = []
        parts = (linear(m, y).chunk(layer.heads, -1) for m, y in ((layer.query, x), (layer.key, context)))
        for q, k, v in zip(*parts, linear(layer.value, context).chunk(layer.heads, -1), strict=True):
            heads.append((q @ k.T / math.sqrt(q.shape[1])).softmax(-1) @ v)
        return linear(layer.out, torch.cat(heads, dim=-1))

    def feed_forward(layer: torch.nn.Module, x: Tensor) -> Tensor:
        return linear(layer.down, torch.relu(linear(layer.up, x)))

    tokens = naive_tokens(graph, labels).double()
    depth = torch.relu(linear(network.depth, code(graph.num_nodes, 96).double()[None]))
    h = torch.cat([depth, tokens])
    for block in network.blocks:
        x = norm(block.attention_norm, h)
        h = h + attention(block.attention, x, x)
        h = h + feed_forward(block.feed_forward, norm(block.feed_forward_norm, h))
    for stage in network.stages:
        queries = stage.queries[e, 0]
        z = queries + attention(stage.attention, norm(stage.query_norm, queries), norm(stage.token_norm, h))
        h = z + feed_forward(stage.feed_forward, norm(stage.feed_forward_norm, z))
    assert len(h) == 1
    y = linear(network.head, norm(network.norm, h[-1]))[0]
    return torch.sigmoid(y) if network.config.bounded else y


@pytest.mark.parametrize("bounded", [True, False])
def test_batched_equals_one_graph_at_a_time(bounded: bool, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = NARFormerConfig(members=2, blocks=2, ratio=1, bounded=bounded)
    network = NARFormerNetwork(config, label_codes(graphs.vocabulary)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double())
    scores = network(inputs.unsqueezed())
    assert scores.shape == (2, len(graphs))
    for row, graph in enumerate(graphs):
        for e in range(2):
            expected = one_graph_at_a_time(network, graph, graphs.vocabulary, e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-9)


def test_tokens_say_where_inputs_come_from() -> None:
    labels = PUBLISHED_LABELS["nasbench101"]
    graph = Graph(["input", "conv1x1-bn-relu", "maxpool3x3", "output"], np.triu(np.ones((4, 4), dtype=int), 1))
    batch = GraphBatch.from_graphs([graph]).recode(labels)
    tokens = source_tokens(encode(batch, CPU), label_codes(labels))
    assert tokens.shape == (1, 5, 192)
    torch.testing.assert_close(tokens[0], naive_tokens(graph, labels), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens[0, 2, 128:], code(0) + code(1))
    torch.testing.assert_close(tokens[0, 0, 128:], code(-1))


def test_paper_preset_is_as_published() -> None:
    network = NARFormer("paper")._build(PAPER, PUBLISHED_LABELS["nasbench201"], None)  # type: ignore[arg-type]
    assert (len(network.blocks), network.head.weight.shape[1], network.blocks[0].attention.heads) == (6, 192, 6)
    assert [stage.queries.shape[2] for stage in network.stages] == [4, 2, 1]
    assert network.blocks[0].feed_forward.up.weight.shape == (1, 192, 768)
    assert (PAPER.losses, PAPER.consistency, PAPER.copies) == ({"mse": 1.0, "sr": 0.1}, 0.5, "reordered")
    assert (PAPER.optimizer, PAPER.learning_rate, PAPER.schedule, PAPER.warmup) == ("adamw", 1e-4, "linear", 0.1)
    assert (PAPER.pruned, PAPER.bounded, PAPER.target_scaling, PAPER.batch_size) == (False, True, "unit", 128)


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(NARFormer(options={"frequencies": 6, "blocks": 1, "min_steps": 60, "epochs": 1}))


@pytest.mark.slow
def test_the_paper_preset_learns(graphs: GraphBatch, targets: np.ndarray) -> None:
    options = {"frequencies": 8, "blocks": 1, "epochs": 100, "learning_rate": 3e-3}
    predictions = NARFormer("paper", options).fit(graphs, targets).predict(graphs)
    assert np.corrcoef(predictions, targets)[0, 1] > 0.5
