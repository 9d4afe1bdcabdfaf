"""Small graphs with a target that can be learned."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.testing_predictors import random_graph

CHAIN = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


@pytest.fixture(scope="session")
def graphs() -> GraphBatch:
    """24 graphs of 3 to 7 nodes."""
    rng = np.random.default_rng(7)
    return GraphBatch.from_graphs([random_graph(rng, int(rng.integers(3, 8))) for _ in range(24)])


@pytest.fixture(scope="session")
def targets(graphs: GraphBatch) -> np.ndarray:
    """Grows with the number of convolutions."""
    counts = np.array([graph.operations.count("conv") for graph in graphs])
    return 80.0 + 3 * counts + np.random.default_rng(8).normal(size=len(counts))


@pytest.fixture
def chain() -> Graph:
    return Graph(["input", "conv", "output"], CHAIN)
