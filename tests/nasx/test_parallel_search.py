"""Several workers in one process: nobody idles, nothing twice, and what breaks costs one evaluation."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from nasx.benchmark import BudgetSpent, load_benchmark
from nasx.predictors import make_predictor
from nasx.search_loop import Progress, search
from nasx.search_spaces.choice_space import ChoiceSpace
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TREES = make_predictor("trees", trees=20)


def convolutions(cell: tuple[str, ...]) -> float:
    return cell.count("nor_conv_3x3") + 0.5 * cell.count("nor_conv_1x1") - 0.1 * cell.count("none")


def parallel(objective: Any = convolutions, **changes: Any) -> Any:
    settings: dict[str, Any] = {"predictor": TREES, "budget": 24, "initial": 8, "batch": 8, "candidates": 400}
    with ThreadPoolExecutor(4) as threads:
        return search(SPACE, objective, **settings | {"executor": threads} | changes)


@pytest.mark.parametrize("predictor", [None, TREES], ids=["alone", "trees"])
def test_every_worker_is_busy_and_no_architecture_comes_twice(predictor: Any) -> None:
    calls, together = itertools.count(), threading.Barrier(4, timeout=60)

    def objective(cell: tuple[str, ...]) -> float:
        if next(calls) < 4:
            together.wait()
        return convolutions(cell)

    result = parallel(objective, predictor=predictor)
    assert not together.broken
    assert result.evaluations == 24
    assert result.history["architecture"].is_unique
    assert len({evaluation.key for evaluation in result.evaluations_list}) == 24
    if predictor is not None:
        assert set(result.history["round"]) >= {0, 1}
        assert result.history["predicted"].notna().sum() >= 12


def test_a_slow_evaluation_does_not_hold_up_the_others() -> None:
    order: list[int] = []
    release = threading.Event()

    def objective(cell: tuple[str, ...]) -> float:
        number = len(order)
        order.append(number)
        if number == 0:
            assert release.wait(60)
        elif number == 20:
            release.set()
        return convolutions(cell)

    result = parallel(objective)
    assert (result.evaluations, result.failed) == (24, 0)


def test_the_initial_sample_is_that_of_a_search_of_one_process() -> None:
    alone = search(SPACE, convolutions, predictor=TREES, budget=8, initial=8, batch=8)
    assert set(parallel().history["architecture"][:8]) == set(alone.history["architecture"])


def test_a_third_of_the_evaluations_may_fail() -> None:
    def moody(cell: tuple[str, ...]) -> Any:
        number = hash(cell) % 3
        if number == 0:
            raise RuntimeError("out of memory")
        return "high" if cell[0] == "none" else convolutions(cell)

    result = parallel(moody, predictor=None, strategy="random")
    failed = [evaluation for evaluation in result.evaluations_list if evaluation.failed]
    assert result.evaluations == 24
    assert failed
    assert {e.error for e in failed} <= {"RuntimeError: out of memory", "the objective returned 'high', not a number"}


def test_an_interrupted_search_goes_on_where_it_was(tmp_path: Path) -> None:
    calls: list[tuple[str, ...]] = []

    def report(state: Progress) -> None:
        if state.done >= 10:
            raise KeyboardInterrupt

    def objective(cell: tuple[str, ...]) -> float:
        calls.append(cell)
        return convolutions(cell)

    journal = tmp_path / "journal.log"
    with pytest.raises(KeyboardInterrupt):
        parallel(objective, storage=journal, progress=report)
    with pytest.raises(UsageError, match="already holds a study"):
        parallel(storage=journal)
    result = parallel(objective, storage=journal, resume=True)
    assert result.evaluations == 24
    assert result.history["architecture"].is_unique
    assert len(calls) <= 24 + 4  # only what was under way is done again
    assert parallel(objective, storage=journal, resume=True, budget=30).evaluations == 30
    with pytest.raises(UsageError, match="was started with seed 0, this search with seed 1"):
        parallel(objective, storage=journal, resume=True, seed=1)
    with pytest.raises(UsageError, match="begun by several workers"):
        search(SPACE, convolutions, predictor=None, storage=journal, resume=True)


def test_a_used_up_space_ends_the_search() -> None:
    tiny = ChoiceSpace(
        "tiny", {"op": ["a", "b", "c", "d"]}, lambda c: Graph.from_edges(["input", c["op"], "output"], [(0, 1), (1, 2)])
    )
    for predictor in (TREES, None):
        with ThreadPoolExecutor(3) as threads:
            result = search(
                tiny, lambda a: ord(a[0]), predictor=predictor, budget=10, initial=2, batch=2, executor=threads
            )
        assert (result.evaluations, result.best) == (4, ("d",))


def test_an_executor_without_a_way_to_end_work_gives_up_waiting() -> None:
    stop = threading.Event()

    def objective(cell: tuple[str, ...]) -> float:
        if cell[0] == "none":
            stop.wait(20)
        return convolutions(cell)

    threads = ThreadPoolExecutor(8)
    result = search(SPACE, objective, predictor=None, strategy="random", budget=12, executor=threads, timeout=0.3)
    stop.set()
    threads.shutdown()
    errors = {evaluation.error for evaluation in result.evaluations_list if evaluation.failed}
    assert errors == {"no answer within 0.3 s"}


def test_a_spent_benchmark_stops_the_search_and_counts_are_kept(tmp_path: Path) -> None:
    bench = load_benchmark("nasbench-graph", dataset="proteins", budget=7)
    with pytest.raises(BudgetSpent):
        search(bench.space, bench, predictor=None, strategy="random", budget=10, workers=3, storage=tmp_path / "j.log")
    bench.budget = None
    result = search(
        bench.space, bench, predictor=None, strategy="random", budget=10, workers=3, storage=tmp_path / "j.log",
        resume=True,
    )  # fmt: skip
    assert (result.evaluations, result.failed) == (10, 0)


def test_an_error_while_fitting_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    from nasx.guide import Guide

    def broken(self: Guide, *arguments: Any, **more: Any) -> Any:
        raise NasxError("no memory left")

    monkeypatch.setattr(Guide, "fit", broken)
    with pytest.raises(NasxError, match="no memory left"):
        parallel()


def test_two_processes_worth_of_searches_share_one_study(tmp_path: Path) -> None:
    results: list[Any] = []
    calls: list[tuple[str, ...]] = []

    def objective(cell: tuple[str, ...]) -> float:
        calls.append(cell)
        time.sleep(0.01)
        return convolutions(cell)

    def one() -> None:
        results.append(
            search(
                SPACE, objective, predictor=TREES, budget=20, initial=8, batch=6, candidates=200, shared=True,
                storage=tmp_path / "journal.log", study_name="ours", heartbeat=30.0,
            )
        )  # fmt: skip

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == len(set(calls)) == 20
    assert results[0].history.equals(results[1].history)
    assert results[0].history["predicted"].notna().sum() >= 6
