"""Cells in bulk: codes to graphs and back, in any topological order and with dead nodes."""

from __future__ import annotations

import numpy as np

from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101_arrays import decode, encode_graphs
from nasx.search_spaces.nasbench101_tables import cell_tables


def test_graphs_of_all_cells_come_back() -> None:
    codes = cell_tables().codes[::7]
    batch = decode(codes)
    assert len(batch) == len(codes)
    assert np.array_equal(encode_graphs(batch), codes)
    assert np.array_equal(batch.pruned().operations, batch.operations)


def test_dead_nodes_and_other_orders_have_the_same_code() -> None:
    rng = np.random.default_rng(0)
    codes = cell_tables().codes
    codes = codes[rng.integers(len(codes), size=100)]
    shuffled = []
    for graph in decode(codes):
        inner = graph.num_nodes - 2
        place = [0, *(1 + rng.permutation(inner)).tolist(), inner + 2]
        operations = ["input", *[""] * inner, "maxpool3x3", "output"]  # one more node, which nothing reaches
        for node, new in enumerate(place):
            operations[new] = graph.operations[node]
        edges = [(place[u], place[v]) for u, v in graph.edges]
        shuffled.append(Graph.from_edges(operations, [*edges, (inner + 1, inner + 2)]))
    assert np.array_equal(encode_graphs(GraphBatch.from_graphs(shuffled)), codes)


def test_no_cells() -> None:
    assert encode_graphs(decode(cell_tables().codes[:0])).shape == (0,)
