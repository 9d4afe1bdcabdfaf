"""How much of a true Pareto front does a search find? With and without predictors, over several seeds.

    python benchmarks/pareto.py --benchmark nasbench-graph --dataset cora --objectives validation_accuracy latency \
        --out benchmarks/results/pareto-cora.json --picture docs/pareto-cora.png
    python benchmarks/pareto.py --benchmark path/to/nasbench201.parquet --space nasbench201 --name nasbench201 \
        --objectives cifar10_test_accuracy edgegpu_latency_ms \
        --out benchmarks/results/pareto-nasbench201.json --picture docs/pareto-nasbench201.png

Writes one JSON file with a row a run (hypervolume after every evaluation as a share of the true front's, number of true
Pareto points found) and prints the table of medians. A run that is already in the file is not repeated. The true front
is looked at when a search has ended, never before.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

METHODS = ("random", "nsga2")
MARKS = (50, 100, 150)


@cache
def opened(benchmark: str, space: str | None, dataset: str | None) -> Any:
    """The benchmark, opened once a process."""
    import nasx

    return nasx.load_benchmark(benchmark, space=space, dataset=dataset)


def run(arguments: argparse.Namespace, method: str, seed: int) -> dict[str, Any]:
    """One search, measured. A method is the name of a predictor, or of a strategy without one."""
    import torch

    import nasx

    torch.set_num_threads(1)
    truth = opened(arguments.benchmark, arguments.space, arguments.dataset)
    start = time.process_time()
    alone = method in METHODS
    result = nasx.pareto_search(
        truth.space,
        truth,
        arguments.objectives,
        limits=dict(_limit(text) for text in arguments.limit),
        predictor=None if alone else method,
        strategy=method if alone else "nsga2",
        budget=arguments.budget,
        candidates=arguments.candidates,
        seed=seed,
        rank_all=arguments.rank_all,
    )
    assert result.truth is not None
    shares = result.hypervolume_curve / result.truth.hypervolume
    return {
        "method": method,
        "seed": seed,
        "share_curve": [round(float(share), 6) for share in shares],
        "true_points_found": result.true_points_found,
        "true_front": len(result.truth.values),
        "front": len(result.front),
        "kendall_tau": {name: round(tau, 4) for name, (tau, _) in result.kendall_tau.items()},
        "fit_seconds": round(result.fit_seconds, 2),
        "score_seconds": round(result.score_seconds, 2),
        "total_seconds": round(result.total_seconds, 2),
        "cpu_seconds": round(time.process_time() - start, 2),
    }


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition("=")
    return name, float(value)


def table(runs: list[dict[str, Any]], methods: list[str]) -> str:
    """The medians as a Markdown table, with the number of seeds in which a method ends above NSGA-II alone."""
    marks = [mark for mark in MARKS if mark <= len(runs[0]["share_curve"])]
    heads = [f"after {mark}" for mark in marks]
    lines = [
        f"| | {' | '.join(heads)} | quartiles | true Pareto points | better than NSGA-II alone | CPU s |",
        "|" + "---|" * (len(marks) + 5),
    ]
    alone = {row["seed"]: row["share_curve"][-1] for row in runs if row["method"] == "nsga2"}
    for method in methods:
        rows = [row for row in runs if row["method"] == method]
        if not rows:
            continue
        curves = np.array([row["share_curve"] for row in rows])
        cells = [f"{100 * np.median(curves[:, mark - 1]):.2f} %" for mark in marks]
        low, high = 100 * np.percentile(curves[:, -1], [25, 75])
        better = [row["share_curve"][-1] > alone[row["seed"]] for row in rows if row["seed"] in alone]
        found = np.median([row["true_points_found"] for row in rows])
        lines.append(
            f"| {label(method)} | {' | '.join(cells)} | {low:.2f} to {high:.2f} % | {found:g} of "
            f"{rows[0]['true_front']} | {'-' if method == 'nsga2' else f'{sum(better)} of {len(better)}'} "
            f"| {np.median([row['cpu_seconds'] for row in rows]):.0f} |"
        )
    return "\n".join(lines)


def label(method: str) -> str:
    """What a method is called in tables and pictures."""
    return {"random": "random search", "nsga2": "NSGA-II alone"}.get(method, f"NSGA-II with {method}")


def picture(runs: list[dict[str, Any]], methods: list[str], path: Path, title: str) -> None:
    """The median share of the true hypervolume against evaluations, the quartiles as a band."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    colours = {"random": "#a0aec0", "nsga2": "#4a5568"}
    fresh = iter(["#2b6cb0", "#dd6b20", "#2f855a", "#805ad5"])
    floor = 1.0
    for method in reversed(methods):
        curves = [row["share_curve"] for row in runs if row["method"] == method]
        if not curves:
            continue
        low, middle, high = np.percentile(curves, [25, 50, 75], axis=0)
        steps = np.arange(1, len(middle) + 1)
        colour = colours.get(method) or next(fresh)
        axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.18, linewidth=0)
        axes.step(steps, middle, where="post", color=colour, linewidth=2, label=label(method))
        floor = min(floor, float(middle[min(19, len(middle) - 1)]))
    axes.axhline(1.0, color="#2f855a", linestyle=":", linewidth=1.5)
    axes.set_ylim(floor - 0.02, 1.005)
    axes.set(xlabel="evaluations", ylabel="share of the true hypervolume, quartiles", title=title)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path)


