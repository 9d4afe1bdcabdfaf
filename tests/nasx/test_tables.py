from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nasx import tables
from nasx.benchmark import load_benchmark
from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph

SPACE = get_search_space("nasbench201")
CELLS = [SPACE.format(SPACE.architecture(index)) for index in (7, 3, 11)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))


def write(folder: Path, suffix: str = ".csv", **columns: object) -> Path:
    frame = pd.DataFrame({"architecture": CELLS, **columns})
    path = folder / f"mine{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_rows_keep_their_order_and_missing_values_are_counted(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, suffix, accuracy=[90.0, None, 92.5], latency_ms=[1, 2, 3], index=[7, 3, 11])
    table = tables.read_table(path, "nasbench201")
    assert table.name == path.name
    assert np.array_equal(table.architectures, [7, 3, 11])
    assert np.array_equal(table.columns["accuracy"], [90.0, np.nan, 92.5], equal_nan=True)
    assert list(table.columns) == ["accuracy", "latency_ms"]
    assert table.missing == {"accuracy": 1, "latency_ms": 0}
    assert table.metrics["accuracy"] == Metric("accuracy", "percent", "maximize")
    assert repr(table) == f"{path.name}: 3 architectures of nasbench201; accuracy (1 missing), latency_ms"


def test_an_index_of_pandas_is_no_metric_and_an_architecture_may_be_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"architecture": CELLS, "accuracy": [1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "a.csv")
    frame.set_index("architecture").to_parquet(tmp_path / "b.parquet")
    frame.set_index(np.array([5, 6, 9])).to_parquet(tmp_path / "c.parquet")
    for name in ("a.csv", "b.parquet", "c.parquet"):
        assert list(tables.read_table(tmp_path / name, SPACE).columns) == ["accuracy"], name


def test_imported_and_opened_again(tmp_path: Path) -> None:
    path = write(tmp_path, accuracy=[90.0, np.nan, 92.0], score=[1.0, 2.0, 3.0])
    tables.import_table("mine", path, SPACE, directions={"score": "minimize"})
    path.unlink()
    assert list(tables.imported()) == ["mine"]
    table = tables.open_table("mine")
    assert np.array_equal(table.architectures, [7, 3, 11])
    assert table.metrics["score"].direction == "minimize"
    bench = load_benchmark("mine", target="score", rank_against="accuracy")
    assert bench.optimum() == (SPACE.architecture(7), 1.0)
    listed = {row["name"]: row for row in tables.list_data()}
    assert listed["mine"]["contents"] == "nasbench201: accuracy, score"
    assert listed["mine"]["rows"] == 3
    assert {"nasbench201", "nasbench-graph"} < listed.keys()
    assert len({tuple(row) for row in tables.list_data()}) == 1


