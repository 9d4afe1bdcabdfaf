"""Is the default predictor as sure as it should be? How often measurements fall within its deviations.

    python benchmarks/coverage.py --benchmark path/to/nasbench201.parquet --space nasbench201 \
        --target cifar10_validation_accuracy --train-size 78 156 --out benchmarks/results/coverage-nasbench201.csv

Random splits (seeds 100, 101, ...), unseen cells, the metric that was learnt. If calibrated, 68, 90 and 95 % of
the measurements lie within 1, 1.645 and 1.96 deviations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import nasx

DEVIATIONS = (1.0, 1.645, 1.96)
TESTED = 3000


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--space")
    parser.add_argument("--target", required=True)
    parser.add_argument("--train-size", type=int, nargs="+", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    bench = nasx.load_benchmark(arguments.benchmark, space=arguments.space, target=arguments.target)
    values = bench.values()
    known = np.flatnonzero(~np.isnan(values))
    rows = []
    for size in arguments.train_size:
        for seed in range(100, 100 + arguments.repeats):
            drawn = np.random.default_rng(seed).permutation(known)
            train, test = drawn[:size], drawn[size : size + TESTED]
            model = nasx.make_predictor("nar-former-v2", seed=seed).fit(bench.graphs(train), values[train])
            predicted, deviations = model.predict_distribution(bench.graphs(test))
            off = np.abs(values[test] - predicted) / deviations
            rows.append({"train_size": size, "seed": seed, **{f"within_{d}": (off < d).mean() for d in DEVIATIONS}})
    table = pd.DataFrame(rows)
    table.to_csv(arguments.out, index=False)
    print(table.groupby("train_size").mean().drop(columns="seed").round(3).to_string())


if __name__ == "__main__":
    main()
