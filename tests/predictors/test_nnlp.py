from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nasx.predictors.inputs import encode
from nasx.predictors.nnlp import NNLP, PAPER, NNLPConfig, NNLPNetwork
from nasx.search_spaces.batch import GraphBatch
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def one_graph_at_a_time(network: NNLPNetwork, codes: Tensor, adjacency: Tensor, summary: Tensor, e: int) -> Tensor:
    """The forward pass of one graph, node by node."""

    def linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = x @ layer.weight[e]
        return y if layer.bias is None else y + layer.bias[e, 0]

    h = network.tokens.weight[e, codes]
    both = network.config.directions == "both"
    for layer in network.layers:
        rows = []
        for i in range(len(h)):
            successors, predecessors = h[adjacency[i] > 0], h[adjacency[:, i] > 0]
            around = [successors, predecessors] if both else [torch.cat([successors, predecessors])]
            means = [nodes.mean(0) if len(nodes) else torch.zeros_like(h[0]) for nodes in around]
            rows.append(linear(layer.neighbours, torch.cat(means)) + linear(layer.root, h[i]))
        h = torch.relu(torch.stack([row / row.norm() for row in rows]))
    pooled = h.sum(0) if network.config.readout == "sum" else h.mean(0)
    pooled = torch.cat([pooled, torch.relu(linear(network.summary, summary))])
    return linear(network.last, torch.relu(linear(network.second, torch.relu(linear(network.first, pooled)))))[0]


@pytest.mark.parametrize(("directions", "readout"), [("symmetric", "sum"), ("both", "mean")])
def test_batched_equals_one_graph_at_a_time(directions: str, readout: str, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = NNLPConfig(members=2, width=12, directions=directions, readout=readout)  # type: ignore[arg-type]
    network = NNLPNetwork(config, len(graphs.vocabulary), summary_features=3).double().eval()
    summary = torch.randn(len(graphs), 3).double()
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double(), summary=summary)
    scores = network(inputs.unsqueezed())
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        for e in range(2):
            expected = one_graph_at_a_time(network, codes, torch.tensor(graph.adjacency).double(), summary[row], e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6)


def test_paper_preset_is_as_published() -> None:
    assert (PAPER.layers, PAPER.width, PAPER.readout, PAPER.dropout) == (2, 512, "sum", 0.05)
    assert (PAPER.losses, PAPER.epochs, PAPER.batch_size, PAPER.learning_rate) == ({"relative_mse": 1.0}, 50, 16, 1e-3)


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(NNLP(options={"members": 2, "width": 16, "min_steps": 60, "epochs": 1}))


@pytest.mark.slow
def test_the_paper_preset_learns(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = NNLP("paper", {"width": 64, "epochs": 150, "summary_features": True})
    assert np.corrcoef(predictor.fit(graphs, targets).predict(graphs), targets)[0, 1] > 0.5
