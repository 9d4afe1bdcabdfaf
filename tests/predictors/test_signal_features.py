from __future__ import annotations

import numpy as np
import pytest

from nasx.predictors.signal_features import CELLS, STATISTICS, signal_features
from nasx.search_spaces import get_search_space
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.graph import Graph


def features(*graphs: Graph) -> np.ndarray:
    return signal_features(GraphBatch.from_graphs(graphs))


def chain(*operations: str) -> Graph:
    labels = ["input", *operations, "output"]
    return Graph.from_edges(labels, [(node, node + 1) for node in range(len(labels) - 1)])


def test_an_identity_changes_nothing() -> None:
    found = features(chain("skip_connect"))[0].reshape(CELLS, STATISTICS)
    np.testing.assert_allclose(found, [[np.log(1.001), np.log(1.001), 0.5, 0, 0.5]] * CELLS, atol=1e-5)


def test_a_chain_of_convolutions_by_the_arc_cosine_formula() -> None:
    def kappa(r: float) -> float:
        return (np.sqrt(1 - r * r) + r * (np.pi - np.arccos(r))) / (2 * np.pi) - 1 / (2 * np.pi)

    places = (kappa(0.5) / kappa(1.0)).item()
    twice = kappa(places) / kappa(1.0)
    once, two = (features(chain(*["conv"] * n))[0, :STATISTICS] for n in (1, 2))
    variance = 0.5 - 1 / (2 * np.pi)
    np.testing.assert_allclose(once, [np.log(0.501), np.log(variance + 1e-3), places, 0.6833, places], atol=2e-4)
    np.testing.assert_allclose(two[[2, 4]], [twice, twice], atol=2e-4)


def test_branches_that_carry_the_same_add_up_to_more() -> None:
    edges = [(0, 1), (0, 2), (1, 3), (2, 3)]
    same, apart = (
        Graph.from_edges(["input", a, b, "output"], edges)
        for a, b in (("skip_connect", "skip_connect"), ("conv", "conv"))
    )
    (equal, _, *_), (independent, *_) = features(same, apart)
    assert equal == pytest.approx(np.log(4.001), abs=1e-4)
    assert independent == pytest.approx(np.log(2 * 0.5 + 2 / (2 * np.pi) + 1e-3), abs=1e-4)


def test_a_random_wide_network_agrees() -> None:
    """Two branches, one pooled, in 512 channels: the average over random weights is what the formulas say."""
    rng = np.random.default_rng(0)
    channels, images, places = 512, 64, 8
    lags = np.minimum(np.arange(places), places - np.arange(places))
    root = np.linalg.cholesky(0.5 ** lags[(np.arange(places)[:, None] - np.arange(places)) % places])
    signal = rng.standard_normal((images, channels, places)) @ root.T
    weights = rng.standard_normal((channels, channels)) / np.sqrt(channels)
    before = np.einsum("oc,bcp->bop", weights, signal)
    before = (before - before.mean((0, 2), keepdims=True)) / before.std((0, 2), keepdims=True)
    pooled = (np.roll(signal, 1, -1) + signal + np.roll(signal, -1, -1)) / 3
    output = np.maximum(before, 0) + pooled + signal
    graph = Graph.from_edges(
        ["input", "conv", "avg_pool", "skip_connect", "output"], [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]
    )
    variance = output.var()
    neighbours = ((output - output.mean()) * np.roll(output - output.mean(), 1, -1)).mean() / variance
    expected = [np.log((output**2).mean()), np.log(variance), neighbours, output.mean() / np.sqrt(variance)]
    np.testing.assert_allclose(features(graph)[0, :4], expected, atol=0.02)


def test_numbering_and_padding_do_not_matter() -> None:
    labels, edges = ["input", "conv1x1", "maxpool", "conv3x3", "output"], [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)]
    one = Graph.from_edges(labels, edges)
    order = [0, 2, 1, 3, 4]
    other = Graph.from_edges([labels[node] for node in order], [(order.index(a), order.index(b)) for a, b in edges])
    found = features(one, other, chain("conv", "conv", "conv", "conv", "conv", "conv", "conv"))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
    np.testing.assert_allclose(found[:1], features(one), rtol=1e-5)


def test_every_cell_gets_finite_numbers() -> None:
    for name in ("nasbench201", "nasbench101", "nasbench-graph"):
        space = get_search_space(name)
        graphs = space.graphs(space.samples(300, np.random.default_rng(0)))
        for batch in (graphs, graphs.pruned()):
            assert np.isfinite(signal_features(batch)).all()
    nothing = Graph(["input", "none", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert np.isfinite(features(nothing)).all()
    assert signal_features(GraphBatch.from_graphs([nothing])[np.array([], dtype=int)]).shape == (0, CELLS * STATISTICS)
    assert np.isfinite(features(Graph(["input"], [[0]]))).all()
