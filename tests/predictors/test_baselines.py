from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from nasx.predictors import make_predictor
from nasx.predictors.baselines import GaussianProcess, TreeEnsemble
from nasx.search_spaces.batch import GraphBatch
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.testing import check_predictor


@pytest.mark.parametrize(("name", "params"), [("trees", {"trees": 20}), ("gaussian-process", {})])
def test_baselines_keep_the_contract(name: str, params: dict[str, int]) -> None:
    check_predictor(make_predictor(name, **params))


def test_the_process_knows_how_sure_it_is(graphs: GraphBatch, targets: np.ndarray, tmp_path: Path) -> None:
    process = GaussianProcess().fit(graphs[:16], targets[:16])
    values, deviations = process.predict_distribution(graphs)
    assert np.array_equal(values, process.predict(graphs))
    assert (deviations > 0).all()
    stranger = Graph(["input", *["pool"] * 9, "output"], np.triu(np.ones((11, 11), dtype=int), 1))
    assert process.predict_distribution([stranger])[1] > 1.2 * deviations[:16].mean()
    process.save(tmp_path)
    assert np.allclose(GaussianProcess.load(tmp_path).predict_distribution(graphs)[1], deviations)
    assert [part.shape for part in process.predict_distribution([])] == [(0,), (0,)]
    with pytest.raises(UsageError, match="not fitted"):
        GaussianProcess().predict_distribution(graphs)


@pytest.mark.parametrize("targets", [[93.0], [93.0] * 4, [93.0, 94.0]])
def test_uncertainty_of_little_data_is_finite(targets: list[float], graphs: GraphBatch) -> None:
    process = GaussianProcess().fit(graphs[: len(targets)], targets)
    assert all(np.isfinite(part).all() for part in process.predict_distribution(graphs))


@pytest.mark.data
def test_intervals_cover_what_they_say(shared_data: Path) -> None:
    """156 cells: about 68 of 100 measurements within a deviation, 90 within 1.64 (a deviation's sixth at most off)."""
    pandas = pytest.importorskip("pandas")
    accuracy = pandas.read_parquet(shared_data / "nasbench201.parquet").cifar10_validation_accuracy.to_numpy()[:2000]
    graphs = NASBench201(order="official").graphs_of_indices(np.arange(2000))
    process = GaussianProcess().fit(graphs[:156], accuracy[:156])
    values, deviations = process.predict_distribution(graphs[156:])
    within = abs(values - accuracy[156:]) / deviations
    assert (within < 1).mean() == pytest.approx(0.68, abs=0.12)
    assert (within < 1.64).mean() == pytest.approx(0.9, abs=0.08)


def test_features_are_made_in_chunks(graphs: GraphBatch, targets: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = TreeEnsemble(trees=5).fit(graphs, targets)
    whole = predictor.predict(graphs)
    monkeypatch.setattr(TreeEnsemble, "chunk", 5)
    assert np.array_equal(predictor.predict(graphs), whole)


@pytest.mark.data
@pytest.mark.parametrize(("name", "tau"), [("trees", 0.74), ("gaussian-process", 0.76)])
def test_ranking_of_real_cells(name: str, tau: float, shared_data: Path) -> None:
    """156 cells of NAS-Bench-201: about 0.785 and 0.81 (benchmarks have the full numbers)."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet(shared_data / "nasbench201.parquet")
    graphs = NASBench201(order="official").graphs_of_indices(np.arange(2000))
    predictor = make_predictor(name).fit(graphs[:156], table.cifar10_validation_accuracy[:156])
    found = kendalltau(predictor.predict(graphs[156:]), table.cifar10_test_accuracy[156:2000]).statistic
    assert found > tau
