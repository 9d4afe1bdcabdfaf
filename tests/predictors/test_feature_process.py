from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from nasx.predictors.feature_process import FeatureProcess
from nasx.predictors.nar_former_v2_predictor import NARFormerV2
from nasx.predictors.scaling import normal_scores
from nasx.search_spaces.batch import GraphBatch
from nasx.testing_predictors import random_graph

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)).astype(np.float32)
Y = X[:, 0] + np.sin(2 * X[:, 1]) + 0.1 * RNG.normal(size=60)


def batch_of(count: int) -> GraphBatch:
    rng = np.random.default_rng(1)
    return GraphBatch.from_graphs([random_graph(rng, int(rng.integers(3, 8))) for _ in range(count)])


def test_the_mean_is_the_textbook_formula() -> None:
    process = FeatureProcess.fitted(X, Y)
    new = RNG.normal(size=(7, 5)).astype(np.float32)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = a @ process.metric, b @ process.metric
        distances = ((a[:, None] - b[None]) ** 2).sum(-1) / 5
        return process.smooth * np.exp(-distances / (2 * process.length)) + process.linear * (a @ b.T) / 5

    np.testing.assert_allclose(process(torch.from_numpy(new)), kernel(new, X) @ process.weights, rtol=1e-3, atol=1e-4)
    # (K + c I) weights = y for one noise c, whatever it is
    rest = normal_scores(Y) - kernel(X, X) @ process.weights
    noise = rest / process.weights
    np.testing.assert_allclose(noise, np.median(noise), rtol=0.05)
    assert np.median(noise) > 0


def test_it_ranks_what_it_has_not_seen() -> None:
    process = FeatureProcess.fitted(X, Y)
    new = RNG.normal(size=(200, 5)).astype(np.float32)
    truth = new[:, 0] + np.sin(2 * new[:, 1])
    assert kendalltau(process(torch.from_numpy(new)), truth).statistic > 0.7


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_or_equal_rows(count: int) -> None:
    process = FeatureProcess.fitted(np.ones((count, 4)), np.zeros(count))
    assert torch.isfinite(process(torch.ones(2, 4))).all()
    assert torch.isfinite(FeatureProcess.fitted(np.zeros((count, 4)), np.arange(count))(torch.ones(2, 4))).all()


def test_columns_of_zeros_do_not_count() -> None:
    wider = np.concatenate([X, np.zeros_like(X)], axis=1)
    new = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    together = FeatureProcess.fitted(wider, Y)(torch.cat([new, torch.zeros(5, 5)], dim=1))
    torch.testing.assert_close(together, FeatureProcess.fitted(X, Y)(new), rtol=1e-3, atol=1e-4)


def test_the_process_votes_and_is_saved(tmp_path: Path) -> None:
    graphs = batch_of(30)
    targets = np.linspace(90, 94, 30)
    options = {"width": 8, "members": 2, "epochs": 3, "min_steps": 3, "process_vote": True}
    predictor = NARFormerV2(options=options).fit(graphs, targets)
    assert predictor._fitted is not None
    assert predictor._fitted.process is not None
    assert len(predictor._fitted.process.weights) == 30
    assert predictor._fitted.scores(predictor._fitted.readable(graphs)).shape == (3, 30)
    loaded = NARFormerV2.load(predictor.save(tmp_path))
    np.testing.assert_allclose(loaded.predict(graphs), predictor.predict(graphs), rtol=1e-6)
    plain = NARFormerV2(options={**options, "process_metric": False}).fit(graphs, targets)
    assert plain._fitted is not None
    assert plain._fitted.process is not None
    assert plain._fitted.process.metric is None
    again = NARFormerV2.load(plain.save(tmp_path / "plain"))
    np.testing.assert_allclose(again.predict(graphs), plain.predict(graphs), rtol=1e-6)
    without = NARFormerV2(options={**options, "process_vote": False}).fit(graphs, targets)
    assert without._fitted is not None
    assert without._fitted.process is None


def test_threads_do_not_change_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = batch_of(60)
    predictor = NARFormerV2(options={"width": 8, "members": 2, "epochs": 1, "min_steps": 1})
    predictor.fit(graphs, np.linspace(0, 1, 60))
    monkeypatch.setattr("nasx.predictors.fitted_network.NODES_A_CHUNK", 32)
    before, scores = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            scores.append(predictor.predict(graphs))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)


def test_deviations_by_the_formula_and_far_from_everything() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 3)).astype(np.float32)
    targets = x[:, 0] + 0.1 * rng.standard_normal(30)
    process = FeatureProcess.fitted(x, targets, metric=False)
    asked = np.concatenate([x[:5], 50 + x[:5]])

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        squares = ((a[:, None] - b[None]) ** 2).sum(-1)
        return process.smooth * np.exp(-squares / (2 * process.length * 3)) + process.linear * (a @ b.T) / 3

    inverse = np.linalg.inv(kernel(x, x) + (process.noise + 1e-4) * np.eye(30))
    cross = kernel(asked, x)
    expected = np.sqrt(np.diag(kernel(asked, asked)) + process.noise - np.einsum("bi,ij,bj->b", cross, inverse, cross))
    found = process.deviations(torch.from_numpy(asked)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert found[5:].min() > 2 * found[:5].max()
    with_metric = FeatureProcess.fitted(x, targets)
    np.testing.assert_array_equal(with_metric.deviations(torch.from_numpy(asked)).numpy(), found)
    again = FeatureProcess.restored(*with_metric.state())
    for what in (FeatureProcess.__call__, FeatureProcess.deviations):
        torch.testing.assert_close(what(again, torch.from_numpy(asked)), what(with_metric, torch.from_numpy(asked)))


def test_the_metric_is_the_mean_product_of_gradients() -> None:
    plain = FeatureProcess._given(X.astype(np.float64), normal_scores(Y))
    steps = 1e-2 * np.eye(5, dtype=np.float32)
    up, down = (np.stack([plain(torch.from_numpy(X + sign * step)).numpy() for step in steps], 1) for sign in (1, -1))
    gradients = (up - down) / 2e-2
    np.testing.assert_allclose(plain._gradients(), gradients, rtol=0.02, atol=2e-3)
    metric = FeatureProcess.fitted(X, Y).metric
    assert metric is not None
    expected = np.linalg.matrix_power(metric.astype(np.float64), 4)
    products = gradients.T @ gradients
    np.testing.assert_allclose(expected / np.trace(expected), products / np.trace(products), atol=0.01)
    assert np.square(metric).sum() == pytest.approx(5, rel=1e-4)
    assert metric[0, 0] + metric[1, 1] > 2 * metric[2:, 2:].trace() / 3  # targets change along the first two


def test_directions_that_matter_count_more() -> None:
    rng = np.random.default_rng(3)
    direction = rng.normal(size=12) / np.sqrt(12)
    x, new = (rng.normal(size=(count, 12)).astype(np.float32) for count in (200, 300))
    targets, truth = (x @ direction) ** 2, (new @ direction) ** 2
    processes = FeatureProcess.fitted(x, targets), FeatureProcess._given(x.astype(np.float64), normal_scores(targets))
    with_metric, without = (kendalltau(process(torch.from_numpy(new)), truth).statistic for process in processes)
    assert with_metric > without + 0.05
