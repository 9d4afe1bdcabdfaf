"""Attention along lists of edges gives the numbers of masked attention over matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nasx.predictors.edges import EdgeList, node_sums
from nasx.predictors.inputs import Inputs
from nasx.predictors.nar_former_v2 import GraphAttention, NetworkConfig, TAEnhance
from nasx.predictors.nn_former import NNFormerConfig, NNFormerNetwork
from nasx.predictors.nnlp import NNLPConfig, SAGELayer


def in_a_row(adjacency: Tensor) -> EdgeList:
    """The same graphs `(1, B, N, N)`, their nodes in one row."""
    _, count, size, _ = adjacency.shape
    graph, source, target = adjacency[0].nonzero().unbind(-1)
    return EdgeList(graph * size + source, graph * size + target, torch.arange(count).repeat_interleave(size), count)


@pytest.mark.parametrize("directions", ["symmetric", "both"])
def test_lists_of_edges_and_matrices_agree(directions: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(members=2, width=8, groups=1, directions=directions)  # type: ignore[arg-type]
    adjacency = (torch.rand(1, 3, 6, 6) < 0.4).float().triu(1)
    adjacency[0, 1, :, 4:] = 0  # nodes without edges, as in padding
    edges = in_a_row(adjacency)
    h = torch.randn(2, 3, 6, 8)
    row = h.view(2, 1, 18, 8)
    sage = NNLPConfig(members=2, width=8, directions=directions)  # type: ignore[arg-type]
    for module in (GraphAttention(config, 8), TAEnhance(config, 8), SAGELayer(sage, 8)):
        assert torch.allclose(module(row, edges).view_as(h), module(h, adjacency), atol=1e-6)
    mask = torch.ones(1, 3, 6)
    codes = mask.long()
    assert torch.allclose(
        node_sums(row, Inputs(codes.view(1, 1, 18), edges, mask.view(1, 1, 18))),  # type: ignore[arg-type]
        node_sums(h, Inputs(codes, adjacency, mask)),
        atol=1e-6,
    )


@pytest.mark.parametrize("heads", [4, 8])
def test_nn_former_reads_lists_of_edges_as_it_reads_matrices(heads: int) -> None:
    """Scores and gradients; the second graph has nodes without edges, the first one with several common neighbours."""
    torch.manual_seed(0)
    config = NNFormerConfig(
        members=2, blocks=2, width=16, heads=heads, special_tokens=False, siblings="graph", dropout=0.0
    )
    network = NNFormerNetwork(config, operations=3)
    adjacency = (torch.rand(1, 3, 7, 7) < 0.5).float().triu(1)
    adjacency[0, 1, :, 4:] = 0
    codes, mask = torch.randint(3, (1, 3, 7)), torch.ones(1, 3, 7)
    row = Inputs(codes.view(1, 1, 21), in_a_row(adjacency), mask.view(1, 1, 21))  # type: ignore[arg-type]
    found = []
    for inputs in (row, Inputs(codes, adjacency, mask)):
        network.zero_grad()
        scores = network(inputs)
        scores.square().sum().backward()
        found.append([scores, *(p.grad for p in network.parameters() if p.grad is not None)])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(other.detach().abs().max()))
