"""The process that measures, seen from the one that asks: asked one network at a time, ended when it takes too long."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Worker:
    """A process of ``nasx.latency_worker``, started when it is first needed and again after each accident.

    Args:
        settings: What it is told once: provider, threads and so on.
        time_limit: Seconds it may take for a network, making it ready included.
    """

    def __init__(self, settings: Mapping[str, Any], time_limit: float) -> None:
        self._settings, self._limit = dict(settings), time_limit
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def measure(self, path: Path) -> dict[str, Any]:
        """Returns what was measured, or ``{"error": why}``; never raises for the sake of a network."""
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"path": str(path)}) + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=self._limit)
        except queue.Empty:
            self.close()
            return {"error": f"not measured within {self._limit:g} s"}
        except OSError:  # it ended before it was asked
            line = None
        if line is None:
            code = process.wait()
            self.close()
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            return {"error": f"the runtime broke down ({how})"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # what was not read by it any more
                    if stream is not None:
                        stream.close()
        self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            process = subprocess.Popen(
                [sys.executable, "-m", "nasx.latency_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C is for the process that asks; this one ends with its input
            )
            lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
            threading.Thread(target=_forward, args=(process, lines), daemon=True).start()
            self._process, self._lines = process, lines
            assert process.stdin is not None
            process.stdin.write(json.dumps(self._settings) + "\n")
            process.stdin.flush()
        return self._process


def _forward(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Hands lines on as they come; None at the end."""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            lines.put(line)
    except ValueError:  # closed meanwhile
        pass
    lines.put(None)
