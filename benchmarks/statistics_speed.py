"""How long do the statistics take? Kendall's tau, its interval, the noise ceiling, on tables of full size.

    python benchmarks/statistics_speed.py --out benchmarks/results/statistics.json

Values are simulated: 423,624 (NAS-Bench-101) and 15,625 (NAS-Bench-201) normal qualities rounded to four digits, three
runs of each with a tenth of the spread as noise, and a noisy prediction. Medians of ``--repeats``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """The median wall-clock time of a piece of work, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(n: int, repeats: int) -> dict[str, Any]:
    """Times each statistic on n rows."""
    from nasx.metrics import correlation, kendall_tau, ranking_metrics
    from nasx.noise_estimates import from_repeats, from_twins
    from nasx.splits import ByFunction, Uniform

    rng = np.random.default_rng(0)
    quality = rng.normal(size=n)
    runs = (quality + 0.1 * rng.normal(size=(3, n))).round(4)
    predicted = quality + 0.3 * rng.normal(size=n)
    classes = rng.permutation(np.arange(n) * 3 // 4)
    kendall_tau(predicted[:100], runs[0, :100])  # imports
    work: dict[str, Callable[[], Any]] = {
        "kendall_tau": lambda: kendall_tau(predicted, runs[0]),
        "kendall_tau_with_interval": lambda: correlation(predicted, runs[0]),
        "ranking_metrics": lambda: ranking_metrics(predicted, runs[0]),
        "ranking_metrics_with_intervals": lambda: ranking_metrics(predicted, runs[0], intervals=True),
        "noise_ceiling_from_three_runs": lambda: from_repeats(list(runs)),
        "noise_ceiling_from_twins": lambda: from_twins(quality[classes] + 0.1 * rng.normal(size=n), classes),
        "split_uniform": lambda: Uniform().split(np.arange(n), 781, rng).fingerprint,
        "split_by_function": lambda: ByFunction().split(np.arange(n), 781, rng, groups=classes).fingerprint,
    }
    return {"rows": n, **{name: median_seconds(each, repeats) for name, each in work.items()}}


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("nasx", "numpy", "scipy")},
        },
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "seconds": {
            name: measure(n, options.repeats) for name, n in (("nasbench201", 15_625), ("nasbench101", 423_624))
        },
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