def test_a_table_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path, accuracy=[1.0, 2.0, 3.0])
    tables.import_table("mine", path, SPACE)
    with pytest.raises(UsageError, match="exists"):
        tables.import_table("mine", path, SPACE)
    write(tmp_path, accuracy=[4.0, 5.0, 6.0])
    tables.import_table("mine", path, SPACE, replace=True)
    assert load_benchmark("mine").optimum()[1] == 6.0


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b", "x.csv", "nasbench201"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"name"):
        tables.import_table(name, write(tmp_path, accuracy=[1.0, 2.0, 3.0]), SPACE)


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf, 2.0], r"column 'accuracy', row 2 of mine.*infinite"),
        ([1.0, -np.inf, 2.0], r"column 'accuracy', row 2 of mine.*infinite"),
        (["1.0", "2.0", "n.b."], r"column 'accuracy', row 3 of mine.*'n\.b\.' is not a number"),
        ([True, False, True], r"column 'accuracy', row 1 of mine.*'True' is not a number"),
        ([np.nan, np.nan, np.nan], r"column 'accuracy' of mine.*no number at all"),
        (pd.to_datetime(["2020-01-01"] * 3), r"column 'accuracy', row 1 of mine.*not a number"),
    ],
)
def test_what_is_not_a_finite_number(tmp_path: Path, suffix: str, values: list, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tables.read_table(write(tmp_path, suffix, latency=[1, 2, 3], accuracy=values), SPACE)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        tables.read_table(tmp_path / "absent.csv", SPACE)
    with pytest.raises(UsageError, match=r"a table is a \.csv or a \.parquet file"):
        tables.read_table(tmp_path / "table.xlsx", SPACE)
    with pytest.raises(UsageError, match="no metric columns"):
        tables.read_table(write(tmp_path), SPACE)
    (tmp_path / "empty.csv").write_text("architecture,accuracy\n")
    with pytest.raises(UsageError, match="no rows"):
        tables.read_table(tmp_path / "empty.csv", SPACE)
    whole = write(tmp_path, ".parquet", accuracy=[1.0, 2.0, 3.0]).read_bytes()
    for name, content in [
        ("a.parquet", whole[:-30]),
        ("b.parquet", b"architecture,accuracy\n"),
        ("c.parquet", b""),
        ("d.csv", whole),
        ("e.csv", b""),
        ("f.csv", b'architecture,accuracy\n"unfinished,1\n'),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NasxError, match="cannot be read as a"):
            tables.read_table(tmp_path / name, SPACE)


def test_a_table_of_another_space(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"row 1 of mine\.csv: "):
        tables.read_table(write(tmp_path, accuracy=[1.0, 2.0, 3.0]), "nasbench101")


def test_a_space_of_the_users_own(tmp_path: Path) -> None:
    space = ChoiceSpace("own", {"a": ["x", "y"]}, lambda chosen: Graph(["input"], [[0]]))
    (tmp_path / "t.csv").write_text("architecture,loss\na=y,1\na=x,2\n")
    tables.import_table("own-table", tmp_path / "t.csv", space)
    assert load_benchmark("own-table", space=space).optimum() == (("y",), 1.0)
    with pytest.raises(UsageError, match="belongs to the space 'own', which is your own"):
        load_benchmark("own-table")
    with pytest.raises(NasxError, match="not to 'nasbench201'"):
        load_benchmark("own-table", space="nasbench201")


def test_a_space_of_the_users_own_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_space_module.py").write_text(
        "import nasx\n"
        "def make():\n"
        "    return nasx.ChoiceSpace('own', {'a': ['x', 'y']}, lambda chosen: nasx.Graph([chosen['a']], [[0]]))\n"
    )
    (tmp_path / "t.csv").write_text("architecture,loss\na=y,1\na=x,2\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        tables.import_table("addressed", tmp_path / "t.csv", "own_space_module:make")
        assert load_benchmark("addressed").optimum() == (("y",), 1.0)
    monkeypatch.delitem(sys.modules, "own_space_module")
    with pytest.raises(UsageError, match=r"imported with the space 'own_space_module:make', which is not found now"):
        load_benchmark("addressed")


def test_a_damaged_import_is_listed_and_refused(tmp_path: Path) -> None:
    tables.import_table("mine", write(tmp_path, accuracy=[1.0, 2.0, 3.0]), SPACE)
    tables.imported()["mine"].write_bytes(b"PAR1")
    assert "damaged" in next(row for row in tables.list_data() if row["name"] == "mine")["present"]
    with pytest.raises(NasxError, match="import the table again"):
        tables.open_table("mine")


def test_unknown_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown imported table 'x'; known: none"):
        tables.open_table("x")


@pytest.mark.data
def test_the_real_table_of_nasbench201(shared_data: Path) -> None:
    table = tables.import_table("nb201", shared_data / "nasbench201.parquet", "nasbench201")
    assert len(table) == 15_625
    assert table.missing["edgetpu_latency_ms"] == 4_699
    frame = pd.read_parquet(shared_data / "nasbench201.parquet")
    bench = load_benchmark("nb201", target="cifar10_validation_accuracy", rank_against="cifar10_test_accuracy")
    assert bench.formatted([0, 1, 77]) == frame["architecture"][[0, 1, 77]].tolist()
    assert np.array_equal(bench.values(metric="cifar100_test_accuracy"), frame["cifar100_test_accuracy"].astype(float))
    assert round(bench.optimum("cifar10_test_accuracy")[1], 2) == 94.37
    assert bench.query(frame["architecture"][5]) == frame["cifar10_validation_accuracy"][5]


@pytest.mark.data
@pytest.mark.slow
def test_the_real_table_of_nasbench101(shared_data: Path) -> None:
    start = time.perf_counter()
    table = tables.import_table("nb101", shared_data / "nasbench101.parquet", "nasbench101")
    assert time.perf_counter() - start < 300  # a guard against a loop that takes minutes, not a measurement
    assert len(set(table.architectures.tolist())) == 423_624
    assert table.missing["validation_accuracy_best_of_3"] == 393_623
    frame = pd.read_parquet(shared_data / "nasbench101.parquet")
    bench = load_benchmark("nb101", target="test_accuracy")
    rows = np.random.default_rng(0).integers(len(bench), size=50)
    for row, cell in zip(rows, bench.architectures(rows), strict=True):
        assert bench.space.module_hash(cell) == frame["module_hash"][row]  # type: ignore[attr-defined]
        assert bench.query(cell) == frame["test_accuracy"][row]
    assert round(bench.optimum()[1], 5) == 0.94318
