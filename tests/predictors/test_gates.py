from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nasx.predictors.gates import GATES, PAPER, GATESConfig, GATESNetwork
from nasx.predictors.inputs import encode
from nasx.search_spaces.batch import GraphBatch
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def one_graph_at_a_time(network: GATESNetwork, codes: Tensor, adjacency: Tensor, e: int) -> Tensor:
    """The forward pass of one graph, node by node."""

    def linear(layer: torch.nn.Module, x: Tensor) -> Tensor:
        y = x @ layer.weight[e]
        return y if layer.bias is None else y + layer.bias[e, 0]

    operations = network.tokens.weight[e, codes]
    source = network.source[e, 0, 0]
    h = [source] + [torch.zeros_like(source)] * (len(codes) - 1)
    for k, layer in enumerate(network.layers):
        mapped, moved = [linear(layer.map, x) for x in h], []
        for i in range(len(codes)):
            arriving = sum((mapped[j] for j in range(i) if adjacency[j, i]), torch.zeros_like(source))
            gate = torch.sigmoid(linear(layer.gate, operations[i]))
            moved.append(gate * arriving + mapped[i] + layer.bias[e, 0, 0])
        h = [torch.relu(x) for x in moved] if k < len(network.layers) - 1 else moved
    read = h[-1] if network.config.readout == "output" else torch.stack(h[1:]).mean(0)
    return linear(network.last, torch.relu(linear(network.hidden, read)))[0]


@pytest.mark.parametrize("readout", ["output", "mean"])
def test_batched_equals_one_graph_at_a_time(readout: str, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = GATESConfig(members=2, layers=3, width=12, operation_width=6, readout=readout)  # type: ignore[arg-type]
    network = GATESNetwork(config, len(graphs.vocabulary)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double())
    scores = network(inputs.unsqueezed())
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        for e in range(2):
            expected = one_graph_at_a_time(network, codes, torch.tensor(graph.adjacency).double(), e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6)


def test_paper_preset_is_as_published() -> None:
    assert (PAPER.layers, PAPER.width, PAPER.operation_width, PAPER.readout) == (5, 128, 48, "output")
    assert PAPER.losses == {"pairwise_hinge": 1.0}


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(GATES(options={"members": 2, "width": 16, "layers": 4, "min_steps": 80, "epochs": 1}))


@pytest.mark.slow
def test_the_paper_preset_learns(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = GATES("paper", {"width": 32, "epochs": 100})
    assert np.corrcoef(predictor.fit(graphs, targets).predict(graphs), targets)[0, 1] > 0.5
