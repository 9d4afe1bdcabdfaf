from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from nasx.evaluation import evaluate
from nasx.evaluation_report import EvaluationReport
from nasx.metric import Metric
from nasx.predictors import make_predictor
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.splits import Uniform
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark

SPACE = get_search_space("nasbench201")
FITS: list[int] = []


class Counting(BaseEstimator):
    """Least squares over counts of operations; remembers what it was fitted on."""

    def __init__(self, seed: int = 0, direction: str = "maximize", scale: float = 1.0) -> None:
        self.seed, self.direction, self.scale = seed, direction, scale

    def fit(self, graphs: Any, targets: np.ndarray) -> Counting:
        assert np.isfinite(targets).all()
        FITS.append(len(targets))
        self.weights = np.linalg.lstsq(self._features(graphs), targets, rcond=None)[0]
        return self

    def predict(self, graphs: Any) -> np.ndarray:
        return self._features(graphs) @ self.weights * self.scale

    def _features(self, graphs: Any) -> np.ndarray:
        return np.stack([(graphs.operations == code).sum(axis=1) for code in range(7)], axis=1)


class Broken(Counting):
    def predict(self, graphs: Any) -> np.ndarray:
        return np.full(len(graphs), np.nan)


@pytest.fixture(autouse=True)
def _fits() -> None:
    FITS.clear()


def make(rows: int = 200, missing: int = 0) -> TabularBenchmark:
    rng = np.random.default_rng(0)
    cells = rng.permutation(15_625)[:rows]
    graphs = SPACE.graphs_of_indices(cells)
    accuracy = 10.0 * (graphs.operations == 4).sum(axis=1) + rng.normal(size=rows)
    target = accuracy.copy()
    target[:missing] = np.nan
    table = Table(
        "toy",
        SPACE,
        cells,
        {"validation_accuracy": target, "test_accuracy": accuracy, "latency": -accuracy},
        {
            "validation_accuracy": Metric("validation_accuracy", "percent", "maximize"),
            "test_accuracy": Metric("test_accuracy", "percent", "maximize"),
            "latency": Metric("latency", "ms", "minimize"),
        },
        target="validation_accuracy",
    )
    return TabularBenchmark(table)


def test_one_row_a_repeat_and_one_a_setting() -> None:
    report = evaluate(Counting(), make(), train_sizes=[20, "20%"], repeats=3, seed=1)
    table, summary = report.table(), report.summary()
    assert table[["train_size", "repeat"]].to_numpy().tolist() == [[s, r] for s in (20, 40) for r in range(3)]
    assert (table["test_rows"] == 200 - table["train_size"]).all()
    assert table["kendall_tau"].between(0.5, 1).all()
    assert FITS == [20, 20, 20, 40, 40, 40]
    assert summary["train_size"].tolist() == [20, 40]
    first = table[table["train_size"] == 20]["kendall_tau"]
    assert summary["kendall_tau_mean"][0] == pytest.approx(first.mean())
    assert summary["kendall_tau_std"][0] == pytest.approx(first.std())
    named = {"predictor", "train_size", "repeats", "spearman_mean", "fit_seconds_mean", "score_seconds_mean"}
    assert named <= set(summary.columns)
    asked = ["pearson", "precision_at_10", "precision_at_50", "tau_top_5_percent", "best_in_top_10", "best_in_top_50"]
    assert set(asked) <= set(table.columns)


def test_same_seed_same_numbers_and_every_repeat_its_own_split() -> None:
    measured = ["kendall_tau", "predictor_seed"]
    one, two, other = (evaluate(Counting(), make(), train_sizes=20, repeats=2, seed=s).table() for s in (0, 0, 1))
    assert one[measured].equals(two[measured])
    assert not one[measured].equals(other[measured])
    assert one["kendall_tau"].nunique() == one["predictor_seed"].nunique() == 2


def test_trains_on_one_metric_and_ranks_another() -> None:
    bench = make(missing=50)
    table = evaluate(Counting(), bench, train_sizes=20, repeats=1, rank_against="test_accuracy").table()
    assert table["test_rows"][0] == 180
    table = evaluate(Counting(), bench, train_sizes=20, repeats=1, target="test_accuracy").table()
    assert table["test_rows"][0] == 180
    table = evaluate(Counting(), bench, train_sizes=20, repeats=1).table()
    assert table["test_rows"][0] == 130
    with pytest.raises(UsageError, match="only 150 architectures have the training metric"):
        evaluate(Counting(), bench, train_sizes=160, repeats=1)


