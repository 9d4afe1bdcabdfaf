from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasx.benchmark import load_benchmark
from nasx.describe import MOST_COLUMNS, SAMPLE, describe
from nasx.metric import Metric
from nasx.metrics import kendall_tau
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark

SPACE = get_search_space("nasbench201")


def toy(rows: int = 400) -> Table:
    rng = np.random.default_rng(0)
    cells = rng.permutation(15_625)[:rows]
    accuracy = rng.normal(80, 5, size=rows).round(1)
    time = rng.exponential(size=rows)
    time[:10] = np.nan
    metrics = [Metric("accuracy", "percent", "maximize"), Metric("seconds", "s", "minimize"), Metric("constant")]
    columns = {"accuracy": accuracy, "seconds": time, "constant": np.ones(rows)}
    return Table("toy", SPACE, cells, columns, {metric.name: metric for metric in metrics}, target="accuracy")


def test_counts_spread_ties_and_correlations() -> None:
    table = toy()
    found = describe(table)
    assert (found.name, found.space, found.space_size, found.rows, found.sampled) == (
        "toy",
        "nasbench201",
        15_625,
        400,
        False,
    )
    keys = SPACE.canonical_keys([SPACE.architecture(int(cell)) for cell in table.architectures])
    counts = pd.Series(keys).value_counts()
    assert (found.functions, found.largest_class) == (len(counts), counts.max())
    assert found.with_twins == counts[counts > 1].sum()
    accuracy, seconds, constant = found.columns
    values = table.columns["accuracy"]
    assert (accuracy.known, seconds.known) == (400, 390)
    assert accuracy.mean == pytest.approx(values.mean())
    assert accuracy.std == pytest.approx(values.std(ddof=1))
    assert accuracy.quantiles[0] == values.min()
    assert accuracy.quantiles[3] == pytest.approx(np.median(values))
    assert accuracy.distinct == len(set(values))
    equal = (values[:, None] == values[None]).sum() - 400
    assert accuracy.tied == pytest.approx(equal / (400 * 399))
    assert (constant.distinct, constant.tied) == (1, 1.0)
    assert found.correlations().loc["seconds", "accuracy"] == pytest.approx(
        kendall_tau(table.columns["seconds"], values)
    )
    assert math.isnan(found.correlations().loc["accuracy", "constant"])


def test_a_table_and_its_benchmark_are_described_alike() -> None:
    assert str(describe(toy())) == str(describe(TabularBenchmark(toy())))
    assert "architectures" in str(describe(toy()))
    assert describe(toy(), metrics=["seconds"]).correlated == ("seconds",)
    with pytest.raises(UsageError, match="unknown metric 'second'"):
        describe(toy(), metrics=["second"])


def test_large_tables_are_sampled_and_say_so() -> None:
    rng = np.random.default_rng(0)
    rows = SAMPLE + 5000
    columns = {"a": rng.normal(size=rows), "b": rng.normal(size=rows)}
    metrics = {name: Metric(name, "", "maximize") for name in columns}
    table = Table("large", get_search_space("nasbench101"), np.arange(rows), columns, metrics)
    found = describe(table)
    assert (found.sampled, found.tau_rows, found.functions) == (True, SAMPLE, rows)
    assert "a random sample" in str(found)
    assert np.array_equal(found.tau, describe(table).tau)


def test_many_columns_are_all_counted_and_the_telling_ones_compared() -> None:
    rng = np.random.default_rng(0)
    metrics = [Metric.of("flops", "", "minimize")] + [
        Metric.of(quantity, "percent", "maximize", dataset=dataset, epochs=epochs, seed=seed)
        for dataset in ("cifar10", "cifar100")
        for quantity in ("train_accuracy", "validation_accuracy", "test_accuracy")
        for epochs in (12, 200)
        for seed in (777, 888, 999, "mean")
    ]
    columns = {metric.name: rng.normal(size=60) for metric in metrics}
    target = "cifar10/validation_accuracy_200_epochs_mean"
    table = Table("many", SPACE, np.arange(60), columns, {metric.name: metric for metric in metrics}, target=target)
    found = describe(table)
    assert len(found.columns) == 49
    assert len(found.correlated) == MOST_COLUMNS
    assert found.correlated[0] == target
    assert all(name.endswith("mean") and "train" not in name for name in found.correlated[:8])
    assert "33 are not shown here" in str(found)
    general = Table("many", SPACE, np.arange(60), columns, table.metrics, target="validation_accuracy_200_epochs_mean")
    assert describe(general).target is None


def test_everything_is_saved(tmp_path: Path) -> None:
    folder = describe(toy()).save(tmp_path / "new")
    assert {path.name for path in folder.iterdir()} == {
        "description.json",
        "columns.csv",
        "correlations.csv",
        "description.png",
    }
    stored = json.loads((folder / "description.json").read_text())
    assert stored["rows"] == 400
    assert stored["kendall_tau"]["matrix"][0][2] is None
    assert pd.read_csv(folder / "columns.csv")["metric"].tolist() == ["accuracy", "seconds", "constant"]
    (tmp_path / "file").write_text("")
    with pytest.raises(NasxError, match="could not be written"):
        describe(toy()).save(tmp_path / "file")


@pytest.mark.data
@pytest.mark.slow
def test_the_real_table(shared_data: Path) -> None:
    found = describe(load_benchmark(shared_data / "nasbench201.parquet", space="nasbench201"))
    assert (found.rows, found.functions) == (15_625, 8_765)
    assert found.target is None
    tau = found.correlations()
    assert tau.loc["cifar10_validation_accuracy", "cifar10_test_accuracy"] == pytest.approx(0.894, abs=0.001)
