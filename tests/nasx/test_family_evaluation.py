"""Evaluations by family of networks, and of predictors adapted from one device to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nasx.benchmark import Benchmark, load_benchmark
from nasx.cli import app
from nasx.evaluation import evaluate
from nasx.evaluation_report import EvaluationReport
from nasx.family_report import by_family, family_tables, over_families
from nasx.metrics import relative_errors
from nasx.network_store import write_networks
from nasx.predictors import make_predictor
from nasx.published_latency import PUBLISHED, published_latency
from nasx.report import compare, write_report
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.packed_graphs import PackedGraphs

FAMILIES = {"chain": "Relu", "pool": "MaxPool", "conv": "Conv"}
EACH = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 chains of layers of three families, with the latencies of two devices and an accuracy."""
    graphs, macs = [], []
    for operation in FAMILIES.values():
        for number in range(EACH):
            count, cost = 2 + number % 4, 1000.0 * (1 + number)
            labels = ["input", *[operation] * count, "output"]
            table = [[0.0]] + [[cost]] * count + [[0.0]]
            edges = [(node, node + 1) for node in range(count + 1)]
            graphs.append(Graph.from_edges(labels, edges, {"macs": cost * count}, table, ["macs"]))
            macs.append(cost * count)
    families = [name for name in FAMILIES for _ in range(EACH)]
    slow = np.array(macs) / 1000
    fast = slow / np.where(np.array(families) == "conv", 8, 4)
    fast[3] = np.nan
    columns = {"slow_latency_ms": slow, "fast_latency_ms": fast, "accuracy": 90 - slow / 100}
    names = [f"{family}_{number}" for number, family in enumerate(families)]
    path = tmp_path_factory.mktemp("networks") / "mine"
    return write_networks(path, names, PackedGraphs.from_graphs(graphs), columns, families)


@pytest.fixture(scope="module")
def bench(folder: Path) -> Benchmark:
    return load_benchmark(folder, target="slow_latency_ms")


def trees() -> Any:
    return make_predictor("trees", trees=20)


def test_relative_errors_are_those_of_the_literature() -> None:
    found = relative_errors([1.1, 2.0, 3.2, np.nan], [1.0, 2.0, 4.0, 5.0])
    assert found["mape_percent"] == pytest.approx((10 + 0 + 20) / 3)
    assert found["acc_10_percent"] == pytest.approx(200 / 3)  # the edge counts
    assert found["acc_5_percent"] == pytest.approx(100 / 3)
    assert np.isnan(relative_errors([], [])["mape_percent"])
    with pytest.raises(UsageError, match="positive values"):
        relative_errors([1.0], [0.0])


def test_in_domain_gives_all_and_every_family(bench: Benchmark, tmp_path: Path) -> None:
    report = evaluate({"trees": trees()}, bench, split="in-domain", repeats=2, out=tmp_path)
    table = report.table()
    assert table["family"].tolist() == ["all", "chain", "pool", "conv"] * 2
    assert table["train_rows"].unique().tolist() == [54]
    assert table["test_rows"].tolist() == [6, 2, 2, 2] * 2
    assert table["split"].nunique() == 1  # all that may train do, so that repeats differ by the seed of the trees
    summary = report.summary().iloc[0]
    together = table[table["family"] == "all"]
    assert (summary.repeats, summary.train_size) == (2, 54)
    assert summary.mape_percent_mean == pytest.approx(together["mape_percent"].mean())
    assert 0 <= summary.acc_10_percent_mean <= 100
    assert summary.mape_percent_mean_low <= summary.mape_percent_mean <= summary.mape_percent_mean_high
    families = report.families()
    assert families["family"].tolist() == ["chain", "pool", "conv", "average", "all"]
    assert (tmp_path / "families.csv").exists()
    again = EvaluationReport.load(tmp_path)
    assert again.table().equals(table)
    assert len(evaluate({"trees": trees()}, bench, split="in-domain", repeats=2, out=tmp_path)) == len(report)


def test_every_family_is_left_out_in_turn(bench: Benchmark, tmp_path: Path) -> None:
    report = evaluate({"trees": trees()}, bench, split="leave-one-family-out", repeats=2, train_sizes=["all", 12])
    table = report.table()
    assert len(table) == 2 * 2 * 3
    assert table[["train_size", "train_rows"]].drop_duplicates().to_numpy().tolist() == [[12, 12], [40, 40]]
    summary = report.summary()
    assert summary["repeats"].tolist() == [2, 2]
    assert summary["test_rows"].tolist() == [60, 60]
    part = table[table["train_size"] == 40]
    per_repeat = part.groupby("repeat")["mape_percent"].mean()
    assert summary.set_index("train_size").loc[40, "mape_percent_std"] == pytest.approx(per_repeat.std())
    assert report.families()["family"].tolist() == ["chain", "pool", "conv", "average"] * 2
    assert len(report.pairs["mine", "trees", 40][0]) == 60
    report.save(tmp_path / "run")
    (comparison,) = compare([tmp_path / "run"])
    mape = comparison.by_family[0]
    assert mape.rows[0] == ["family", "trees, 40", "trees, 12"] or mape.rows[0] == ["family", "trees, 12", "trees, 40"]
    assert [row[0] for row in mape.rows[1:]] == ["chain", "pool", "conv", "average"]
    write_report([tmp_path / "run"], tmp_path / "report")
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert "### Acc(10 %), %" in markdown
    assert "![Predicted against measured values of test networks.](scatter-1.png)" in markdown
    assert "(learning-curve-1.png)" in markdown
    single = evaluate({"trees": trees()}, bench, split="in-domain", train_sizes=40, repeats=1)
    files = write_report([single.save(tmp_path / "single")], tmp_path / "one size")
    assert [path.name for path in files if path.suffix == ".png"] == ["scatter-1.png"]


