"""The process that runs networks for ``nasx latency measure``: a network that crashes or hangs takes only it along.

One JSON object a line: settings first, then requests on the standard input; answers on what was the standard output
(the stream itself is led to the error stream, since runtimes like to write to it).
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nasx.latency_files import runnable
from nasx.latency_stopwatch import Stopwatch


def _answer(request: Mapping[str, Any], stopwatch: Stopwatch) -> dict[str, Any]:
    try:
        found = stopwatch.run(runnable(Path(request["path"]), stopwatch.settings["batch_size"]))
    except MemoryError:
        return {"error": "not enough memory"}
    except Exception as error:  # runtimes raise classes of their own; whatever it is, the next network is tried
        return {"error": " ".join(str(error).split())[:300] or type(error).__name__}
    if not (math.isfinite(found["latency_ms"]) and found["latency_ms"] > 0):
        return {"error": f"a latency of {found['latency_ms']} ms is none"}
    return found


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answers requests until there are no more."""
    stopwatch = Stopwatch(json.loads(requests.readline()))
    for line in requests:
        answers.write(json.dumps(_answer(json.loads(line), stopwatch)) + "\n")
        answers.flush()


def main() -> None:
    """Serves the process that started this one."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
