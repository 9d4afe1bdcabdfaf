"""Evaluations in worker processes: what an objective can do to them costs one evaluation, with the reason."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from nasx.benchmark import BudgetSpent, load_benchmark
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.workers import Call, InlineExecutor, ProcessWorkers, Unloadable, answer, evaluating, measure, slots_of


def terrible(what: str) -> object:
    if what == "hang":
        time.sleep(60)
    if what == "exit":
        os._exit(3)
    if what == "leave":
        sys.exit("enough")
    if what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "memory":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "raise":
        raise RuntimeError("no convergence")
    return {"text": "0.9", "nothing": None, "infinite": math.inf, "array": [1, 2]}.get(what, 0.5)


REASONS = {
    "leave": "SystemExit: enough",
    "raise": "RuntimeError: no convergence",
    "text": "the objective returned '0.9', not a number",
    "nothing": "the objective returned None, not a number",
    "infinite": "the objective returned inf",
    "array": "TypeError: float() argument must be a string or a real number, not 'list'",
}
DEATHS = {
    "hang": "no answer within 2 s; its process was ended",
    "exit": "the worker process ended with exit code 3",
    "crash": "the worker process was killed by SIGSEGV",
    "memory": "the worker process was killed by SIGKILL, perhaps for want of memory",
}


@pytest.mark.parametrize(("what", "reason"), REASONS.items())
def test_what_an_objective_may_do_in_this_process(what: str, reason: str) -> None:
    value, error = measure(terrible, what)
    assert math.isnan(value)
    assert error == reason


@pytest.mark.slow
def test_what_an_objective_may_do_to_a_worker() -> None:
    call = Call(terrible)
    call.pack()
    with ProcessWorkers(2, timeout=2, prepare=call.prepare) as pool:
        futures = {what: pool.submit(call, what) for what in [*DEATHS, "fine", "raise", "again"]}
        found = {what: answer(future, 2.0) for what, future in futures.items()}
    assert {what: found[what][1] for what in DEATHS} == DEATHS
    assert found["fine"] == found["again"] == (0.5, None)
    assert found["raise"][1] == REASONS["raise"]


@pytest.mark.slow
def test_ending_workers_while_one_is_starting_is_silent() -> None:
    script = """if True:
        import os
        from nasx.workers import ProcessWorkers
        pool = ProcessWorkers(2)
        pool.submit(os._exit, 3).exception()  # its place is being filled again
        pool.shutdown(wait=False, cancel_futures=True)
    """
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)


def test_interrupts_and_spent_budgets_pass() -> None:
    def interrupted(architecture: object) -> float:
        raise KeyboardInterrupt

    def spent(architecture: object) -> float:
        raise BudgetSpent("spent")

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(Call(interrupted), "a")
    with pytest.raises(BudgetSpent):
        answer(InlineExecutor().submit(Call(spent), "a"))


def test_an_objective_that_cannot_travel_is_one_sentence() -> None:
    lock = threading.Lock()
    with pytest.raises(Unloadable, match="cannot be sent to a worker process"):
        Call(lambda architecture: lock.locked()).pack()


def test_an_objective_that_cannot_arrive_stops_the_search(tmp_path: Path) -> None:
    future: Future[tuple[float, str | None]] = Future()
    future.set_exception(Unloadable("the objective cannot be loaded in a worker"))
    with pytest.raises(Unloadable):
        answer(future)
    broken: Future[tuple[float, str | None]] = Future()
    with ProcessPoolExecutor(1) as pool:
        dead = pool.submit(os._exit, 1)
        broken.set_exception(dead.exception())
    with pytest.raises(NasxError, match="the executor broke down"):
        answer(broken)
    assert "BrokenProcessPool" in str(answer(broken, broken_is_fatal=False)[1])


def test_how_many_at_once() -> None:
    with ThreadPoolExecutor(3) as threads:
        assert slots_of(threads, None) == 3
        assert slots_of(threads, 2) == 2
        with pytest.raises(UsageError, match="at least 1"):
            slots_of(threads, 0)
    with pytest.raises(UsageError, match="workers=N"):
        slots_of(InlineExecutor(), None)


def test_a_benchmark_is_asked_in_threads_and_counts() -> None:
    bench = load_benchmark("nasbench-graph", dataset="proteins")
    with evaluating(bench, 2, None, None) as workplace:
        assert isinstance(workplace.executor, ThreadPoolExecutor)
        assert workplace.slots == 2
    for wrong in ({"workers": 0, "timeout": None}, {"workers": None, "timeout": 0.0}):
        with pytest.raises(UsageError), evaluating(len, wrong["workers"], None, wrong["timeout"]):  # type: ignore[arg-type]
            pass


_SCRIPT = """
    import nasx

    secret = 3

    def objective(cell):
        return cell.count("nor_conv_3x3") + secret

    result = nasx.search("nasbench201", objective, predictor=None, strategy="random", budget=6, workers=2)
    print(result.evaluations, result.failed, result.best_value >= 3)
"""


@pytest.mark.slow
def test_an_objective_of_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(textwrap.dedent(_SCRIPT))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.split() == ["6", "0", "True"], done.stderr
