"""Costs of layers added up: the equation written out, layers larger than any in training, what cannot be read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nasx.predictors import make_predictor
from nasx.predictors.inputs import Inputs
from nasx.predictors.roofline import Roofline
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph

COLUMNS = ("kernel_height", "macs", "memory_bytes", "output_1", "output_2")
QUICK = {"width": 16, "epochs": 2, "min_steps": 150}


def test_the_equation_node_by_node() -> None:
    torch.manual_seed(0)
    roofline = Roofline(members=2, width=3)
    torch.nn.init.normal_(roofline.rates.weight)
    torch.nn.init.normal_(roofline.rates.bias)
    h, sizes = torch.randn(2, 4, 5, 3), 10 * torch.rand(1, 4, 5, 2)
    mask = (torch.rand(1, 4, 5) < 0.7).float()
    scores = roofline(h, Inputs(mask.long(), torch.zeros(1, 4, 5, 5), mask, sizes=sizes))
    for member in range(2):
        weight, bias = roofline.rates.weight[member], roofline.rates.bias[member].flatten()
        for graph in range(4):
            total = math.exp(-3)
            for node in range(5):
                a, b, c = (6 * math.tanh(float(x) / 6) for x in (h[member, graph, node] @ weight + bias).detach())
                macs, size = sizes[0, graph, node].tolist()
                cost = macs * math.exp(a - 1) + size * math.exp(b - 1) + math.exp(c - 4)
                total += cost * float(mask[0, graph, node])
            assert math.isclose(scores[member, graph].item(), total, rel_tol=1e-5)


def convolutions(layers: int, channels: int) -> Graph:
    """A chain of equal convolutions on 16 x 16 places."""
    row = [3.0, 9.0 * channels**2 * 256, 8.0 * channels * 256, float(channels), 16.0]
    return Graph(["Conv"] * layers, np.eye(layers, k=1), None, [row] * layers, COLUMNS)


@pytest.mark.parametrize("name", ["nar-former-v2:network", "nn-former:network"])
def test_networks_beyond_those_of_training_are_extrapolated(name: str) -> None:
    """Ten times deeper than any in training and twice as wide."""
    graphs = [convolutions(layers, channels) for layers in (2, 3, 4) for channels in (8, 16, 32, 64)]
    flops = [sum(node[1] for node in graph.node_attributes) for graph in graphs]
    predictor = make_predictor(name, options=QUICK).fit(graphs, [1e-6 * count for count in flops])
    far = [convolutions(4, 64), convolutions(40, 64), convolutions(40, 128)]
    least, deeper, wider = predictor.predict(far)
    assert 7 < deeper / least < 13
    assert 2.5 < wider / deeper < 5


@pytest.mark.parametrize("name", ["nar-former-v2", "nn-former"])
def test_cells_have_no_sizes(name: str) -> None:
    cells = [Graph(["a", "b"], [[0, 1], [0, 0]]), Graph(["b", "a"], [[0, 1], [0, 0]])]
    with pytest.raises(UsageError, match="needs the sizes of layers"):
        make_predictor(name, options={"readout": "roofline", "members": 1}).fit(cells, [1.0, 2.0])
