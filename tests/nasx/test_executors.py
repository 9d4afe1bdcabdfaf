"""Executors of other machines: a Dask cluster of two workers, and submitit without Slurm."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nasx.executors import SubmititExecutor, dask_executor, slurm_settings
from nasx.search_loop import search
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.workers import Call, answer


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'nasx[dask]'")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_search_on_a_dask_cluster(cluster: Any) -> None:
    def objective(cell: tuple[str, ...]) -> float:
        time.sleep(0.1)  # long enough for the other worker to get the next one
        if cell[0] == "none":
            raise RuntimeError("no")
        return cell.count("nor_conv_3x3") + 100 * os.getpid()

    with dask_executor(cluster.scheduler_address) as (executor, slots):
        assert slots == 2
        result = search(
            "nasbench201", objective, predictor=None, strategy="random", budget=12, executor=executor, workers=slots
        )
    pids = {round(e.value) // 100 for e in result.evaluations_list if not e.failed}
    assert result.evaluations == 12
    assert os.getpid() not in pids
    assert len(pids) == 2
    assert {e.error for e in result.evaluations_list} <= {None, "RuntimeError: no"}


@pytest.mark.slow
def test_evaluations_of_predictors_on_a_dask_cluster(cluster: Any) -> None:
    from distributed import Client

    from nasx.benchmark import load_benchmark
    from nasx.evaluation import evaluate
    from nasx.predictors import make_predictor

    bench = load_benchmark("nasbench-graph", dataset="proteins")
    options: dict[str, Any] = {"train_sizes": [20], "repeats": 2, "seed": 0, "test_size": 200}
    with Client(cluster):
        there = evaluate(make_predictor("trees", trees=5), bench, n_jobs=2, backend="dask", **options)
    here = evaluate(make_predictor("trees", trees=5), bench, **options)
    columns = ["repeat", "kendall_tau", "test_rows"]
    assert there.table()[columns].equals(here.table()[columns])


def test_no_cluster_there() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'nasx[dask]'")
    with pytest.raises(NasxError, match="no Dask scheduler answers at 'tcp"), dask_executor("tcp://127.0.0.1:1", 0.5):
        pass


@pytest.mark.parametrize("missing", ["distributed", "submitit"])
def test_a_missing_extra_is_one_line(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    made = {
        "distributed": lambda: dask_executor("tcp://x:1").__enter__(),
        "submitit": lambda: SubmititExecutor(tmp_path, {}),
    }
    with pytest.raises(UsageError, match=r"pip install 'nasx\[(dask|slurm)\]'"):
        made[missing]()


def test_slurm_settings() -> None:
    assert slurm_settings("partition=gpu, timeout_min=60,gpus_per_node=1") == {
        "slurm_partition": "gpu", "timeout_min": 60, "gpus_per_node": 1,
    }  # fmt: skip
    assert slurm_settings("cluster=local") == {"cluster": "local"}
    for wrong in ("gpu", "partition=", "=3"):
        with pytest.raises(UsageError, match="is no setting"):
            slurm_settings(wrong)


def test_what_submitit_does_not_know(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'nasx[slurm]'")
    with pytest.raises(UsageError, match="unknown cluster 'pbs'"):
        SubmititExecutor(tmp_path, {"cluster": "pbs"})
    with pytest.raises(UsageError, match="not understood"):
        SubmititExecutor(tmp_path, {"cluster": "local", "mem_gb": "lots", "slurm_nonsense_option": 3})


def test_a_search_through_submitit_in_this_process(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'nasx[slurm]'")

    def objective(cell: tuple[str, ...]) -> float:
        if cell[0] == "none":
            raise RuntimeError("no")
        return cell.count("nor_conv_3x3")

    executor = SubmititExecutor(tmp_path, {"cluster": "debug"}, poll=0.01)
    result = search(
        "nasbench201", objective, predictor=None, strategy="random", budget=10, executor=executor, workers=3
    )
    executor.shutdown()
    assert result.evaluations == 10
    assert {e.error for e in result.evaluations_list} <= {None, "RuntimeError: no"}


@pytest.mark.slow
def test_jobs_of_submitit_and_one_that_dies(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'nasx[slurm]'")
    executor = SubmititExecutor(tmp_path, {"cluster": "local", "timeout_min": 5}, poll=0.05)
    fine, dead = (executor.submit(Call(f), "x") for f in (lambda cell: os.getpid(), lambda cell: os._exit(3)))
    value, reason = answer(dead)
    assert value != value
    assert "the job failed" in str(reason)
    value, reason = answer(fine)
    assert reason is None
    assert round(value) != os.getpid()
    executor.shutdown()
