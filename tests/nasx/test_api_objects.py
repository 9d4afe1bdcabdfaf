from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nasx
from nasx import official_nasbench101, official_nasbench201
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Table
from tests.nasx.miniature_nasbench101 import runs_of, write
from tests.nasx.miniature_nasbench201 import contents, nats_contents, write_nats, write_pth


class Spec101:
    """What ``nasbench.api.NASBench`` holds after it read a file: two dictionaries by hash."""

    def __init__(self, runs: Any) -> None:
        self.fixed_statistics: dict[str, Any] = {}
        self.computed_statistics: dict[str, Any] = {}
        for run in runs:
            nodes = int(len(run.adjacency) ** 0.5)
            self.fixed_statistics[run.module_hash] = {
                "module_adjacency": np.array([int(digit) for digit in run.adjacency]).reshape(nodes, nodes),
                "module_operations": run.operations.split(","),
                "trainable_parameters": run.parameters,
            }
            measured = {}
            for stage, values in zip(("halfway", "final"), run.evaluations[1:], strict=True):
                names = ("training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
                measured |= {f"{stage}_{name}": value for name, value in zip(names, values[1:], strict=True)}
            of_cell = self.computed_statistics.setdefault(run.module_hash, {})
            of_cell.setdefault(run.epochs, []).append(measured)

    def get_metrics_from_hash(self, module_hash: str) -> Any:
        return self.fixed_statistics[module_hash], self.computed_statistics[module_hash]


def compare(api: Any, table: Table) -> None:
    """Every value of the file's table, asked of the object one by one and as columns."""
    for dataset in table.datasets or (None,):
        bench = nasx.load_benchmark(api, dataset=dataset)
        one = table.select(dataset) if dataset else table
        assert bench.target == one.target
        assert bench.space.name == one.space.name
        cells = [one.space.architecture(int(index)) for index in one.architectures]
        assert bench.architectures() == cells
        for name, metric in one.metrics.items():
            assert bench.metrics[name] == metric
            for cell, value in zip(cells, one.columns[name], strict=True):
                if np.isnan(value):
                    with pytest.raises(NasxError, match=rf"has no {name} of"):
                        bench.query(cell, metric.quantity, epochs=metric.epochs, seed=metric.seed)
                else:
                    asked = bench.query(cell, metric.quantity, epochs=metric.epochs, seed=metric.seed)
                    assert asked == pytest.approx(value, rel=1e-12)
            np.testing.assert_allclose(bench.values(metric=name), one.columns[name], rtol=1e-12)


def test_nasbench101_object_and_file_agree(tmp_path: Path) -> None:
    runs = list(runs_of([5, 900, 77], epochs=(4, 108)))
    table = official_nasbench101.read(write(tmp_path / "nasbench_full.tfrecord", runs))
    compare(Spec101(runs), table)


def test_an_object_is_ground_truth_like_any_other() -> None:
    bench = nasx.load_benchmark(Spec101(runs_of(range(40))), target="test_accuracy_108_epochs_seed1", budget=3)
    report = nasx.evaluate("trees", bench, train_sizes=20, repeats=1)
    assert report.table().test_rows[0] == 20
    with pytest.raises(NasxError, match=r"none of the architectures drawn from nasbench101 is among the 40"):
        nasx.search(bench.space, bench, predictor=None, budget=2)


@pytest.mark.parametrize("version", ["v1_0", "v1_1"])
def test_nasbench201_object_and_file_agree(tmp_path: Path, version: str) -> None:
    package = pytest.importorskip("nas_201_api", reason="pip install nas-bench-201")
    infos = contents(3, version)
    table = official_nasbench201.read(write_pth(tmp_path, infos, version))
    compare(package.NASBench201API(infos, verbose=False), table)


@pytest.mark.parametrize("fast", [False, True])
def test_nats_bench_object_and_folder_agree(tmp_path: Path, fast: bool, capsys: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("nats_bench", reason="pip install nats-bench")
    folder = write_nats(tmp_path, nats_contents(3))
    table = official_nasbench201.read_nats(folder)
    api = package.create(str(folder) if fast else nats_contents(3), "topology", fast_mode=fast, verbose=False)
    api.verbose = True
    compare(api, table)
    assert api.verbose
    assert "Call the" not in capsys.readouterr().out


def test_other_objects_are_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"an object of type SimpleNamespace is no benchmark; give a name"):
        nasx.load_benchmark(SimpleNamespace())
    empty = Spec101(islice(runs_of([1]), 0))
    with pytest.raises(UsageError, match=r"holds no cell"):
        nasx.load_benchmark(empty)
    sizes = SimpleNamespace(get_more_info=1, get_cost_info=1, query_index_by_arch=1, search_space_name="size")
    with pytest.raises(UsageError, match=r"of the space 'size', which nasx does not read"):
        nasx.load_benchmark(sizes)
