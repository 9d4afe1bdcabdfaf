"""How good is the search? Every strategy, with and without predictors, over several seeds.

    python benchmarks/search.py --benchmark nasbench201 --out benchmarks/results/search-nasbench201.json
    python benchmarks/search.py --benchmark path/to/nasbench101.parquet --space nasbench101 --target test_accuracy \
        --name nasbench101 --out benchmarks/results/search-nasbench101.json

Writes one JSON file with a row a run (rank and regret of the best architecture after 80 and 150 evaluations) and
prints the table of medians. A run that is already in the file is not repeated. ``--picture`` draws the regret curves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np

STRATEGIES = ("evolution", "local-search", "random", "tpe")
PREDICTORS = ("none", "trees", "nar-former-v2")
MARKS = (80, 150)


def _benchmark(name: str, space: str | None, target: str | None) -> Any:
    import nasx

    return nasx.load_benchmark(name, space=space, target=target)


def run(arguments: argparse.Namespace, strategy: str, predictor: str, seed: int) -> dict[str, Any]:
    """One search, measured: regret in the metric's unit, rank among all architectures (1 is best)."""
    import torch

    import nasx

    torch.set_num_threads(arguments.threads)
    truth = _benchmark(arguments.benchmark, arguments.space, arguments.target)
    result = nasx.search(
        truth.space,
        truth,
        predictor=None if predictor == "none" else predictor,
        strategy=strategy,
        budget=arguments.budget,
        seed=seed,
        rank_all=len(truth.values()) <= 20_000,
    )
    optimum = truth.optimum()[1]
    best = result.best_so_far
    marks = [mark for mark in MARKS if mark <= len(best)]
    return {
        "strategy": strategy,
        "predictor": predictor,
        "seed": seed,
        "rank": {str(mark): truth.rank(best[mark - 1]) for mark in marks},
        "regret": {str(mark): abs(optimum - best[mark - 1]) for mark in marks},
        "regret_curve": [round(float(abs(optimum - value)), 6) for value in best],
        "kendall_tau": None if np.isnan(result.kendall_tau) else result.kendall_tau,
        "fit_seconds": result.fit_seconds,
        "score_seconds": result.score_seconds,
        "total_seconds": result.total_seconds,
    }


def outcome(row: dict[str, Any]) -> tuple[float, int]:
    """The final regret, and the number of evaluations it took to get there; smaller is better in both."""
    curve = row["regret_curve"]
    return curve[-1], curve.index(curve[-1])


def table(runs: list[dict[str, Any]], ranked: int) -> str:
    """The medians as a Markdown table.

    "Better than alone" counts the seeds that ended with a better architecture or
    had the same one sooner.
    """
    lines = [
        f"| strategy | predictor | median rank after 80 | after 150 | rank 1 of {ranked:,} after 150 "
        "| median regret after 80 | after 150 | better than alone | tau (mean) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for strategy in STRATEGIES:
        for predictor in PREDICTORS:
            rows = [row for row in runs if (row["strategy"], row["predictor"]) == (strategy, predictor)]
            if not rows:
                continue

            def median(key: str, mark: str, rows: list[dict[str, Any]] = rows) -> float:
                return float(np.median([row[key][mark] for row in rows]))

            alone = {row["seed"]: row for row in runs if (row["strategy"], row["predictor"]) == (strategy, "none")}
            better = [outcome(row) < outcome(alone[row["seed"]]) for row in rows if row["seed"] in alone]
            tau = [row["kendall_tau"] for row in rows if row["kendall_tau"] is not None]
            lines.append(
                f"| {strategy} | {predictor} | {median('rank', '80'):g} | {median('rank', '150'):g} "
                f"| {sum(row['rank']['150'] == 1 for row in rows)} of {len(rows)} "
                f"| {median('regret', '80'):.4f} | {median('regret', '150'):.4f} "
                f"| {f'{sum(better)} of {len(better)}' if predictor != 'none' else '-'} "
                f"| {f'{np.mean(tau):.3f}' if tau else '-'} |"
            )
    return "\n".join(lines)


def picture(runs: list[dict[str, Any]], path: Path, title: str, unit: str) -> None:
    """Median regret against evaluations with the quartiles as a band, for evolution and random search."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    shown = [
        ("evolution", "nar-former-v2", "#2b6cb0"),
        ("evolution", "trees", "#2f855a"),
        ("evolution", "none", "#4a5568"),
        ("random", "none", "#a0aec0"),
    ]
    floor = min(value for row in runs for value in row["regret_curve"] if value > 0) / 2
    for strategy, predictor, colour in shown:
        curves = [row["regret_curve"] for row in runs if (row["strategy"], row["predictor"]) == (strategy, predictor)]
        if not curves:
            continue
        low, middle, high = np.maximum(np.percentile(curves, [25, 50, 75], axis=0), floor)
        steps = np.arange(1, len(middle) + 1)
        label = strategy + (f" with {predictor}" if predictor != "none" else " alone")
        axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.2, linewidth=0)
        axes.step(steps, middle, where="post", color=colour, linewidth=2, label=label)
    axes.set(xlabel="evaluations", ylabel=f"regret ({unit}), median and quartiles", yscale="log", title=title)
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    """Parses the command line, runs what is missing, writes the JSON and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", default="nasbench201")
    parser.add_argument("--space")
    parser.add_argument("--target")
    parser.add_argument("--name", help="name in titles; the benchmark's by default")
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--predictors", nargs="+", default=PREDICTORS)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=2, help="searches that run at once")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()

    done: list[dict[str, Any]] = json.loads(arguments.out.read_text())["runs"] if arguments.out.exists() else []
    finished = {(row["strategy"], row["predictor"], row["seed"]) for row in done}
    wanted = [
        (strategy, predictor, seed)
        for predictor in arguments.predictors
        for strategy in arguments.strategies
        for seed in range(arguments.seeds)
        if (strategy, predictor, seed) not in finished
    ]
    truth = _benchmark(arguments.benchmark, arguments.space, arguments.target)
    ranked = int(np.isfinite(truth.values()).sum())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    jobs = (joblib.delayed(run)(arguments, *setting) for setting in wanted)
    for row in joblib.Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")(jobs):
        done.append(row)
        print(row["strategy"], row["predictor"], row["seed"], row["rank"], f"{row['total_seconds']:.0f} s", flush=True)
        report = {
            "command": shlex.join(["python", *sys.argv]),
            "benchmark": arguments.name or truth.name,
            "target": truth.target,
            "architectures": ranked,
            "budget": arguments.budget,
            "jobs_at_once": arguments.jobs,
            "threads": arguments.threads,
            "versions": {package: version(package) for package in ("nasx", "torch", "scikit-learn", "optuna", "numpy")},
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "runs": sorted(done, key=lambda row: (row["strategy"], row["predictor"], row["seed"])),
        }
        scratch = arguments.out.with_suffix(".tmp")
        scratch.write_text(json.dumps(report) + "\n")
        os.replace(scratch, arguments.out)
    print(table(done, ranked))
    if arguments.picture:
        metric = truth.metrics[truth.target]
        picture(done, arguments.picture, f"{arguments.name or truth.name}, {arguments.seeds} seeds", metric.unit)


if __name__ == "__main__":
    main()
