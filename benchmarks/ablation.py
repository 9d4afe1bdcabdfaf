"""What does each part of the default predictor bring? The same splits and seeds with one part taken away at a time.

    python benchmarks/ablation.py --benchmark path/to/nasbench201.parquet --space nasbench201 \
        --target cifar10_validation_accuracy --train-size 156 --out benchmarks/results/ablation-nasbench201
    python benchmarks/ablation.py --benchmark path/to/nasbench101.parquet --space nasbench101 \
        --target validation_accuracy_best_of_3 --train-size 172 --out benchmarks/results/ablation-nasbench101

Ranked against the metric that was learnt, on the cells not trained on: parts are chosen without a look at test
accuracies. Writes what ``nasx evaluate --out`` writes and prints the differences, paired by split.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nasx

PARTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no signal features": {"signal_features": False},
    "no random walks": {"walk_features": False},
    "no counts and depths of the graph": {"summary_features": False},
    "no depths at the nodes": {"node_features": False},
    "no Gaussian process among the members": {"process_vote": False},
    "all features of the process count alike": {"process_metric": False},
    "one network instead of three": {"members": 1},
    "edges without direction": {"directions": "symmetric"},
    "dead parts not removed": {"pruned": False},
    "mean squared error instead of RankNet": {"losses": {"mse": 1.0}},
}


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--space")
    parser.add_argument("--target", required=True)
    parser.add_argument("--train-size", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report = nasx.evaluate(
        {part: nasx.make_predictor("nar-former-v2", options=options) for part, options in PARTS.items()},
        nasx.load_benchmark(arguments.benchmark, space=arguments.space, target=arguments.target),
        train_sizes=arguments.train_size,
        repeats=arguments.repeats,
        n_jobs=arguments.jobs,
        out=arguments.out,
        progress=lambda done, total: print(f"{done} of {total}", flush=True),
    )
    table = report.table().pivot(index="repeat", columns="predictor", values="kendall_tau")
    print("| | tau | difference, paired |\n|---|---|---|")
    for part in PARTS:
        difference = table[part] - table["default"]
        shown = "" if part == "default" else f"{difference.mean():+.4f} ± {difference.std():.4f}"
        print(f"| {part} | {table[part].mean():.4f} | {shown} |")


if __name__ == "__main__":
    main()