def test_metrics_of_opposite_directions_are_turned() -> None:
    options: dict[str, Any] = {"train_sizes": 20, "repeats": 1, "target": "test_accuracy"}
    up = evaluate(Counting(), make(), **options).table()
    down = evaluate(Counting(), make(), rank_against="latency", **options).table()
    assert down["kendall_tau"][0] == pytest.approx(up["kendall_tau"][0])
    assert down["best_in_top_10"][0] == -up["best_in_top_10"][0]


def test_several_predictors_share_their_splits() -> None:
    table = evaluate({"a": Counting(), "b": Counting(scale=2.0)}, make(), train_sizes=20, repeats=2).table()
    assert table["predictor"].tolist() == ["a", "a", "b", "b"]
    assert table["kendall_tau"][:2].tolist() == table["kendall_tau"][2:].tolist()
    with pytest.raises(UsageError, match="two predictors are called 'Counting'"):
        evaluate([Counting(), Counting()], make(), train_sizes=20)


def test_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 4
        if done == 2:
            raise KeyboardInterrupt

    settings: dict[str, Any] = {"train_sizes": [20, 30], "repeats": 2}
    with pytest.raises(KeyboardInterrupt):
        evaluate(Counting(), make(), out=tmp_path, progress=stop, **settings)
    FITS.clear()
    seen: list[tuple[int, int]] = []
    resumed = evaluate(Counting(), make(), out=tmp_path, progress=lambda *state: seen.append(state), **settings)
    assert FITS == [30, 30]
    assert seen == [(3, 4), (4, 4)]
    timeless = [name for name in resumed.table().columns if "seconds" not in name]
    assert resumed.table()[timeless].equals(evaluate(Counting(), make(), **settings).table()[timeless])
    files = {"evaluation.csv", "summary.csv", "config.json", "pairs.csv"}
    assert {path.name for path in tmp_path.iterdir()} == files
    assert all(len(true) == 180 - 10 * (key[2] == 30) for key, (_, true) in resumed.pairs.items())
    again = EvaluationReport.load(tmp_path)
    assert again.table().equals(resumed.table())
    assert list(again.pairs) == list(resumed.pairs)


def test_a_folder_grows_but_never_mixes_settings(tmp_path: Path) -> None:
    evaluate(Counting(), make(), train_sizes=20, repeats=2, out=tmp_path)
    grown = evaluate(Counting(), make(), train_sizes=30, repeats=3, out=tmp_path)
    assert FITS == [20, 20, 30, 30, 30]
    assert len(grown) == 5
    (described,) = json.loads((tmp_path / "config.json").read_text())["benchmarks"].values()
    assert described["train_sizes"] == [20, 30]
    more = evaluate(Counting(), make(), train_sizes=20, repeats=1, seed=5, out=tmp_path)
    assert more.config["seeds"] == [0, 5]
    assert len(more) == 6
    for bench, predictor, options in [
        (make(), Counting(), {"target": "test_accuracy"}),
        (make(190), Counting(), {}),
        (make(), Counting(scale=3.0), {}),
    ]:
        with pytest.raises(UsageError, match=r"other settings .*choose another folder"):
            evaluate(predictor, bench, train_sizes=20, repeats=2, out=tmp_path, **options)


def test_a_damaged_folder_is_one_sentence(tmp_path: Path) -> None:
    evaluate(Counting(), make(), train_sizes=20, repeats=1, out=tmp_path)
    for name, text in [
        ("evaluation.csv", "a,b\n1,2\n"),
        ("evaluation.csv", "predictor\ntrees\n"),
        ("config.json", "{"),
        ("config.json", "[]"),
    ]:
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text)
        with pytest.raises(NasxError, match="damaged"):
            evaluate(Counting(), make(), train_sizes=20, repeats=1, out=tmp_path)
        (tmp_path / name).write_text(before)
    (tmp_path / "file").write_text("")
    with pytest.raises(NasxError, match="could not be written"):
        evaluate(Counting(), make(), train_sizes=20, repeats=1, out=tmp_path / "file")


@pytest.mark.slow
def test_parallel_repeats_give_the_same_numbers() -> None:
    predictor = make_predictor("trees", trees=10)
    settings: dict[str, Any] = {"train_sizes": [20, 30], "repeats": 2}
    alone, together = (evaluate(predictor, make(), n_jobs=n, **settings).table() for n in (1, 2))
    timeless = [name for name in alone.columns if "seconds" not in name]
    assert alone[timeless].equals(together[timeless])


