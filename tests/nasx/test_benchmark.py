from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nasx.benchmark import load_benchmark
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import UsageError
from nasx.tables import import_table

SPACE = get_search_space("nasbench201")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    lines = [f"{SPACE.format(SPACE.architecture(index))},{index}.5,{9 - index}" for index in range(6)]
    path.write_text("\n".join(["architecture,accuracy,score", *lines]) + "\n")
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))


def test_by_path_and_by_imported_name(csv: Path) -> None:
    by_path = load_benchmark(csv, space="nasbench201", target="accuracy")
    import_table("mine", csv, "nasbench201")
    by_name = load_benchmark("mine", target="accuracy")
    for bench in (by_path, by_name):
        assert bench.optimum() == (SPACE.architecture(5), 5.5)
        assert bench.query(SPACE.architecture(2)) == 2.5
    assert by_path.table().equals(by_name.table())


def test_directions_can_be_stated(csv: Path) -> None:
    bench = load_benchmark(csv, space=SPACE, target="score", directions={"score": "minimize"})
    assert bench.optimum() == (SPACE.architecture(5), 4.0)
    with pytest.raises(UsageError, match=r"directions="):
        load_benchmark(csv, space=SPACE, target="score")


def test_unknown_things_are_one_sentence(csv: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown benchmark 'nasbench202'.*did you mean 'nasbench201'"):
        load_benchmark("nasbench202")
    with pytest.raises(UsageError, match=r"nasx data get nasbench101"):
        load_benchmark("nasbench101")
    with pytest.raises(UsageError, match=r"path of a .csv or .parquet"):
        load_benchmark("x")
    with pytest.raises(UsageError, match=r"no file"):
        load_benchmark("absent.csv", space="nasbench201")
    with pytest.raises(UsageError, match=r"space="):
        load_benchmark(csv)
    with pytest.raises(UsageError, match=r"unknown search space"):
        load_benchmark(csv, space="nasbench2001")
    with pytest.raises(UsageError, match=r"unknown metric 'acc'"):
        load_benchmark(csv, space="nasbench201", target="acc")
    with pytest.raises(UsageError, match=r"no data sets to choose from; its columns are: accuracy, score"):
        load_benchmark(csv, space="nasbench201", dataset="cifar10")


def test_an_embedded_benchmark_has_its_own_space() -> None:
    assert len(load_benchmark("nasbench-graph", dataset="proteins", space="nasbench-graph-proteins")) == 2021
    with pytest.raises(UsageError, match=r"leave space"):
        load_benchmark("nasbench-graph", dataset="cora", space="nasbench201")


def test_metrics_of_two_data_sets(toy: Any) -> None:
    from nasx import official

    official.import_file("toy", toy.write(Path(os.environ["NASX_DATA"])))
    with pytest.raises(UsageError, match=r"choose one with dataset= \(--dataset\): cifar10, cifar100"):
        load_benchmark("toy")
    assert load_benchmark("toy", dataset="cifar100").target == "test_accuracy_200_epochs_mean"
    bench = load_benchmark(
        "toy",
        target="cifar10/test_accuracy_200_epochs_mean",
        rank_against="cifar100/test_accuracy_200_epochs_seed777",
    )
    assert bench.query(3) - bench.query(3, bench.rank_against) == pytest.approx(20)
