from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasx.predictors.nar_former_v2_predictor import NARFormerV2
from nasx.predictors.random_walks import GAINS, visits, walk_features
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph
from nasx.testing_predictors import random_graph

seeds = st.integers(0, 10_000)


def walks_back(graph: Graph, node: int) -> list[tuple[float, list[int]]]:
    """Every walk from a node back to the input with its chance, by recursion."""
    before = np.flatnonzero(graph.adjacency[:, node])
    if not len(before):
        return [(1.0, [node])]
    return [(chance / len(before), [*walk, node]) for start in before for chance, walk in walks_back(graph, int(start))]


def batch_of(seed: int, count: int = 4) -> GraphBatch:
    rng = np.random.default_rng(seed)
    return GraphBatch.from_graphs([random_graph(rng, int(rng.integers(2, 8))) for _ in range(count)])


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_features_are_those_of_all_walks_written_out(seed: int) -> None:
    batch = batch_of(seed)
    kinds, features, chances = len(batch.vocabulary), walk_features(batch), visits(batch)
    for row, graph in enumerate(batch):
        walks = walks_back(graph, graph.num_nodes - 1)
        weights = np.array([chance for chance, _ in walks])
        met = np.zeros((len(walks), kinds + 1))
        expected = np.zeros(graph.num_nodes)
        for place, (chance, nodes) in enumerate(walks):
            expected[nodes] += chance
            for node in nodes:
                met[place, batch.vocabulary.index(graph.operations[node])] += 1
            met[place, -1] = len(nodes)
        mean = weights @ met
        deviation = np.sqrt(np.maximum(weights @ met**2 - mean**2, 0))
        survival = np.concatenate([weights @ gain**met for gain in GAINS])
        assert features[row, 0] == pytest.approx(mean[-1], rel=1e-5)
        np.testing.assert_allclose(features[row, 1 : 2 + kinds], deviation, atol=3e-3)  # a root of rounding errors
        start = 2 + kinds
        np.testing.assert_allclose(
            features[row, start : start + 2 * kinds + 2], np.log(survival + 1e-3), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(chances[row, : graph.num_nodes, 0], expected, rtol=1e-5)
        assert features[row, -1] == graph.adjacency[0, -1]


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_the_nodes_does_not_matter(seed: int) -> None:
    batch = batch_of(seed)
    canonical = GraphBatch.from_graphs([graph.canonical() for graph in batch]).recode(batch.vocabulary)
    pruned = batch.pruned()
    np.testing.assert_allclose(walk_features(canonical), walk_features(pruned), rtol=1e-4, atol=3e-3)


def test_walks_of_a_residual_cell() -> None:
    batch = GraphBatch.from_graphs([Graph(["input", "conv", "output"], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])])
    features, conv = walk_features(batch)[0], batch.vocabulary.index("conv")
    assert features[0] == 2.5  # input and output always, conv on every second walk
    assert features[1 + conv] == 0.5
    assert features[-1] == 1  # input and output are joined


def test_padding_adds_nothing() -> None:
    batch = batch_of(5)
    for row in range(len(batch)):
        alone = GraphBatch.from_graphs([batch[row]]).recode(batch.vocabulary)
        np.testing.assert_allclose(walk_features(alone)[0], walk_features(batch)[row], rtol=1e-5, atol=1e-5)
        assert (visits(batch)[row, batch.num_nodes[row] :] == 0).all()


def test_shapes_and_deep_networks() -> None:
    count = 300
    adjacency = np.eye(count, k=1, dtype=bool) | np.eye(count, k=2, dtype=bool)
    deep = GraphBatch.from_graphs([Graph(["input", *["conv"] * (count - 2), "output"], adjacency)])
    assert walk_features(deep).shape == (1, 8 * 3 + 5)
    assert np.isfinite(walk_features(deep)).all()
    assert np.isfinite(walk_features(GraphBatch([[0]], [[[False]]], [1], ("input",)))).all()


@pytest.mark.parametrize("summaries", [False, True])
def test_a_predictor_with_walks_is_saved_and_loaded(tmp_path: Path, summaries: bool) -> None:
    batch = batch_of(7, 12)
    options = {"walk_features": True, "summary_features": summaries, "width": 8, "members": 2, "min_steps": 4}
    predictor = NARFormerV2(options={**options, "epochs": 4}).fit(batch, np.arange(12.0))
    loaded = NARFormerV2.load(predictor.save(tmp_path))
    np.testing.assert_array_equal(loaded.predict(batch), predictor.predict(batch))
