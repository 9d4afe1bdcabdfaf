"""Ctrl-C in a terminal, which all processes hear: one sentence, whatever they were about to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from types import ModuleType

import pytest

from nasx.__main__ import main
from nasx.workers import ProcessWorkers

WORKERS = """
import time
from nasx.workers import ProcessWorkers
with ProcessWorkers(2) as pool:
    waiting = [pool.submit(time.sleep, 60) for _ in range(2)]
    waiting[0].result()
"""
REPEATS = """
import nasx
bench = nasx.load_benchmark("nasbench-graph", dataset="cora")
nasx.evaluate("trees", bench, train_sizes=[100], repeats=500, n_jobs=2)
"""
SCRIPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
try:
{}
except KeyboardInterrupt:
    print("interrupted")
"""


def workers_of(process: subprocess.Popen[str]) -> str:
    return subprocess.run(["pgrep", "-f", "-P", str(process.pid), "popen_loky"], capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pgrep") is None, reason="needs pgrep, to see worker processes start")
@pytest.mark.parametrize("seconds", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("work", [WORKERS, REPEATS], ids=["workers", "repeats"])
def test_workers_that_are_starting_end_silently(work: str, seconds: float) -> None:
    script = SCRIPT.format("\n".join(f"    {line}" for line in work.splitlines()))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not workers_of(process) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)


def test_workers_hear_interrupts_again() -> None:
    with ProcessWorkers(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_DFL
        assert signal.SIGINT not in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_interrupt_while_the_command_line_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Importing(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "nasx.cli", Importing("nasx.cli"))
    with pytest.raises(SystemExit, match="nasx: interrupted"):
        main()
