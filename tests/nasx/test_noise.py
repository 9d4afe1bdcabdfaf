from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nasx.benchmark import load_benchmark
from nasx.metric import Metric
from nasx.metrics import kendall_tau
from nasx.noise import NoiseCeiling, noise_ceiling
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark

N = 4000
CLASSES = np.arange(N) * 3 // 4


def bench(columns: Mapping[str, np.ndarray], metrics: Mapping[str, Metric] | None = None) -> TabularBenchmark:
    known = metrics or {name: Metric(name, "percent", "maximize") for name in columns}
    return TabularBenchmark(
        Table("toy", get_search_space("nasbench201"), np.arange(N), columns, known, target=next(iter(known)))
    )


def of(quantity: str, seed: int | str) -> Metric:
    return Metric.of(quantity, "percent", "maximize", epochs=200, seed=seed)


def test_the_own_metrics_of_the_benchmark_by_default() -> None:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=N)[CLASSES]
    columns = {name: quality + 0.2 * rng.normal(size=N) for name in ("validation", "test")}
    own = noise_ceiling(bench(columns), groups=CLASSES)
    assert (own.target, own.rank_against) == ("validation", "validation")
    assert own.tau == pytest.approx(kendall_tau(quality, columns["validation"]), abs=0.01)
    assert math.isnan(own.through_target)
    assert noise_ceiling(bench(columns), "test", groups=CLASSES).rank_against == "test"
    with pytest.raises(UsageError, match="unknown metric 'tests'"):
        noise_ceiling(bench(columns), "tests")


@pytest.mark.parametrize("shared", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["maximize", "minimize"])
def test_a_perfect_predictor_of_the_target_from_twins(shared: float, kind: str) -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(size=N)
    quality = {"validation": known[CLASSES], "test": (known + 0.1 * rng.normal(size=N))[CLASSES]}
    noise = shared * rng.normal(size=N)
    labels = {name: values + noise + 0.15 * rng.normal(size=N) for name, values in quality.items()}
    truth = kendall_tau(quality["validation"], labels["test"])
    if kind == "minimize":
        labels["test"] = -labels["test"]
    metrics = {"validation": Metric("validation", "", "maximize"), "test": Metric("test", "", kind)}  # type: ignore[arg-type]
    ceiling = noise_ceiling(bench(labels, metrics), "validation", "test", groups=CLASSES)
    assert ceiling.target_tau == pytest.approx(abs(kendall_tau(labels["validation"], labels["test"])))
    assert ceiling.through_target == pytest.approx(truth, abs=0.015)
    assert ceiling.through_target < ceiling.tau


@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_a_perfect_predictor_of_the_target_from_repeats(shared: float) -> None:
    rng = np.random.default_rng(2)
    known = rng.normal(size=N)
    quality = {"validation_accuracy": known, "test_accuracy": known + 0.1 * rng.normal(size=N)}
    runs: dict[str, list[np.ndarray]] = {name: [] for name in quality}
    for _ in range(3):
        noise = shared * rng.normal(size=N)
        for name, values in quality.items():
            runs[name].append(values + noise + 0.15 * rng.normal(size=N))
    metrics, columns = {}, {}
    for name, each in runs.items():
        for seed, values in [*enumerate(each), ("mean", np.mean(each, axis=0))]:
            metric = of(name, seed)  # type: ignore[arg-type]
            metrics[metric.name], columns[metric.name] = metric, values
    target, judged = "validation_accuracy_200_epochs_mean", "test_accuracy_200_epochs_mean"
    ceiling = noise_ceiling(bench(columns, metrics), target, judged, groups=np.arange(N))
    assert [e.method for e in ceiling.estimates] == ["repeats"]
    assert ceiling.tau == pytest.approx(kendall_tau(quality["test_accuracy"], columns[judged]), abs=0.008)
    assert ceiling.through_target == pytest.approx(
        kendall_tau(quality["validation_accuracy"], columns[judged]), abs=0.012
    )
    single = noise_ceiling(bench(columns, metrics), of("test_accuracy", 1).name, groups=np.arange(N))
    assert single.estimates[0].runs == 1


def test_runs_that_a_label_is_not_the_mean_of_say_nothing_about_it() -> None:
    rng = np.random.default_rng(3)
    runs = rng.normal(size=N) + 0.3 * rng.normal(size=(2, N))
    columns = {"acc_seed0": runs[0], "acc_seed1": runs[1], "acc": runs.max(axis=0)}
    metrics = {
        "acc_seed0": Metric("acc_seed0", "", "maximize", "acc", seed=0),
        "acc_seed1": Metric("acc_seed1", "", "maximize", "acc", seed=1),
        "acc": Metric("acc", "", "maximize"),
    }
    assert not noise_ceiling(bench(columns, metrics), "acc", groups=np.arange(N)).known
    columns["acc"] = runs.mean(axis=0)
    assert noise_ceiling(bench(columns, metrics), "acc", groups=np.arange(N)).known


def test_what_is_printed_and_stored() -> None:
    rng = np.random.default_rng(4)
    columns = {name: np.arange(N)[CLASSES] + 99 * rng.normal(size=N) for name in ("validation", "test")}
    ceiling = noise_ceiling(bench(columns), "validation", "test", groups=CLASSES)
    assert "ceiling of test, from twins" in str(ceiling)
    assert f"{ceiling.tau:.3f}" in str(ceiling)
    assert json.loads(json.dumps(ceiling.to_dict()))["tau"] == ceiling.tau
    assert str(NoiseCeiling.from_dict(json.loads(json.dumps(ceiling.to_dict())))) == str(ceiling)
    unknown = noise_ceiling(bench(columns), groups=np.arange(N))
    assert not unknown.known
    assert math.isnan(unknown.tau)
    assert "not known" in str(unknown)
    assert json.loads(json.dumps(unknown.to_dict(), allow_nan=False))["tau"] is None
    assert str(NoiseCeiling.from_dict(unknown.to_dict())) == str(unknown)


@pytest.mark.data
@pytest.mark.slow
def test_both_kinds_of_evidence_agree_on_nasbench201(shared_data: Path) -> None:
    truth = load_benchmark(
        shared_data / "nasbench201.parquet",
        space="nasbench201",
        target="cifar10_validation_accuracy",
        rank_against="cifar10_test_accuracy",
    )
    ceiling = noise_ceiling(truth)
    assert [e.method for e in ceiling.target_estimates] == ["repeats", "twins"]
    repeats, twins = ceiling.target_estimates
    assert repeats.tau == pytest.approx(twins.tau, abs=0.01)
    assert ceiling.tau == pytest.approx(0.952, abs=0.005)
    assert ceiling.target_tau == pytest.approx(0.894, abs=0.001)
    assert ceiling.target_tau < ceiling.through_target < ceiling.tau
