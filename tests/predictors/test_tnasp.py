from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nasx.predictors.inputs import encode
from nasx.predictors.tnasp import PAPER, TNASP, TNASPConfig, TNASPNetwork, fitted_to
from nasx.search_spaces.batch import GraphBatch
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def one_graph_at_a_time(network: TNASPNetwork, codes: Tensor, adjacency: Tensor, e: int) -> Tensor:
    """The forward pass of one graph."""

    def linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = x @ layer.weight[e]
        return y if layer.bias is None else y + layer.bias[e, 0]

    def norm(layer: torch.nn.Module, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], layer.weight[e], layer.bias[e])

    count = len(codes)
    places = torch.zeros(count, network.positions).double()
    for i in range(count):
        for j in range(min(count, network.positions)):
            places[i, j] = adjacency[i].sum() if i == j else -adjacency[i, j]
    h = norm(network.first_norm, network.tokens.weight[e, codes] + linear(network.places, places))
    for block in network.blocks:
        heads, layer = [], block.attention
        maps = (linear(m, h).chunk(layer.heads, -1) for m in (layer.query, layer.key, layer.value))
        for q, k, v in zip(*maps, strict=True):
            heads.append((q @ k.T / math.sqrt(q.shape[1])).softmax(-1) @ v)
        h = norm(block.attention_norm, h + linear(layer.out, torch.cat(heads, dim=-1)))
        hidden = torch.relu(linear(block.feed_forward.up, h))
        h = norm(block.feed_forward_norm, h + linear(block.feed_forward.down, hidden))
    return linear(network.last, linear(network.first, h.mean(0)))[0]


@pytest.mark.parametrize("positions", [4, 16])
def test_batched_equals_one_graph_at_a_time(positions: int, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = TNASPConfig(members=2, blocks=2, width=12, head_width=5, inner=20, positions=positions)
    network = TNASPNetwork(config, len(graphs.vocabulary)).double().eval()
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double())
    scores = network(inputs.unsqueezed())
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        for e in range(2):
            expected = one_graph_at_a_time(network, codes, torch.tensor(graph.adjacency).double(), e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6)


def test_rows_are_cut_or_filled_up() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0]])
    assert fitted_to(rows, 2).tolist() == [[1.0, 2.0]]
    assert fitted_to(rows, 5).tolist() == [[1.0, 2.0, 3.0, 0.0, 0.0]]


def test_paper_preset_is_as_published() -> None:
    assert (PAPER.blocks, PAPER.width, PAPER.heads, PAPER.head_width, PAPER.inner) == (3, 80, 4, 64, 512)
    assert (PAPER.losses, PAPER.batch_size, PAPER.epochs, PAPER.learning_rate) == ({"mse": 1.0}, 10, 300, 1e-4)


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(TNASP(options={"members": 2, "width": 16, "inner": 32, "blocks": 1, "min_steps": 60, "epochs": 1}))


@pytest.mark.slow
def test_the_paper_preset_learns(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = TNASP("paper", {"inner": 64, "epochs": 60, "learning_rate": 1e-3})
    assert np.corrcoef(predictor.fit(graphs, targets).predict(graphs), targets)[0, 1] > 0.5
