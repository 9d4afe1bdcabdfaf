"""How far does a search scale? Two measurements, each of which writes one JSON file and can be continued.

    python benchmarks/scale.py candidates --out benchmarks/results/scale-candidates.json
    python benchmarks/scale.py workers --out benchmarks/results/scale-workers.json --picture docs/scale-workers.png

``candidates``: one round of a search in a space of 10^18 architectures, with up to a million candidates scored
by the predictor; seconds and peak memory, each setting in a process of its own. The objective is a formula that costs
nothing: what is measured is the search, not what it finds.

``workers``: a simulated search. Every evaluation looks up the recorded test accuracy of a NAS-Bench-201 cell and sleeps
its recorded training time, scaled down; 1, 4, 16 and 64 workers share the same budget. The more workers, the longer
they sleep, so that all searches take about as long and the time to propose counts as it would in real ones.

``--table`` is a table with columns ``architecture``, ``cifar10_test_accuracy`` and ``cifar10_training_seconds``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

LAYERS = 18
OPERATIONS = ("identity", *(f"mbconv_{kernel}x{kernel}_e{wide}" for kernel in (3, 5, 7) for wide in (2, 4, 6)))


def vast_space() -> Any:
    """18 layers, each one of ten operations: 10^18 networks, up to 20 nodes."""
    import nasx

    def build(chosen: dict[str, str]) -> Any:
        labels = ["input", *(operation for operation in chosen.values() if operation != "identity"), "output"]
        return nasx.Graph.from_edges(labels, [(node, node + 1) for node in range(len(labels) - 1)])

    return nasx.ChoiceSpace("vast", {f"layer_{number:02d}": OPERATIONS for number in range(1, LAYERS + 1)}, build)


def formula(architecture: tuple[str, ...]) -> float:
    """Something to maximise: large kernels late, wide layers early."""
    value = 0.0
    for place, operation in enumerate(architecture):
        if operation != "identity":
            late = place / LAYERS
            value += late * int(operation[7]) + (1 - late) * int(operation[-1]) - 0.3 * (operation[7:11] == "7x7_")
    return value


def one_round(predictor: str, strategy: str, candidates: int, threads: int) -> dict[str, Any]:
    """A search of one round after 100 random architectures, with its seconds and the peak memory of this process.

    Seconds of the processor are those that count where the machine has other work to do.
    """
    import torch

    import nasx

    torch.set_num_threads(threads)
    space = vast_space()
    warm = {"budget": 3, "initial": 2, "batch": 1, "candidates": 100}
    nasx.search(space, formula, predictor=predictor, strategy=strategy, **warm)  # imports
    before, stamps = _peak(), {}

    def stamp(state: Any) -> None:
        stamps.setdefault(state.phase, []).append((time.perf_counter(), time.process_time()))

    result = nasx.search(
        space, formula, predictor=predictor, strategy=strategy, budget=110, initial=100, batch=10,
        candidates=candidates, progress=stamp,
    )  # fmt: skip
    last = [e for e in result.evaluations_list if e.round == 1]
    asked, proposed = stamps["proposing"][0], stamps["evaluating"][100]
    seconds, processor = (after - ahead for ahead, after in zip(asked, proposed, strict=True))
    return {
        "predictor": predictor,
        "strategy": strategy,
        "candidates": candidates,
        "space": float(space.size),
        "seconds": round(seconds, 2),
        "seconds_of_scoring": round(result.score_seconds, 2),
        "processor_seconds": round(processor, 2),
        "candidates_per_processor_second": round(candidates / processor),
        "peak_megabytes": round(_peak()),
        "peak_megabytes_before": round(before),
        "best_predicted": max(e.predicted for e in last),
        "best_true_of_round": max(e.value for e in last),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_candidates(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every missing setting in a fresh process, so that each peak of memory is its own."""
    rows = _rows(arguments.out)
    done = {(row["predictor"], row["strategy"], row["candidates"]) for row in rows}
    for candidates in arguments.candidates:
        for predictor in arguments.predictors:
            for strategy in arguments.strategies:
                if (predictor, strategy, candidates) in done:
                    continue
                setting = [predictor, strategy, str(candidates), str(arguments.threads)]
                command = [sys.executable, __file__, "one-round", *setting]
                answer = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append(json.loads(answer.stdout.splitlines()[-1]))
                print(rows[-1], flush=True)
                _write(arguments, rows)
    return rows


