"""Several workers and several objectives: rows of values come back from threads and processes, and from the dead."""

from __future__ import annotations

import itertools
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

import nasx
from nasx.pareto_result import ParetoResult
from nasx.pareto_search import pareto_search
from nasx.predictors import make_predictor
from nasx.search_loop import Progress
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.storages import open_storage

SPACE = NASBench201()
TREES = make_predictor("trees", trees=10)
NAMES = ["accuracy", "latency_ms"]


def both(cell: tuple[str, ...]) -> tuple[float, float]:
    return 3.0 * cell.count("nor_conv_3x3") + cell.count("skip_connect"), 1.0 + 4.0 * cell.count("nor_conv_3x3")


def parallel(objective: Any = both, **changes: Any) -> ParetoResult:
    settings: dict[str, Any] = {"predictor": TREES, "budget": 20, "initial": 8, "batch": 6, "candidates": 150}
    with ThreadPoolExecutor(3) as threads:
        return pareto_search(SPACE, objective, NAMES, **settings | {"executor": threads} | changes)


def check_history(result: ParetoResult, evaluations: int = 20) -> None:
    table = result.history
    assert len(table) == evaluations
    assert table["architecture"].is_unique
    fine = table[table["state"] != "failed"]
    assert [tuple(row) for row in fine[NAMES].to_numpy()] == [both(SPACE.parse(a)) for a in fine["architecture"]]


@pytest.mark.parametrize("options", [{"predictor": None}, {"predictor": None, "strategy": "random"}, {}])
def test_workers_evaluate_at_once(options: dict[str, Any]) -> None:
    calls, together = itertools.count(), threading.Barrier(3, timeout=60)

    def objective(cell: tuple[str, ...]) -> dict[str, float]:
        if next(calls) < 3:
            together.wait()
        return dict(zip(NAMES, both(cell), strict=True))

    result = parallel(objective, **options)
    assert not together.broken
    check_history(result)
    if not options:
        assert set(result.history["round"]) >= {0, 1}
        assert result.history["latency_ms_predicted"].notna().sum() == 12
        assert set(result.predictors or {}) == set(NAMES)


def test_the_initial_sample_is_that_of_one_process() -> None:
    alone = pareto_search(SPACE, both, NAMES, predictor=TREES, budget=8, initial=8, batch=6)
    assert set(parallel(budget=8).history["architecture"]) == set(alone.history["architecture"])


def test_processes_that_die_hang_or_raise_cost_one_evaluation_each(tmp_path: Path) -> None:
    def first(name: str) -> bool:
        try:
            (tmp_path / name).mkdir()
        except FileExistsError:
            return False
        return True

    def moody(cell: tuple[str, ...]) -> tuple[float, float]:
        if first("death"):
            os._exit(3)
        if first("sleep"):
            time.sleep(600)
        if first("error"):
            raise RuntimeError("out of memory")
        return both(cell)

    options = {"executor": None, "workers": 2, "timeout": 1.0, "budget": 8, "limits": {"latency_ms": 12.0}}
    result = parallel(moody, **options, predictor=None)
    check_history(result, 8)
    assert sorted(str(evaluation.error) for evaluation in result.evaluations_list if evaluation.failed) == [
        "RuntimeError: out of memory",
        "no answer within 1 s; its process was ended",
        "the worker process ended with exit code 3",
    ]


def test_an_interrupted_search_goes_on_where_it_was(tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    def stop(state: Progress) -> None:
        if state.done >= 10:
            raise KeyboardInterrupt

    def objective(cell: tuple[str, ...]) -> tuple[float, float]:
        calls.append(cell)
        return both(cell)

    journal = tmp_path / "journal.log"
    with pytest.raises(KeyboardInterrupt):
        parallel(objective, storage=journal, progress=stop)
    with pytest.raises(UsageError, match="already holds a study"):
        parallel(storage=journal)
    with pytest.raises(UsageError, match="begun by several workers"):
        pareto_search(SPACE, both, NAMES, predictor=TREES, budget=20, storage=journal, resume=True)
    with pytest.raises(UsageError, match="other goals or limits"):
        parallel(storage=journal, resume=True, limits={"latency_ms": 9.0})
    with pytest.raises(UsageError, match="was started with batch 6"):
        parallel(objective, storage=journal, resume=True, batch=5)
    done = len(calls)
    result = parallel(objective, storage=journal, resume=True)
    check_history(result)
    assert len(set(calls)) == 20
    assert len(calls) - done <= 10 + 3  # what was under way may have been evaluated twice, what was recorded never


def test_a_search_of_one_process_is_not_continued_by_workers(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    pareto_search(SPACE, both, NAMES, predictor=None, budget=3, storage=journal)
    with pytest.raises(UsageError, match="a search of one process"):
        parallel(storage=journal, resume=True)


@pytest.mark.parametrize("place", [{}, {"executor": None, "workers": 2}], ids=["threads", "processes"])
def test_a_wrong_number_of_values_stops_the_search(place: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"must return.* accuracy, latency_ms"):
        parallel(lambda cell: 3.0, **place)


def test_processes_share_a_study(tmp_path: Path) -> None:
    journal, found = tmp_path / "journal.log", []

    def work() -> None:
        found.append(
            pareto_search(
                SPACE, lambda cell: (time.sleep(0.02), both(cell))[1], NAMES, predictor=None, budget=20,
                storage=journal, shared=True, heartbeat=1.0,
            )
        )  # fmt: skip

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found:
        check_history(result)
    study = optuna.load_study(study_name="nasx", storage=open_storage(journal))
    assert len({trial.user_attrs["worker"] for trial in study.trials}) == 2
    assert study.metric_names == NAMES
    assert len(study.best_trials) >= 1


def test_workers_search_a_table_that_has_no_metric_of_its_own(tmp_path: Path) -> None:
    cells = SPACE.samples(60, np.random.default_rng(0))
    rows = [(SPACE.format(cell), *both(cell)) for cell in cells]
    pd.DataFrame(rows, columns=["architecture", *NAMES]).drop_duplicates("architecture").to_csv(
        tmp_path / "cells.csv", index=False
    )
    bench = nasx.load_benchmark(tmp_path / "cells.csv", space="nasbench201")
    with ThreadPoolExecutor(2) as threads:
        result = pareto_search(bench.space, bench, NAMES, predictor=None, budget=10, executor=threads)
    check_history(result, 10)
