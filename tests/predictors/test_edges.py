"""Attention along lists of edges gives the numbers of masked attention over matrices."""

from __future__ import annotations

import pytest
import torch

from nasx.predictors.edges import EdgeList, node_sums
from nasx.predictors.inputs import Inputs
from nasx.predictors.nar_former_v2 import GraphAttention, NetworkConfig, TAEnhance


@pytest.mark.parametrize("directions", ["symmetric", "both"])
def test_lists_of_edges_and_matrices_agree(directions: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(members=2, width=8, groups=1, directions=directions)  # type: ignore[arg-type]
    adjacency = (torch.rand(1, 3, 6, 6) < 0.4).float().triu(1)
    adjacency[0, 1, :, 4:] = 0  # nodes without edges, as in padding
    graph, source, target = adjacency[0].nonzero().unbind(-1)
    edges = EdgeList(graph * 6 + source, graph * 6 + target, torch.arange(3).repeat_interleave(6), 3)
    h = torch.randn(2, 3, 6, 8)
    row = h.view(2, 1, 18, 8)
    for module in (GraphAttention(config, 8), TAEnhance(config, 8)):
        assert torch.allclose(module(row, edges).view_as(h), module(h, adjacency), atol=1e-6)
    mask = torch.ones(1, 3, 6)
    codes = mask.long()
    assert torch.allclose(
        node_sums(row, Inputs(codes.view(1, 1, 18), edges, mask.view(1, 1, 18))),  # type: ignore[arg-type]
        node_sums(h, Inputs(codes, adjacency, mask)),
        atol=1e-6,
    )
