"""The search with several objectives: front, limits, failures, resume, and what makes no sense."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nasx
from nasx.benchmark import load_benchmark
from nasx.hypervolume import hypervolume
from nasx.pareto_result import ParetoResult
from nasx.pareto_search import make_goals, pareto_search
from nasx.predictors import make_predictor
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TREES = make_predictor("trees", trees=10)
QUICK = {"predictor": TREES, "budget": 20, "initial": 10, "batch": 5, "candidates": 150, "seed": 0}


def both(cell: tuple[str, ...]) -> tuple[float, float]:
    """Accuracy and latency: convolutions are good and dear."""
    accuracy = 3.0 * cell.count("nor_conv_3x3") + 2.0 * cell.count("nor_conv_1x1") + cell.count("skip_connect")
    return accuracy, 1.0 + 4.0 * cell.count("nor_conv_3x3") + cell.count("nor_conv_1x1") + 0.5 * cell.count(
        "avg_pool_3x3"
    )


def run(objective: Any = both, objectives: Any = ("accuracy", "latency_ms"), **changes: Any) -> ParetoResult:
    return pareto_search(SPACE, objective, objectives, **(QUICK | changes))


def test_rounds_history_and_front() -> None:
    result = run()
    table = result.history
    assert list(table["round"]) == [0] * 10 + [1] * 5 + [2] * 5
    assert list(table.columns[2:6]) == ["accuracy_predicted", "latency_ms_predicted", "accuracy", "latency_ms"]
    assert table["accuracy_predicted"].isna().sum() == 10
    assert [tuple(row) for row in table[["accuracy", "latency_ms"]].to_numpy()] == [
        both(SPACE.parse(a)) for a in table["architecture"]
    ]
    assert (table["hypervolume_so_far"].diff().dropna() >= 0).all()
    front = result.pareto
    assert (front["accuracy"].diff().dropna() < 0).all()
    assert (front["latency_ms"].diff().dropna() < 0).all()
    losses = table[["accuracy", "latency_ms"]].to_numpy() * [-1, 1]
    assert result.hypervolume == pytest.approx(hypervolume(losses, result.reference))


def test_predictors_find_more_than_chance() -> None:
    guided = run(budget=30, reference={"accuracy": 0.0, "latency_ms": 25.0})
    random = run(budget=30, predictor=None, strategy="random", reference={"accuracy": 0.0, "latency_ms": 25.0})
    assert guided.hypervolume > random.hypervolume


@pytest.mark.parametrize("predictor", [None, TREES], ids=["alone", "trees"])
def test_a_stopped_search_resumes_to_the_same_history(predictor: Any, tmp_path: Path) -> None:
    calls = 0

    def dies(cell: tuple[str, ...]) -> tuple[float, float]:
        nonlocal calls
        calls += 1
        if calls == 13:
            raise KeyboardInterrupt
        return both(cell)

    options = {"predictor": predictor, "storage": tmp_path / "journal.log"}
    with pytest.raises(KeyboardInterrupt):
        run(dies, **options)
    with pytest.raises(UsageError, match="already holds"):
        run(**options)
    with pytest.raises(UsageError, match="other goals"):
        run(**options, limits={"latency_ms": 5.0}, resume=True)
    resumed = run(**options, resume=True).history
    undisturbed = run(predictor=predictor).history
    assert resumed.to_csv() == undisturbed.to_csv()
    grown = run(**options, resume=True, budget=22)
    assert grown.evaluations == 22


def test_another_seed_another_history() -> None:
    assert not run().history.equals(run(seed=1).history)


def test_limits_of_an_objective_and_of_something_else() -> None:
    def three(cell: tuple[str, ...]) -> tuple[float, float, float]:
        return (*both(cell), float(cell.count("none")))

    result = run(three, limits={"latency_ms": 12.0, "emptiness_size": 1.0}, budget=25)
    front = result.pareto
    assert (front["latency_ms"] <= 12.0).all()
    assert (front["emptiness_size"] <= 1.0).all()
    states = result.history["state"]
    over = (result.history["latency_ms"] > 12.0) | (result.history["emptiness_size"] > 1.0)
    assert (states[over] == "over the limit").all()
    assert (states[~over] == "complete").all()


def test_one_objective_and_a_limit() -> None:
    result = run(objectives=["accuracy"], limits={"latency_ms": 8.0}, budget=30)
    table = result.history
    allowed = table[table["latency_ms"] <= 8.0]
    assert len(result.pareto) == 1
    assert result.pareto["accuracy"][0] == allowed["accuracy"].max()
    later, first = table[table["round"] > 0], table[table["round"] == 0]
    assert (later["latency_ms"] <= 8.0).mean() > (first["latency_ms"] <= 8.0).mean()


def test_where_nothing_keeps_the_limits_the_closest_is_named(tmp_path: Path) -> None:
    result = run(limits={"latency_ms": 0.5})
    assert len(result.pareto) == 0
    assert result.hypervolume == 0.0
    closest = result.history["latency_ms"].min()
    assert "keeps latency_ms <= 0.5; closest is |" in str(result.sentence)
    assert f"latency_ms {closest:g}" in str(result.sentence)
    folder = result.save(tmp_path / "run")
    assert json.loads((folder / "summary.json").read_text())["least_violating"] == result.sentence


def test_failed_evaluations_cost_only_themselves() -> None:
    def moody(cell: tuple[str, ...]) -> tuple[float, float]:
        if cell[0] == "none":
            raise RuntimeError("out of memory")
        return both(cell)[0], math.nan if cell[1] == "none" else both(cell)[1]

    result = run(moody, seed=3)
    failed = result.history[result.history["state"] == "failed"]
    assert 0 < len(failed) == result.failed < 20
    assert failed[["accuracy", "latency_ms"]].isna().all(axis=None)
    errors = {evaluation.error for evaluation in result.evaluations_list if evaluation.failed}
    assert errors <= {"RuntimeError: out of memory", "latency_ms is nan"}
    with pytest.raises(NasxError, match="all 20 evaluations failed"):
        run(lambda cell: (math.nan, 1.0))


@pytest.mark.parametrize("answer", [3.0, (1.0,), (1.0, 2.0, 3.0), "high"])
def test_a_wrong_number_of_values_stops_the_search(answer: Any) -> None:
    with pytest.raises(UsageError, match=r"must return.* accuracy, latency_ms"):
        run(lambda cell: answer)


def test_what_is_known_for_nothing_needs_no_predictor() -> None:
    asked: list[int] = []

    def latency(cells: Any) -> Any:
        asked.append(len(cells))
        return np.array([both(cell)[1] for cell in cells])

    result = run(predictor={"accuracy": TREES, "latency_ms": latency})
    later = result.history[result.history["round"] > 0]
    assert (later["latency_ms_predicted"] == later["latency_ms"]).all()
    assert sum(asked) > 100
    assert list(result.kendall_tau) == ["accuracy"]


def test_predictors_that_know_how_sure_they_are_may_be_believed() -> None:
    believed, checked = (run(predictor="gaussian-process", own_deviations=own).history for own in (True, False))
    assert believed["architecture"].is_unique
    assert not believed.equals(checked)


def test_a_benchmark_knows_its_true_front(tmp_path: Path) -> None:
    bench = load_benchmark("nasbench-graph", dataset="cora")
    before = dict(bench.query_counts())
    result = pareto_search(bench.space, bench, ["validation_accuracy", "latency"], **(QUICK | {"rank_all": False}))
    assert before == {}
    assert result.truth is not None
    assert len(result.truth.values) == 10
    assert 0 < result.share < 1  # type: ignore[operator]
    assert result.true_points_found == result.pareto["on_true_front"].sum()
    assert {count.queries for count in bench.query_counts().values()} == {20}
    result.baseline = pareto_search(
        bench.space, bench, ["validation_accuracy", "latency"], **(QUICK | {"predictor": None})
    )
    folder = result.save(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["share_of_true_hypervolume"] == result.share
    assert summary["without_predictors"]["evaluations"] == 20
    assert pd.read_csv(folder / "pareto.csv")["latency"].tolist() == result.pareto["latency"].tolist()
    for picture in ("pareto.png", "hypervolume.png"):
        assert (folder / picture).stat().st_size > 10_000
    loaded = nasx.predictors.load_predictor(folder / "predictor" / "latency")
    graphs = bench.graphs([0, 1])
    assert loaded.predict(graphs).tolist() == result.predictors["latency"].predict(graphs).tolist()  # type: ignore[index]


def test_three_objectives(tmp_path: Path) -> None:
    result = run(lambda cell: (*both(cell), float(cell.count("none"))), ["accuracy", "latency_ms", "size"])
    assert result.hypervolume > 0
    assert result.save(tmp_path).joinpath("pareto.png").stat().st_size > 10_000


@pytest.mark.data
def test_rows_without_a_value_are_left_out(shared_data: Path) -> None:
    bench = load_benchmark(shared_data / "nasbench201.parquet", space="nasbench201")
    names = ["cifar10_test_accuracy", "edgetpu_latency_ms"]
    result = pareto_search(bench.space, bench, names, **(QUICK | {"predictor": None}))
    assert result.failed == 0
    assert result.truth is not None
    assert result.truth.left_out == 4699


@pytest.mark.parametrize(
    ("objectives", "options", "sentence"),
    [
        ([], {}, "no objective"),
        (["accuracy", "accuracy"], {}, "given twice"),
        (["accuracy", "charm"], {}, "not clear from its name"),
        (["accuracy"], {"limits": {"latency_ms": "fast"}}, "no number"),
        (["accuracy"], {"limits": {"latency_ms": math.nan}}, "no number"),
        (["accuracy"], {"directions": {"charm": "maximize"}}, "leave it out"),
        (["accuracy", "charm"], {"directions": {"charm": "up"}}, "maximize"),
    ],
)
def test_goals_that_make_no_sense(objectives: list[str], options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_goals(objectives, **options)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"strategy": "tpe"}, "one objective only; with several there are: nsga2, random"),
        ({"strategy": "nsga3"}, "nsga2"),
        ({"predictor": "tree"}, "trees"),
        ({"predictor": {"accuracy": "trees"}}, "nothing predicts latency_ms"),
        ({"predictor": {"accuracy": "trees", "latency": "trees"}}, "latency_ms"),
        ({"budget": 5}, "smaller than the initial"),
        ({"reference": {"accuracy": 1.0}}, "one value for every objective"),
        ({"exploration": 2.0}, "outside 0 to 1"),
    ],
)
def test_arguments_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(**changes)


def test_unknown_metrics_are_answered_with_what_exists() -> None:
    bench = load_benchmark("nasbench-graph", dataset="cora")
    with pytest.raises(UsageError, match="validation_accuracy"):
        make_goals(["accuracy"], benchmark=bench)
    with pytest.raises(UsageError, match="latency"):
        make_goals(["test_accuracy"], {"latency_ms": 1.0}, benchmark=bench)
