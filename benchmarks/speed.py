"""How fast are fitting and scoring? The default predictor on whole benchmarks, against one graph at a time.

    python benchmarks/speed.py --out benchmarks/results/speed.json

Fits on 781 NAS-Bench-201 cells, then scores all 15,625 NAS-Bench-201 and all 423,624 NAS-Bench-101 cells, graphs made
before the clock starts. The baseline, measured in the same run, is the same network fed one graph at a time, as the
released code of NAR-Former V2 does (512 graphs, scaled up). Medians of ``--repeats``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ONE_AT_A_TIME = 512


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The median wall-clock time of a piece of work, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(predictor_name: str, threads: int, repeats: int) -> dict[str, Any]:
    """Fits once, scores both benchmarks, and the baseline beside them."""
    import torch

    import nasx

    torch.set_num_threads(threads)
    bench = nasx.load_benchmark("nasbench201")
    rng = np.random.default_rng(0)
    train = rng.permutation(len(bench))[:781]
    graphs, targets = bench.graphs(train), bench.values()[train]
    predictor = nasx.make_predictor(predictor_name)
    report: dict[str, Any] = {"fit_781_seconds": median_seconds(lambda: predictor.fit(graphs, targets), repeats)}
    few = bench.graphs(rng.permutation(len(bench))[:ONE_AT_A_TIME])
    alone = median_seconds(lambda: [predictor.predict(few[i : i + 1]) for i in range(ONE_AT_A_TIME)], repeats)
    for name in ("nasbench201", "nasbench101"):
        space = nasx.get_search_space(name)
        size = space.size or 0
        start = time.perf_counter()
        cells = space.graphs_of_indices(np.arange(size))
        graph_seconds = time.perf_counter() - start
        if name == "nasbench101":
            chosen = rng.permutation(size)[:781]
            predictor = nasx.make_predictor(predictor_name).fit(cells[chosen], cells.adjacency[chosen].sum((1, 2)))
        seconds = median_seconds(lambda cells=cells, fitted=predictor: fitted.predict(cells), repeats)
        report[name] = {
            "cells": size,
            "graphs_seconds": graph_seconds,
            "score_seconds": seconds,
            "cells_per_second": size / seconds,
            "one_at_a_time_over_batched": (alone / ONE_AT_A_TIME) / (seconds / size),
        }
    report["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return report


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictors", nargs="+", default=["nar-former-v2"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "versions": {package: version(package) for package in ("nasx", "torch", "scikit-learn", "numpy")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "predictors": {name: measure(name, arguments.threads, arguments.repeats) for name in arguments.predictors},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
