from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from nasx.predictors import make_predictor
from nasx.predictors.nar_former_v2_predictor import NARFormerV2
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.testing import check_predictor

QUICK = {"members": 2, "width": 16, "blocks": 2, "min_steps": 40, "epochs": 1}


@pytest.mark.slow
def test_default_preset_keeps_the_contract() -> None:
    check_predictor(NARFormerV2(options=QUICK))


@pytest.mark.slow
def test_paper_preset_keeps_the_contract() -> None:
    check_predictor(NARFormerV2("paper", {"width": 16, "blocks": 2, "epochs": 15, "learning_rate": 3e-3}))


def test_regression_losses_predict_values(graphs: GraphBatch, targets: np.ndarray) -> None:
    options = {**QUICK, "losses": {"mse": 1.0}, "min_steps": 200}
    predictions = NARFormerV2(options=options).fit(graphs, targets).predict(graphs)
    assert np.abs(predictions - targets).mean() < 2


@pytest.mark.parametrize("loss", ["pairwise_logistic", "pairwise_hinge", "list_mle"])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_ranking_losses_rank_either_way(loss: str, direction: str, graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = NARFormerV2(options={**QUICK, "losses": {loss: 1.0}}, direction=direction)  # type: ignore[arg-type]
    predictions = predictor.fit(graphs, targets).predict(graphs)
    assert kendalltau(predictions, targets).statistic > 0.6
    assert abs(np.median(predictions) - np.median(targets)) < 3


def test_an_interrupted_fit_changes_nothing(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = NARFormerV2(options=QUICK).fit(graphs, targets)
    before, state = predictor.predict(graphs), torch.get_rng_state()

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor.fit(graphs, -targets, progress=interrupt)
    assert np.array_equal(predictor.predict(graphs), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_pruned_graphs_with_the_same_function_get_the_same_prediction(graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = NARFormerV2(options=QUICK).fit(graphs, targets)
    plain = Graph(["input", "conv", "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    dead = Graph.from_edges(["input", "conv", "pool", "output"], [(0, 1), (1, 3), (0, 2)])
    assert len(set(predictor.predict([plain, dead]))) == 1


def test_operations_never_trained_on_are_fine_if_the_vocabulary_has_them(
    graphs: GraphBatch, targets: np.ndarray
) -> None:
    """One that was never seen is neither the best nor the worst: it looks like the average of the others."""
    wide = graphs.recode([*graphs.vocabulary, "new", "newer"])
    cells = [Graph(["input", name, "output"], [[0, 1, 0], [0, 0, 1], [0, 0, 0]]) for name in ("new", "newer", "conv")]
    predictions = NARFormerV2(options=QUICK).fit(wide, targets).predict(cells)
    assert predictions[0] == pytest.approx(predictions[1])
    assert predictions[1] < predictions[2]


def test_a_saved_paper_network_is_whole(tmp_path: Path, graphs: GraphBatch, targets: np.ndarray) -> None:
    predictor = make_predictor("nar-former-v2-paper", options={"epochs": 1, "width": 32, "blocks": 2})
    predictor.fit(graphs, targets).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["predictor.json", "weights.safetensors"]
    assert np.array_equal(NARFormerV2.load(tmp_path).predict(graphs), predictor.predict(graphs))


@pytest.mark.data
@pytest.mark.slow
def test_ranking_of_real_cells(shared_data: Path) -> None:
    """78 cells of NAS-Bench-201: about 0.78 (benchmarks have the full numbers)."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(shared_data / "nasbench201.parquet")
    graphs = NASBench201(order="official").graphs_of_indices(np.arange(2000))
    predictor = NARFormerV2().fit(graphs[:78], table.cifar10_validation_accuracy[:78])
    found = kendalltau(predictor.predict(graphs[78:]), table.cifar10_test_accuracy[78:2000]).statistic
    assert found > 0.72


def test_deviations_cover_what_is_measured(tmp_path: Path) -> None:
    space = NASBench201()
    cells = space.samples(400, np.random.default_rng(0))
    graphs = space.graphs(cells)
    noise = np.random.default_rng(1).normal(0, 0.5, 400)
    targets = np.array([2.0 * cell.count("nor_conv_3x3") + cell.count("nor_conv_1x1") for cell in cells]) + noise
    model = NARFormerV2(options={"epochs": 5, "min_steps": 5}).fit(graphs[:100], targets[:100])
    values, deviations = model.predict_distribution(graphs[100:])
    np.testing.assert_array_equal(values, model.predict(graphs[100:]))
    assert 0.5 < (np.abs(targets[100:] - values) < 1.64 * deviations).mean() <= 1
    model.save(tmp_path)
    again = NARFormerV2.load(tmp_path)
    np.testing.assert_allclose(again.predict_distribution(graphs[100:])[1], deviations, rtol=1e-4)
    assert [len(part) for part in model.predict_distribution([])] == [0, 0]
    silent = NARFormerV2(options={"process_vote": False})
    assert not silent.knows_uncertainty
    with pytest.raises(UsageError, match="does not know how sure it is; use nar-former-v2 or gaussian-process"):
        silent.predict_distribution(graphs)
