from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nasx.predictors.gcn import BRP_NAS, GCN, NEURAL_PREDICTOR, GCNConfig, GCNNetwork
from nasx.predictors.inputs import encode
from nasx.search_spaces.batch import GraphBatch
from nasx.testing import check_predictor

CPU = torch.device("cpu")


def one_graph_at_a_time(network: GCNNetwork, codes: Tensor, adjacency: Tensor, e: int) -> Tensor:
    """Both published forward passes, node by node."""
    config = network.config
    h = network.tokens.weight[e, codes]
    if config.readout == "global":
        h = torch.cat([network.global_token[e, 0], h])
        adjacency = F.pad(adjacency, (1, 0, 1, 0))
        adjacency[0, 1:] = 1
    count = len(h)
    for layer in network.layers:
        ways = []
        for k, linear in enumerate(layer.maps):
            rows = []
            for i in range(count):
                seen = [i] + [j for j in range(count) if (adjacency[i, j] if k == 0 else adjacency[j, i])]
                total = h[seen].mean(0) if config.normalised else h[seen].sum(0)
                y = total @ linear.weight[e] + linear.bias[e, 0]
                if config.layer_norm:
                    y = F.layer_norm(y, y.shape, layer.norms[k].weight[e], layer.norms[k].bias[e])
                rows.append(torch.relu(y))
            ways.append(torch.stack(rows))
        h = sum(ways) / len(ways)
    pooled = h[0] if config.readout == "global" else h.mean(0)
    if network.hidden is not None:
        pooled = torch.relu(pooled @ network.hidden.weight[e] + network.hidden.bias[e, 0])
    return (pooled @ network.head.weight[e] + network.head.bias[e, 0])[0]


@pytest.mark.parametrize("published", [BRP_NAS, NEURAL_PREDICTOR])
def test_batched_equals_one_graph_at_a_time(published: GCNConfig, graphs: GraphBatch) -> None:
    torch.manual_seed(0)
    config = GCNConfig(**{**published.__dict__, "members": 2, "width": 12, "head_width": min(published.head_width, 8)})
    network = GCNNetwork(config, len(graphs.vocabulary)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    inputs = encode(graphs, CPU)
    inputs = inputs._replace(adjacency=inputs.adjacency.double(), mask=inputs.mask.double())
    scores = network(inputs.unsqueezed())
    for row, graph in enumerate(graphs):
        codes = torch.from_numpy(graphs.operations[row, : graph.num_nodes].astype(np.int64))
        for e in range(2):
            expected = one_graph_at_a_time(network, codes, torch.tensor(graph.adjacency).double(), e)
            assert scores[e, row].item() == pytest.approx(expected.item(), rel=1e-6)


def test_published_sizes() -> None:
    assert (BRP_NAS.layers, BRP_NAS.width, BRP_NAS.readout, BRP_NAS.directions) == (4, 600, "global", "forward")
    assert (NEURAL_PREDICTOR.layers, NEURAL_PREDICTOR.width, NEURAL_PREDICTOR.directions) == (3, 144, "both")


@pytest.mark.slow
def test_the_contract_is_kept() -> None:
    check_predictor(GCN(options={"members": 2, "width": 16, "min_steps": 60, "epochs": 1}))


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["paper", "neural-predictor"])
def test_published_presets_learn(preset: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = GCN(preset, {"width": 32, "epochs": 60, "learning_rate": 3e-3})
    assert np.corrcoef(predictor.fit(graphs, targets).predict(graphs), targets)[0, 1] > 0.5
