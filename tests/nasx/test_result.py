"""The account of a search: rank, regret, tau where the predictor was not trained, and what is written down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nasx
from nasx.metrics import kendall_tau
from nasx.predictors import make_predictor
from nasx.result import SearchResult
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.table_file import Metric, Table
from nasx.tabular import TabularBenchmark

SPACE = NASBench201()
ROWS = np.sort(np.random.default_rng(0).permutation(15625)[:625])


@pytest.fixture(scope="module", params=["maximize", "minimize"])
def benchmark(request: pytest.FixtureRequest) -> TabularBenchmark:
    cells = [SPACE.architecture(int(row)) for row in ROWS]
    values = np.array([cell.count("nor_conv_3x3") + 0.3 * cell.count("nor_conv_1x1") for cell in cells])
    values = values + np.random.default_rng(0).normal(scale=0.01, size=len(cells))
    if request.param == "minimize":
        values = -values
    return TabularBenchmark(Table("toy", SPACE, ROWS, {"score": values}, {"score": Metric("score", "", request.param)}))


@pytest.fixture(scope="module")
def result(benchmark: TabularBenchmark) -> SearchResult:
    return nasx.search(SPACE, benchmark, predictor=make_predictor("trees", trees=30), budget=40, seed=0)


def test_rank_and_regret_are_those_of_the_table(result: SearchResult, benchmark: TabularBenchmark) -> None:
    values = benchmark.values()
    sign = 1 if benchmark.direction == "maximize" else -1
    assert result.best_value == benchmark.query(result.best)
    assert result.best_rank == 1 + (sign * values > sign * result.best_value).sum()
    assert result.regret == pytest.approx((sign * values).max() - sign * result.best_value)
    assert result.ranked == len(ROWS)


def test_tau_counts_only_rows_it_was_not_trained_on(result: SearchResult) -> None:
    assert result.ranking is not None
    unseen = result.ranking[~result.ranking["trained"]]
    assert result.kendall_tau_pairs == len(unseen) == len(ROWS) - 40
    assert result.kendall_tau == pytest.approx(kendall_tau(unseen["predicted"], unseen["true"]))
    evaluated = set(result.history["architecture"])
    assert evaluated == set(result.ranking.loc[result.ranking["trained"], "architecture"])


def test_a_saved_run_can_be_read_back(result: SearchResult, tmp_path: Path) -> None:
    result.save(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["best_architecture"] == SPACE.format(result.best)
    assert summary["best_value"] == result.best_value
    assert (summary["space"], summary["direction"], summary["optimum"]) == (
        "nasbench201", result.direction, result.optimum
    )  # fmt: skip
    best = json.loads((tmp_path / "best.json").read_text())
    assert nasx.Graph.from_dict(best["graph"]) == SPACE.graph(result.best)
    again = nasx.load_predictor(tmp_path / "predictor")
    graphs = SPACE.graphs([SPACE.architecture(int(row)) for row in ROWS])
    assert result.ranking is not None
    np.testing.assert_allclose(again.predict(graphs), result.ranking["predicted"])


def test_a_search_without_predictor_has_no_tau_and_writes_no_ranking(
    benchmark: TabularBenchmark, tmp_path: Path
) -> None:
    result = nasx.search(SPACE, benchmark, predictor=None, strategy="random", budget=5)
    result.save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["kendall_tau"] is None
    assert {path.name for path in tmp_path.iterdir()} == {"best.json", "summary.json", "history.csv", "search.png"}