class Listening(Counting):
    """Takes validation rows, and remembers them."""

    def fit(self, graphs: Any, targets: np.ndarray, *, validation: Any = None) -> Listening:  # type: ignore[override]
        assert validation is None or len(validation[0]) == len(validation[1])
        HEARD.append(None if validation is None else np.asarray(validation[1]))
        super().fit(graphs, targets)
        return self


HEARD: list[np.ndarray | None] = []


def test_prefix_takes_the_first_rows_of_the_official_order_and_tests_on_all() -> None:
    bench = make(300)
    HEARD.clear()
    table = evaluate(Listening(), bench, train_sizes=20, repeats=2, split="prefix").table()
    assert table["test_rows"].tolist() == [300, 300]
    assert table["split"].nunique() == 1
    assert table["split"][0].startswith("prefix-")
    assert table["predictor_seed"].nunique() == 2
    official = NASBench201(order="official")
    order = np.argsort(official.indices(bench.architectures()))
    assert HEARD[0] is not None
    assert HEARD[0].tolist() == bench.values()[np.sort(order[20:220])].tolist()
    report = evaluate(Counting(), bench, train_sizes=20, repeats=1, split="prefix", validation_size=5)
    assert report.config["protocol"] == "prefix, 5 for validation"


def test_by_function_trains_on_the_same_rows_and_tests_on_fewer() -> None:
    settings: dict[str, Any] = {"train_sizes": 100, "repeats": 2}
    plain = evaluate(Counting(), make(1000), **settings).table()
    strict = evaluate(Counting(), make(1000), **settings, split="by-function").table()
    assert (strict["test_rows"] < plain["test_rows"]).all()
    assert set(strict["split"]) & set(plain["split"]) == set()
    stratified = evaluate(Counting(), make(1000), **settings, split=Uniform(stratified=True)).table()
    assert (stratified["test_rows"] == 900).all()
    assert not stratified["kendall_tau"].equals(plain["kendall_tau"])


def test_the_split_is_the_same_for_every_predictor_and_told_in_every_row(tmp_path: Path) -> None:
    table = evaluate({"a": Counting(), "b": Listening()}, make(), train_sizes=20, repeats=2, out=tmp_path).table()
    assert table["split"][:2].tolist() == table["split"][2:].tolist()
    assert table["split"].nunique() == 2
    again = evaluate({"a": Counting(), "b": Listening()}, make(), train_sizes=20, repeats=2, out=tmp_path)
    assert again.table().equals(table)
    with pytest.raises(UsageError, match="protocol uniform instead of by-function"):
        evaluate(Counting(), make(), train_sizes=20, repeats=2, out=tmp_path, split="by-function")


def test_tau_stands_between_its_intervals_and_beside_the_ceiling(tmp_path: Path) -> None:
    report = evaluate(Counting(), make(3000), train_sizes=50, repeats=3, out=tmp_path, rank_against="test_accuracy")
    for row in report.table().to_dict("records"):
        for name in ("kendall_tau", "spearman", "pearson"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
        assert row["pairs"] == row["test_rows"] * (row["test_rows"] - 1) // 2
    summary = report.summary().iloc[0]
    assert summary["kendall_tau_mean_low"] < summary["kendall_tau_mean"] < summary["kendall_tau_mean_high"]
    assert 0 <= summary["precision_at_10_mean_low"] <= summary["precision_at_10_mean_high"] <= 1
    assert summary["regret_at_10_mean_low"] >= 0
    assert report.ceiling is not None
    assert report.ceiling.known
    assert summary["tau_ceiling"] == report.ceiling.tau
    assert 0 < summary["tau_ceiling"] < 1
    (described,) = json.loads((tmp_path / "config.json").read_text())["benchmarks"].values()
    assert described["noise_ceiling"]["tau"] == report.ceiling.tau
    assert "noise ceiling" in report.overview("toy", "Counting")["metric"].str.strip().tolist()


def test_a_folder_of_an_earlier_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"benchmark": "toy", "seed": 0}))
    with pytest.raises(NasxError, match="an earlier version of nasx; choose another folder"):
        evaluate(Counting(), make(), train_sizes=20, repeats=1, out=tmp_path)


