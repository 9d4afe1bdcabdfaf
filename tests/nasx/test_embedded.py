from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from nasx import embedded
from nasx.benchmark import load_benchmark
from nasx.metrics import kendall_tau
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.unpickle import NUMPY_FLOATS, load_pickle

needs_analog = pytest.mark.skipif(
    importlib.util.find_spec("analognasbench") is None,
    reason='analog-nasbench is not installed; type: pip install "nasx[nasbench201]"',
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature nas-bench-graph that takes the place of the installed one; returns its file for ``cora``."""
    file = tmp_path / "site" / "nas_bench_graph" / "light" / "cora.bench"
    file.parent.mkdir(parents=True)
    (file.parent.parent / "__init__.py").write_text("raise RuntimeError('the package was imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("NASX_DATA", str(tmp_path / "cache"))
    write(file, {10000: 0.75, 0: 0.5})
    return file


def write(file: Path, rows: dict) -> None:
    entry = {"perf": np.float64(0.4), "latency": 0.01, "para": np.float64(1.5)}
    file.write_bytes(pickle.dumps({key: {"valid_perf": value, **entry} for key, value in rows.items()}, protocol=3))


def test_a_package_is_read_without_being_imported(package: Path) -> None:
    table = embedded.load("nasbench-graph", "cora")
    assert len(table) == 2
    assert table.columns["validation_accuracy"].tolist() == [0.5, 0.75]
    assert table.columns["parameters"].tolist() == [1.5, 1.5]
    assert {name: metric.direction for name, metric in table.metrics.items()} == {
        "validation_accuracy": "maximize",
        "test_accuracy": "maximize",
        "latency": "minimize",
        "parameters": "minimize",
    }


def test_the_second_opening_comes_from_the_cache(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embedded.load("nasbench-graph", "cora")
    monkeypatch.setattr(embedded, "load_pickle", None)
    second = embedded.load("nasbench-graph", "cora")
    assert repr(second) == repr(first)
    assert np.array_equal(second.architectures, first.architectures)


def test_a_stale_or_broken_cache_is_made_again(package: Path, tmp_path: Path) -> None:
    embedded.load("nasbench-graph", "cora")
    write(package, {0: 0.9})
    assert embedded.load("nasbench-graph", "cora").columns["validation_accuracy"].tolist() == [0.9]
    (cached,) = (tmp_path / "cache").rglob("*.safetensors")
    cached.write_bytes(cached.read_bytes()[:-10])
    assert len(embedded.load("nasbench-graph", "cora")) == 1


def test_a_cache_that_cannot_be_written_is_not_fatal(package: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(embedded.load("nasbench-graph", "cora")) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps({}),
        pickle.dumps({0: {"valid_perf": 0.5}}),
        pickle.dumps({0: {"valid_perf": float("inf"), "perf": 1.0, "latency": 1.0, "para": 1.0}}),
        pickle.dumps({99: {"valid_perf": 0.5, "perf": 1.0, "latency": 1.0, "para": 1.0}}),
        pickle.dumps({"x": {"valid_perf": 0.5, "perf": 1.0, "latency": 1.0, "para": 1.0}}),
        pickle.dumps({0: {"valid_perf": Path("."), "perf": 1.0, "latency": 1.0, "para": 1.0}}),
    ],
)
def test_a_damaged_package_is_one_sentence(package: Path, content: bytes) -> None:
    package.write_bytes(content)
    with pytest.raises(NasxError, match=r"nas-bench-graph|nasbench-graph"):
        embedded.load("nasbench-graph", "cora")


def test_an_absent_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'type: pip install "nasx\[nasbench201\]"'):
        embedded.load("nasbench201")


def test_datasets_are_chosen_not_guessed() -> None:
    with pytest.raises(UsageError, match=r"choose one with dataset= \(--dataset\): cora, citeseer"):
        embedded.load("nasbench-graph")
    with pytest.raises(UsageError, match=r"unknown data set of nasbench201 'imagenet'; known: cifar10; .*data import"):
        embedded.load("nasbench201", "imagenet")
    with pytest.raises(UsageError, match="did you mean 'cora'"):
        embedded.load("nasbench-graph", "kora")


@pytest.mark.parametrize(("dataset", "rows", "best"), [("cora", 26_206, 0.8193), ("proteins", 2_021, 0.8533)])
def test_the_real_nasbench_graph(dataset: str, rows: int, best: float) -> None:
    bench = load_benchmark("nasbench-graph", dataset=dataset)
    assert len(bench) == bench.space.size == rows
    assert bench.target == "validation_accuracy"
    architecture, value = bench.optimum()
    assert round(value, 4) == best
    assert bench.query(bench.space.format(architecture)) == value


def test_the_package_itself_gives_the_same_answers() -> None:
    path = embedded.PACKAGES["nasbench-graph"].path("cora")
    assert path is not None
    spec = importlib.util.spec_from_file_location("_arch_of_nas_bench_graph", path.parents[1] / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    raw = load_pickle(path, NUMPY_FLOATS, kind="the table")
    bench = load_benchmark("nasbench-graph", dataset="cora")
    rng = np.random.default_rng(0)
    for _ in range(300):
        links = [int(rng.integers(place + 1)) for place in range(4)]
        operations = [package.gnn_list[rng.integers(8)], *(package.gnn_list[rng.integers(9)] for _ in range(3))]
        text = f"{','.join(map(str, links))}|{','.join(operations)}"
        row = raw[package.Arch(links, operations).valid_hash()]
        assert bench.query(text) == row["valid_perf"]
        assert bench.query(text, "parameters") == row["para"]


@needs_analog
def test_the_real_nasbench201() -> None:
    bench = load_benchmark("nasbench201")
    assert (bench.dataset, bench.target, bench.direction, len(bench)) == (
        "cifar10",
        "test_accuracy",
        "maximize",
        15_625,
    )
    architecture, value = bench.optimum()
    assert bench.space.format(architecture) == (
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    )
    assert value == 94.0664
    assert all(metric.unit == "percent" for metric in bench.metrics.values())
    assert bench.query("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|") == 10.0


@needs_analog
@pytest.mark.data
def test_the_edges_are_in_the_right_order(shared_data: Path) -> None:
    official = load_benchmark(shared_data / "nasbench201.parquet", space="nasbench201", target="cifar10_test_accuracy")
    mine = load_benchmark("nasbench201")
    assert kendall_tau(mine.values(official.architectures()), official.values()) > 0.92
