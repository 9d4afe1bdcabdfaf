from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.predictors.augmentation import first_reorderings, topological_orders
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.testing_predictors import random_graph

seeds = st.integers(0, 10_000)


def published_copy(graph: Graph) -> Graph:
    """The released search: permutations of inner nodes in lexicographic order, first valid one that looks different."""
    count = graph.num_nodes
    for inner in permutations(range(1, count - 1)):
        order = [0, *inner, count - 1]
        operations = tuple(graph.operations[node] for node in order)
        adjacency = graph.adjacency[np.ix_(order, order)]
        different = operations != graph.operations or (adjacency != graph.adjacency).any()
        if different and not np.tril(adjacency).any():
            return Graph(operations, adjacency)
    return graph


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_copies_are_the_published_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng, int(rng.integers(2, 7))) for _ in range(3)]
    # fewer edges: more orders
    graphs += [Graph(g.operations, g.adjacency & (rng.random(g.adjacency.shape) < 0.6)) for g in graphs]
    copies = first_reorderings(GraphBatch.from_graphs(graphs))
    assert list(copies) == [published_copy(graph) for graph in graphs]


def test_every_cell_of_nasbench201_has_a_copy() -> None:
    batch = NASBench201().graphs_of_indices(np.arange(0, 15625, 625))
    copies = first_reorderings(batch)
    assert all(a != b for a, b in zip(batch, copies, strict=True))
    assert [a.canonical_hash() for a in batch] == [b.canonical_hash() for b in copies]


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_orders_are_all_topological_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    adjacency = np.triu(rng.random((6, 6)) < 0.4, 1)
    expected = [[0, *p, 5] for p in permutations(range(1, 5)) if not np.tril(adjacency[np.ix_(p, p)]).any()]
    assert [order.tolist() for order in topological_orders(adjacency)] == expected


def test_long_twins_do_not_take_forever() -> None:
    count = 30
    adjacency = np.zeros((count, count), dtype=bool)
    adjacency[0, 1:-1] = adjacency[1:-1, -1] = True
    graph = Graph(["input", *["conv"] * (count - 2), "output"], adjacency)
    assert list(first_reorderings(GraphBatch.from_graphs([graph]))) == [graph]