def simulated(workers: int, seed: int, arguments: argparse.Namespace, *, warm: bool = False) -> dict[str, Any]:
    """One search whose evaluations sleep, on so many threads; when each ended, and the best that was known then."""
    import pandas as pd
    import torch

    import nasx

    torch.set_num_threads(1)
    space = nasx.get_search_space("nasbench201")
    columns = ["architecture", "cifar10_test_accuracy", "cifar10_training_seconds"]
    table = pd.read_parquet(arguments.table, columns=columns).set_index("architecture")
    known = dict(zip(table.index, table.itertuples(index=False, name=None), strict=True))
    ended: list[tuple[float, float]] = []
    slept: list[float] = []
    lock = threading.Lock()

    def train(cell: tuple[str, ...]) -> float:
        accuracy, seconds = known[space.format(cell)]
        time.sleep(seconds / faster)
        with lock:
            slept.append(seconds)
            ended.append((time.perf_counter(), accuracy))
        return float(accuracy)

    faster = arguments.faster / workers
    options = {"strategy": "evolution", "initial": 20, "batch": 10, "candidates": arguments.candidates, "seed": seed}
    if warm:  # imports
        nasx.search(space, lambda cell: cell.count("none"), predictor=arguments.predictor, budget=22, candidates=10)
        return {}
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as executor:
        nasx.search(space, train, predictor=arguments.predictor, executor=executor, budget=arguments.budget, **options)
    ended.sort()
    elapsed = ended[-1][0] - start
    best = np.maximum.accumulate([accuracy for _, accuracy in ended])
    optimum = float(table["cifar10_test_accuracy"].max())
    return {
        "workers": workers,
        "seed": seed,
        "faster_than_training": faster,
        "simulated_seconds": round(elapsed * faster, 1),
        "training_seconds": round(sum(slept), 1),
        "busy_share": round(sum(slept) / faster / workers / elapsed, 4),
        "regret": round(optimum - float(best[-1]), 4),
        "hours": [round((at - start) * faster / 3600, 4) for at, _ in ended],
        "regret_curve": [round(optimum - float(value), 4) for value in best],
    }


def measure_workers(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every missing setting, all side by side in this process: they mostly sleep."""
    rows = _rows(arguments.out)
    done = {(row["workers"], row["seed"]) for row in rows}
    wanted = [(workers, seed) for workers in arguments.workers for seed in range(arguments.seeds)]
    wanted = [setting for setting in wanted if setting not in done]
    if wanted:
        simulated(1, 0, arguments, warm=True)
        with ThreadPoolExecutor(len(wanted)) as side_by_side:
            rows += side_by_side.map(lambda setting: simulated(*setting, arguments), wanted)
        rows.sort(key=lambda row: (row["workers"], row["seed"]))
        _write(arguments, rows)
    if arguments.picture:
        draw(rows, arguments.picture)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Speed-up and regret by the number of workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.9), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = sorted({row["workers"] for row in rows})
    alone = np.mean([row["simulated_seconds"] for row in rows if row["workers"] == counts[0]])
    speeds = [[alone / row["simulated_seconds"] for row in rows if row["workers"] == count] for count in counts]
    left.plot(counts, counts, ":", color="#a0aec0", label="as many times faster as workers")
    left.plot(counts, [np.mean(speed) for speed in speeds], "o-", color="#2b6cb0", label="measured, mean of seeds")
    for count, speed in zip(counts, speeds, strict=True):
        left.scatter([count] * len(speed), speed, s=10, color="#2b6cb0", alpha=0.5, linewidths=0)
    left.set(xscale="log", yscale="log", xlabel="workers", ylabel="speed-up", title="time for the same budget")
    left.set_xticks(counts, [str(count) for count in counts])
    left.set_yticks(counts, [str(count) for count in counts])
    left.minorticks_off()
    colours = ["#4a5568", "#2f855a", "#dd6b20", "#2b6cb0", "#805ad5"]
    floor = min(value for row in rows for value in row["regret_curve"] if value > 0) / 2
    for count, colour in zip(counts, colours, strict=False):
        for number, row in enumerate(row for row in rows if row["workers"] == count):
            label = f"{count} worker{'s' if count > 1 else ''}" if number == 0 else None
            regret = np.maximum(row["regret_curve"], floor)
            right.step(row["hours"], regret, where="post", color=colour, linewidth=1.2, alpha=0.85, label=label)
    right.set(xscale="log", yscale="log", xlabel="simulated hours", ylabel="regret (percentage points)")
    right.set_title("one line a seed; the floor is the optimum")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def _rows(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text())["runs"]) if path.exists() else []


def _write(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "versions": {package: version(package) for package in ("nasx", "torch", "scikit-learn", "optuna", "numpy")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: value for name, value in vars(arguments).items() if isinstance(value, int | float | str)},
        "written": time.strftime("%Y-%m-%d"),
        "runs": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    scratch = arguments.out.with_suffix(".tmp")
    scratch.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(scratch, arguments.out)


def main() -> None:
    """Parses the command line, measures what is missing and writes it down."""
    if sys.argv[1:2] == ["one-round"]:
        predictor, strategy, candidates, threads = sys.argv[2:]
        print(json.dumps(one_round(predictor, strategy, int(candidates), int(threads))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("candidates")
    one.add_argument("--candidates", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    one.add_argument("--predictors", nargs="+", default=["trees", "nar-former-v2"])
    one.add_argument("--strategies", nargs="+", default=["random", "evolution"])
    two = parts.add_parser("workers")
    two.add_argument("--table", type=Path, default=Path("../shared/data/nasbench201.parquet"))
    two.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    two.add_argument("--seeds", type=int, default=3)
    two.add_argument("--budget", type=int, default=128)
    two.add_argument("--predictor", default="trees")
    two.add_argument("--candidates", type=int, default=300, help="scored between two fits")
    two.add_argument(
        "--faster", type=float, default=1200.0, help="how many times shorter than training a sleep is, times workers"
    )
    two.add_argument("--picture", type=Path)
    for part in (one, two):
        part.add_argument("--threads", type=int, default=1)
        part.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    (measure_candidates if arguments.part == "candidates" else measure_workers)(arguments)


if __name__ == "__main__":
    main()