def test_metrics_that_are_no_durations_have_no_relative_errors(bench: Benchmark) -> None:
    report = evaluate({"trees": trees()}, bench, target="accuracy", split="in-domain", repeats=1)
    assert "mape_percent" not in report.table()
    assert "kendall_tau" in report.families()


def test_sizes_and_families_that_are_not_there(bench: Benchmark) -> None:
    with pytest.raises(UsageError, match="at most 54 may train; type all"):
        evaluate(trees(), bench, split="in-domain", train_sizes=55)
    with pytest.raises(UsageError, match="belong to no families"):
        evaluate(trees(), load_benchmark("nasbench-graph", dataset="proteins"), split="in-domain")


def test_a_few_measurements_adapt_a_predictor_of_another_device(bench: Benchmark) -> None:
    report = evaluate(
        {"trees": trees()}, bench, target="fast_latency_ms", adapt_from="slow_latency_ms", split="in-domain",
        train_sizes=[3, 9], repeats=2,
    )  # fmt: skip
    summary = report.summary().set_index(["predictor", "train_size"])["mape_percent_mean"]
    assert {name for name, _ in summary.index} == {"trees, alone", "trees, not adapted", "trees, adapted"}
    assert summary["trees, not adapted", 9] > 100
    assert summary["trees, adapted", 9] < min(summary["trees, alone", 9], summary["trees, not adapted", 9])
    assert report.table().groupby(["train_size", "repeat"])["split"].nunique().max() == 1
    assert report.config["benchmarks"]["mine"]["adapted_from"] == "slow_latency_ms"
    assert report.config["benchmarks"]["mine"]["source_size"] == 54


def test_adapting_needs_another_metric_and_enough_rows(bench: Benchmark) -> None:
    for options, sentence in (
        ({"adapt_from": "slow_latency_ms"}, "is the target itself"),
        ({"adapt_from": "fast_latency_ms", "source_size": 10, "train_sizes": 11}, "more than the 10"),
        ({"adapt_from": "nothing"}, "unknown metric 'nothing'"),
    ):
        with pytest.raises(UsageError, match=sentence):
            evaluate(trees(), bench, target="slow_latency_ms", split="in-domain", **options)


def test_source_rows_are_never_tested_on(bench: Benchmark) -> None:
    from nasx.evaluation_task import Source, Task
    from nasx.splits import Uniform

    source = Source("slow_latency_ms", bench.values(metric="slow_latency_ms"), "minimize", 20)
    task = Task.of(bench, "fast_latency_ms", "fast_latency_ms", Uniform(), source=source)
    small, large = (task.split(size, 0, 0) for size in (3, 6))
    assert small.source is not None
    assert set(small.train) < set(large.train) < set(small.source.tolist())
    assert not set(small.source.tolist()) & set(small.test.tolist())
    assert small.fingerprint != large.fingerprint
    assert 3 not in small.test  # not measured on the other device


def test_published_tables_are_complete() -> None:
    rows = {(row.predictor, row.family): row.values for row in published_latency("leave-one-family-out")}
    average = np.mean(
        [v["mape_percent"] for (name, family), v in rows.items() if name == "NNLP" and family != "average"]
    )
    assert average == pytest.approx(rows["NNLP", "average"]["mape_percent"], abs=0.01)
    assert rows["NAR-Former V2", "average"] == {"mape_percent": 10.55, "acc_10_percent": 62.7}
    assert len({row.source for row in PUBLISHED}) == 4


def test_published_figures_become_columns() -> None:
    frame = pd.DataFrame({
        "benchmark": "nnlqp", "predictor": "trees", "train_size": 18000, "seed": 0, "repeat": 0,
        "family": ["vgg16", "all"], "test_rows": 200, "mape_percent": [5.0, 4.0],
    })  # fmt: skip
    table = family_tables(by_family(frame), published_latency("in-domain"))[0]
    assert table.rows[0] == ["family", "trees", *(f"{n}, published" for n in ("NAR-Former", "NNLP", "NAR-Former V2"))]
    assert table.rows[1] == ["vgg16", "5.00", "23.64", "3.73", "3.51"]
    assert table.rows[-1] == ["all", "4.00", "22.37", "3.47", "3.07"]
    assert over_families(frame)["mape_percent"].tolist() == [4.0]


def test_networks_without_a_measurement_are_counted(folder: Path) -> None:
    options = ["--target", "fast_latency_ms", "--split", "in-domain", "--predictor", "trees", "--repeats", "1"]
    result = CliRunner().invoke(app, ["evaluate", "--benchmark", str(folder), *options, "--train-size", "9"])
    assert result.exit_code == 0, result.output
    assert "1 of the 60 architectures of mine have no fast_latency_ms and are left out" in result.output


def test_from_the_command_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    options = ["--target", "slow_latency_ms", "--split", "leave-one-family-out", "--predictor", "trees"]
    result = CliRunner().invoke(app, ["evaluate", "--benchmark", str(folder), *options, "--repeats", "1"])
    assert result.exit_code == 0, result.output
    for word in ("MAPE, %", "Acc(10 %), %", "average", "a family that it was not trained on"):
        assert word in result.output
