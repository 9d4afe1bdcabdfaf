"""Fits the predictors that come with nasx, and writes the card of each.

    python benchmarks/train_predictors.py

The default predictor learns 781 architectures of an embedded benchmark, drawn with seed 0 and fitted with seed 0,
whatever comes of it. The card's tau is of that fit on all other architectures, beside mean and standard deviation of
`nasx evaluate` over five splits.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

import nasx
from nasx.embedded import PACKAGES
from nasx.metrics import kendall_tau
from nasx.trained import CARD, FOLDER

PREDICTOR, CELLS, SEED = "nar-former-v2", 781, 0
SUBJECTS = [("nasbench201", "cifar10"), ("nasbench-graph", "cora")]


def train(name: str, dataset: str, repeats: int) -> Path:
    """Evaluates the recipe, fits once more, saves; returns the folder."""
    bench = nasx.load_benchmark(name, dataset=dataset)
    summary = nasx.evaluate(PREDICTOR, bench, train_sizes=[CELLS], repeats=repeats, seed=SEED).summary().iloc[0]
    rows = np.random.default_rng(SEED).permutation(len(bench))
    trained, others = rows[:CELLS], rows[CELLS:]
    targets = bench.values(metric=bench.target)[trained]
    predictor = nasx.make_predictor(PREDICTOR, seed=SEED, direction=bench.direction)
    predictor.fit(bench.graphs(trained), targets)
    tau = kendall_tau(predictor.predict(bench.graphs(others)), bench.values(metric=bench.rank_against)[others])
    folder = predictor.save(FOLDER / PREDICTOR / f"{name}-{dataset}-{CELLS}")
    metric = bench.metrics[bench.target].label
    card = {
        "line": f"{metric} of {bench.space.name} on {dataset}, tau {tau:.3f} on the {len(others):,} cells not learnt",
        "space": bench.space.name,
        "predicts": metric,
        "data": PACKAGES[name].source,
        "data_licence": PACKAGES[name].licence,
        "licence": "Apache-2.0",
        "training_cells": CELLS,
        "split": f"numpy.random.default_rng({SEED}).permutation({len(bench)}): the first {CELLS} train",
        "kendall_tau": round(float(tau), 4),
        "ranked_against": bench.metrics[bench.rank_against].label,
        "kendall_tau_of_the_recipe": {
            "mean": round(float(summary["kendall_tau_mean"]), 4),
            "standard_deviation": round(float(summary["kendall_tau_std"]), 4),
            "command": f"nasx evaluate --benchmark {name} --dataset {dataset} --train-size {CELLS} --repeats {repeats}",
        },
        "command": "python benchmarks/train_predictors.py",
        "versions": {package: version(package) for package in ("nasx", "torch", "numpy")},
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    """Parses the command line and fits every predictor that comes with nasx."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for name, dataset in SUBJECTS:
        print(train(name, dataset, arguments.repeats))


if __name__ == "__main__":
    main()