def test_a_grid_of_benchmarks_seeds_and_losses(tmp_path: Path) -> None:
    other = make(100)
    other.name = "other"
    predictors = {"count": Counting(), "net": make_predictor("gcn", options={"epochs": 1, "min_steps": 1})}
    settings: dict[str, Any] = {"train_sizes": "10%", "repeats": 2, "seed": [3, 4], "losses": ["mse", "RankNet"]}
    report = evaluate(predictors, [make(), other], out=tmp_path, **settings)
    table = report.table()
    assert len(table) == 2 * 2 * 2 * 3
    assert table.groupby("benchmark")["train_size"].unique().map(list).to_dict() == {"toy": [20], "other": [10]}
    assert list(dict.fromkeys(table["predictor"])) == ["count", "net, mse", "net, pairwise_logistic"]
    assert table["split"].nunique() == 8
    assert report.summary()["repeats"].tolist() == [4] * 6
    alone = evaluate(Counting(), other, train_sizes=10, repeats=2, seed=4).table()
    part = table[(table.benchmark == "other") & (table.seed == 4) & (table.predictor == "count")]
    assert part["kendall_tau"].tolist() == alone["kendall_tau"].tolist()
    assert list(report.ceilings) == ["toy", "other"]
    with pytest.raises(UsageError, match="'toy' is given twice"):
        evaluate(Counting(), [make(), make()], train_sizes=20)
    with pytest.raises(UsageError, match="unknown loss 'mes'"):
        evaluate("gcn", make(), train_sizes=20, losses=["mes"])


def test_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"train_sizes": [20, 30], "repeats": 2}
    alone = evaluate(Counting(), make(), **settings).table()
    threads = evaluate(Counting(), make(), n_jobs=2, backend="threading", **settings).table()
    timeless = [name for name in alone.columns if "seconds" not in name]
    assert alone[timeless].equals(threads[timeless])
    with pytest.raises(UsageError, match="unknown backend 'slurm'; known: dask, loky, ray, threading"):
        evaluate(Counting(), make(), backend="slurm", **settings)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the backend 'ray' needs a package that is not installed; type: pip install"):
        evaluate(Counting(), make(), backend="ray", **settings)


@pytest.mark.slow
def test_repeats_run_on_ray() -> None:
    ray = pytest.importorskip("ray", reason="needs the package ray: pip install ray")
    settings: dict[str, Any] = {"train_sizes": [20], "repeats": 3}
    alone = evaluate("trees", make(), **settings).table()
    try:
        spread = evaluate("trees", make(), n_jobs=2, backend="ray", **settings).table()
    finally:
        ray.shutdown()
    timeless = [name for name in alone.columns if "seconds" not in name]
    assert alone[timeless].equals(spread[timeless])


def test_misuse_is_explained() -> None:
    for options, message in [
        ({"train_sizes": 0}, "at least 1"),
        ({"train_sizes": 200}, "nothing to test on"),
        ({"train_sizes": "abc%"}, "not a training size"),
        ({"repeats": 0}, "repeats"),
        ({"seed": -1}, "seed"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"target": "acc"}, "unknown metric 'acc'"),
        ({"rank_against": "acc"}, "unknown metric 'acc'"),
        ({"split": "random"}, "unknown split 'random'"),
        ({"validation_size": -1}, "at least 0"),
        ({"validation_size": 500}, "500 for validation"),
    ]:
        with pytest.raises(UsageError, match=message):
            evaluate(Counting(), make(), **{"train_sizes": 20, **options})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown predictor 'tree'"):
        evaluate("tree", make(), train_sizes=20)
    with pytest.raises(UsageError, match="at least one predictor"):
        evaluate([], make(), train_sizes=20)
    with pytest.raises(NasxError, match="predictor 'Broken' gave 180 of 180"):
        evaluate(Broken(), make(), train_sizes=20)


def test_a_sample_of_the_test_rows(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"train_sizes": [20, 30], "repeats": 2, "test_size": 50}
    report = evaluate(Counting(), make(), out=tmp_path, **settings)
    table = report.table()
    assert (table["test_rows"] == 50).all()
    assert table["split"].nunique() == 4
    assert report.config["protocol"] == "uniform, a sample of 50 ranked"
    whole = evaluate(Counting(), make(), train_sizes=20, repeats=2).table()
    assert not set(whole["split"]) & set(table["split"])
    assert whole["kendall_tau"][0] == pytest.approx(table["kendall_tau"][0], abs=0.2)
    assert table["kendall_tau"].equals(evaluate(Counting(), make(), **settings).table()["kendall_tau"])
    with pytest.raises(UsageError, match="a sample of 50 ranked instead of uniform"):
        evaluate(Counting(), make(), train_sizes=20, repeats=2, out=tmp_path)
    with pytest.raises(UsageError, match="at least 2 architectures; the test size is 1"):
        evaluate(Counting(), make(), train_sizes=20, test_size=1)
