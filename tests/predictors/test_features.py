from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.predictors.features import (
    FeatureExtractor,
    contracted,
    longest_paths,
    node_features,
    one_hot,
    path_counts,
    path_hashes,
    summary_features,
    walk_counts,
)
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.testing_predictors import random_graph

seeds = st.integers(0, 10_000)


def all_paths(graph: Graph, start: int = 0, end: int | None = None) -> list[list[int]]:
    """Every path from one node to another, by recursion."""
    end = graph.num_nodes - 1 if end is None else end
    if start == end:
        return [[end]]
    return [[start, *rest] for node in np.flatnonzero(graph.adjacency[start]) for rest in all_paths(graph, node, end)]


def batch_of(seed: int, count: int = 4) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return GraphBatch.from_graphs([random_graph(rng, int(rng.integers(2, 8))) for _ in range(count)])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_path_counts_and_longest_paths(seed: int) -> None:
    batch = batch_of(seed)
    forward, backward = path_counts(batch)
    longest_in, longest_out = longest_paths(batch.adjacency, batch.mask[..., None].astype(np.float32))
    for row, graph in enumerate(batch):
        last = graph.num_nodes - 1
        for node in range(graph.num_nodes):
            to, onward = all_paths(graph, 0, node), all_paths(graph, node)
            assert (forward[row, node], backward[row, node]) == (len(to), len(onward))
            assert longest_in[row, node, 0] == max(len(path) for path in to)  # a chain runs through all nodes
            assert longest_out[row, node, 0] == max(len(path) for path in onward)
        assert forward[row, last] == backward[row, 0]


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_paths_are_the_sequences_of_operations_without_identities(seed: int) -> None:
    batch = batch_of(seed)
    graph_numbers, hashes, counts = path_hashes(batch, length=8)
    names: dict[tuple[str, ...], int] = {}
    for row, graph in enumerate(batch):
        expected = Counter(
            tuple(graph.operations[node] for node in path[1:-1] if graph.operations[node] != "skip_connect")
            for path in all_paths(graph)
        )
        found = dict(zip(hashes[graph_numbers == row].tolist(), counts[graph_numbers == row].tolist(), strict=True))
        assert sorted(found.values()) == sorted(expected.values())
        by_count = Counter(expected.values())
        for sequence, count in expected.items():  # where a count is unique, the hash must mean the same everywhere
            if by_count[count] == 1:
                [value] = [key for key, number in found.items() if number == count]
                assert names.setdefault(sequence, value) == value
    assert len(set(names.values())) == len(names)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_walks_are_matrix_powers(seed: int) -> None:
    batch = batch_of(seed)
    ways, operations = contracted(batch), one_hot(batch)
    power, total = ways, np.zeros_like(ways)
    while power.any():
        total, power = total + power, power @ ways
    np.testing.assert_allclose(walk_counts(ways, operations), total @ operations, rtol=1e-5)


def test_features_do_not_see_the_order_of_nodes_or_dead_parts() -> None:
    first = Graph.from_edges(["input", "conv", "pool", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    second = Graph.from_edges(["input", "pool", "conv", "output"], [(0, 1), (0, 2), (1, 3), (2, 3)])
    dead = Graph.from_edges(["input", "pool", "conv", "conv", "output"], [(0, 1), (0, 2), (1, 4), (2, 4), (0, 3)])
    none = Graph.from_edges(
        ["input", "pool", "conv", "none", "output"], [(0, 1), (0, 2), (1, 4), (2, 4), (0, 3), (3, 4)]
    )
    extractor = FeatureExtractor.of(GraphBatch.from_graphs([first, none]))
    rows = extractor(GraphBatch.from_graphs([first, second, dead, none]))
    assert (rows == rows[0]).all()


def test_unseen_paths_and_larger_graphs_are_fine() -> None:
    extractor = FeatureExtractor.of(batch_of(0, 10))
    rng = np.random.default_rng(1)
    rows = extractor(GraphBatch.from_graphs([random_graph(rng, 9), random_graph(rng, 30)]))
    assert rows.shape == (2, extractor.columns.sum())
    assert np.isfinite(rows).all()


def test_deep_networks_do_not_overflow() -> None:
    count = 300  # each node feeds the next two: Fibonacci many paths
    adjacency = np.eye(count, k=1, dtype=bool) | np.eye(count, k=2, dtype=bool)
    batch = GraphBatch.from_graphs([Graph(["input", *["conv"] * (count - 2), "output"], adjacency)])
    assert np.isfinite(summary_features(batch)).all()
    assert np.isfinite(node_features(batch)).all()


def test_shapes() -> None:
    batch = batch_of(3)
    operations = len(batch.vocabulary)
    assert summary_features(batch).shape == (4, 4 + 3 * operations + 2 * operations**2)
    assert node_features(batch).shape == (*batch.operations.shape, 6)
    assert (node_features(batch)[~batch.mask] == 0).all()


def test_as_written_tells_dead_parts_apart() -> None:
    first = NASBench201().graph(("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none"))
    second = NASBench201().graph(("skip_connect", "none", "none", "nor_conv_3x3", "none", "none"))
    third = NASBench201().graph(("skip_connect", "none", "none", "skip_connect", "none", "none"))
    cells = GraphBatch.from_graphs([first, second, third])
    functional, written = FeatureExtractor.of(cells), FeatureExtractor.of(cells, as_written=True)
    assert (functional(cells)[0] == functional(cells)[1]).all()
    assert (written(cells)[0] != written(cells)[1]).any()
    assert (written(cells)[:, : functional.columns.sum()] == functional(cells)).all()
    np.testing.assert_array_equal(written(cells[1:2])[0], written(cells)[1])


def test_as_written_reads_graphs_larger_than_any_learnt() -> None:
    small = GraphBatch.from_graphs([Graph(["input", "conv", "output"], np.eye(3, k=1, dtype=int))])
    extractor = FeatureExtractor.of(small, as_written=True)
    large = GraphBatch.from_graphs([Graph(["input", "conv", "conv", "conv", "output"], np.eye(5, k=1, dtype=int))])
    assert extractor(large).shape == extractor(small).shape
