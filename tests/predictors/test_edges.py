"""Attention along lists of edges gives the numbers of masked attention over matrices."""

from __future__ import annotations

import pytest
import torch

from nasx.predictors.edges import EdgeList
from nasx.predictors.nar_former_v2 import GraphAttention, NetworkConfig, TAEnhance


@pytest.mark.parametrize("directions", ["symmetric", "both"])
def test_lists_of_edges_and_matrices_agree(directions: str) -> None:
    torch.manual_seed(0)
    config = NetworkConfig(members=2, width=8, groups=1, directions=directions)  # type: ignore[arg-type]
    adjacency = (torch.rand(1, 3, 6, 6) < 0.4).float().triu(1)
    adjacency[0, 1, :, 4:] = 0  # nodes without edges, as in padding
    edges, h = EdgeList.of(adjacency), torch.randn(2, 3, 6, 8)
    for module in (GraphAttention(config, 8), TAEnhance(config, 8)):
        assert torch.allclose(module(h, edges), module(h, adjacency), atol=1e-6)