def main() -> None:
    """Parses the command line, runs what is missing, writes the JSON and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--space")
    parser.add_argument("--dataset")
    parser.add_argument("--objectives", nargs="+", required=True)
    parser.add_argument("--limit", action="append", default=[], help="latency_ms=5")
    parser.add_argument("--name", help="name in titles; the benchmark's by default")
    parser.add_argument("--methods", nargs="+", default=[*METHODS, "trees"], help="predictors, random, nsga2")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=150)
    parser.add_argument("--candidates", type=int, help="scored in each round; 4,000 by default")
    parser.add_argument("--jobs", type=int, default=1, help="searches that run at once")
    parser.add_argument("--rank-all", action="store_true", help="also Kendall's tau over the whole benchmark")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()

    truth = opened(arguments.benchmark, arguments.space, arguments.dataset)
    done: list[dict[str, Any]] = json.loads(arguments.out.read_text())["runs"] if arguments.out.exists() else []
    finished = {(row["method"], row["seed"]) for row in done}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    wanted = [
        (method, seed)
        for seed in range(arguments.seeds)
        for method in arguments.methods
        if (method, seed) not in finished
    ]
    jobs = (joblib.delayed(run)(arguments, *setting) for setting in wanted)
    for row in joblib.Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(jobs):
        done.append(row)
        print(row["method"], row["seed"], row["share_curve"][-1], f"{row['cpu_seconds']} CPU s", flush=True)
        report = {
            "command": shlex.join(["python", *sys.argv]),
            "benchmark": arguments.name or truth.name,
            "dataset": arguments.dataset,
            "objectives": arguments.objectives,
            "limits": arguments.limit,
            "budget": arguments.budget,
            "candidates": arguments.candidates,
            "jobs_at_once": arguments.jobs,
            "threads": 1,
            "versions": {name: version(name) for name in ("nasx", "torch", "scikit-learn", "optuna", "numpy")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "runs": sorted(done, key=lambda row: (row["method"], row["seed"])),
        }
        scratch = arguments.out.with_suffix(".tmp")
        scratch.write_text(json.dumps(report) + "\n")
        os.replace(scratch, arguments.out)
    methods = [*arguments.methods, *sorted({row["method"] for row in done} - {*arguments.methods})]
    print(table(done, methods))
    if arguments.picture:
        seeds = len({row["seed"] for row in done})
        title = f"{arguments.name or truth.name}, {' and '.join(arguments.objectives)}, {seeds} seeds"
        picture(done, methods, arguments.picture, title)


if __name__ == "__main__":
    main()
