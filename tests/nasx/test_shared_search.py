"""One study, several processes: killed workers, a database that goes away, and every evaluation exactly once."""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.storages import open_storage

if TYPE_CHECKING:
    from tests.nasx.postgres_server import PostgresServer

SPACE = NASBench201()
BUDGET = 16

# Imports once, then forks the workers. Every call of the objective is a line "worker architecture" in a file; nobody
# goes on before all have one. With `stuck`, the first worker at a third evaluation (there is one: 16 by 4) stays there.
_WORKERS = """
    import contextlib, os, sys, time
    import optuna, psycopg, sqlalchemy
    from nasx.search_loop import search

    storage, calls = sys.argv[1:3]
    stuck, count, pause = sys.argv[3] == "True", int(sys.argv[4]), float(sys.argv[5])

    def work(number):
        done = 0

        def objective(cell):
            nonlocal done
            done += 1
            with open(calls, "a") as file:
                file.write(f"{number} {'.'.join(cell)}" + chr(10))
            while done == 1 and len({line.split()[0] for line in open(calls)}) < count:
                time.sleep(0.01)
            if stuck and done == 3:
                with contextlib.suppress(FileExistsError), open(calls + ".stuck", "x") as file:
                    print(os.getpid(), number, file=file, flush=True)
                    time.sleep(600)
            time.sleep(pause)
            return cell.count("nor_conv_3x3") + 0.1 * cell.count("none")

        result = search(
            "nasbench201", objective, predictor=None, strategy="random", budget=BUDGET, seed=0,
            storage=storage, study_name="ours", shared=True, heartbeat=1.0,
        )
        assert result.evaluations == BUDGET, result.evaluations

    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                work(number)
            except BaseException as error:
                print(f"worker {number}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    print(*codes)
"""


def _start(tmp_path: Path, storage: str, *, stuck: bool, count: int, pause: float) -> subprocess.Popen[str]:
    script = textwrap.dedent(_WORKERS).replace("BUDGET", str(BUDGET))
    arguments = [storage, tmp_path / "calls", stuck, count, pause]
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def _until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def _calls(tmp_path: Path) -> list[list[str]]:
    path = tmp_path / "calls"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def _complete(storage: str) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="ours", storage=open_storage(storage))
    trials = study.get_trials(deepcopy=False)
    assert not [t for t in trials if t.state in (optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.WAITING)]
    return [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    from tests.nasx import postgres_server as module

    reason = module.missing()
    if reason is not None:
        pytest.skip(reason)
    server = module.PostgresServer()
    yield server
    server.remove()


@pytest.fixture(params=["journal", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "journal":
        return str(tmp_path / "journal.log")
    return str(request.getfixturevalue("postgres").url)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_nothing_is_evaluated_twice(storage: str, tmp_path: Path) -> None:
    workers = _start(tmp_path, storage, stuck=True, count=4, pause=0.2)
    marker = tmp_path / "calls.stuck"
    _until(lambda: marker.exists() and marker.read_text() != "", workers)
    pid, stuck = map(int, marker.read_text().split())
    os.kill(pid, signal.SIGKILL)
    out, errors = workers.communicate(timeout=180)
    assert out.split() == [str(-signal.SIGKILL) if number == stuck else "0" for number in range(4)], errors

    complete = _complete(storage)
    keys = [trial.user_attrs["key"] for trial in complete]
    assert len(keys) == len(set(keys)) == BUDGET
    calls = _calls(tmp_path)
    left = [cell for number, cell in calls if int(number) == stuck][-1]
    times = collections.Counter(cell for _, cell in calls)
    assert times.pop(left) == 2  # the killed worker's, taken up by another
    assert set(times.values()) == {1}
    evaluated = {".".join(SPACE.parse(trial.user_attrs["architecture"])) for trial in complete}
    assert evaluated == {*times, left}
    assert len({trial.user_attrs["worker"] for trial in complete}) == 4


@pytest.mark.slow
def test_a_database_that_goes_away_is_waited_for(postgres: Any, tmp_path: Path) -> None:
    url = f"{postgres.url}&application_name=away"
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    workers = _start(tmp_path, url, stuck=False, count=2, pause=0.2)
    _until(lambda: len(_calls(tmp_path)) >= 6, workers)
    postgres.stop()
    time.sleep(10)
    assert workers.poll() is None
    postgres.start()
    out, errors = workers.communicate(timeout=180)
    assert out.split() == ["0", "0"], errors
    assert "does not answer" in errors
    keys = [trial.user_attrs["key"] for trial in _complete(url)]
    assert len(keys) == len(set(keys)) == BUDGET
    assert set(collections.Counter(cell for _, cell in _calls(tmp_path)).values()) == {1}
