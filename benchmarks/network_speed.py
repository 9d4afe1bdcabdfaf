"""How fast are predictors of whole networks, and how much memory do a million cells take?

    python benchmarks/network_speed.py --out benchmarks/results/network_speed.json

Networks are made up: chains of about 150 convolutions, normalisations and ReLUs with shortcuts, every node with the
attributes of an ONNX node. Each predictor is fitted to 64 of them for two epochs; an epoch over 18,000 networks is that
time scaled up. Then 1,000 networks are scored. The last part scores random cells of up to seven nodes with the default
predictor and gives the memory of the whole process. Seconds are wall-clock and processor time: on a busy machine they
differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FITTED = 64
EPOCHS = 2
FULL = 18_000
SCORED = 1000
TORCH = ("layer-costs", "nar-former-v2:network", "nnlp:network", "nn-former:network", "nar-former-v2:network-paper")
NAMES = (
    "groups",
    "kernel_height",
    "macs",
    "memory_bytes",
    "output_0",
    "output_1",
    "output_2",
    "output_3",
    "parameters",
)


def networks(count: int, seed: int = 0) -> Any:
    """So many made-up networks of 100 to 200 nodes, packed."""
    from nasx.search_spaces.packed_graphs import PackedGraphs

    rng = np.random.default_rng(seed)
    sizes = rng.integers(100, 201, count)
    total = int(sizes.sum())
    place = np.concatenate([np.arange(size) for size in sizes])
    conv, last = place % 3 == 0, place == np.repeat(sizes - 1, sizes)
    operations = place % 3
    channels, side = 2.0 ** rng.integers(4, 9, total), 2.0 ** rng.integers(3, 7, total)
    kernel = np.where(conv, rng.choice([1.0, 3.0, 5.0], total), 0)
    groups = np.where(conv, rng.choice([1.0, 16.0], total), 0)
    parameters = np.where(conv, kernel**2 * channels * 64 / np.maximum(groups, 1), 0)
    one, elements = np.ones(total), channels * side**2
    columns = [groups, kernel, parameters * side**2, 8 * elements, one, channels, side, side, parameters]
    edges, counts = [], []
    for size in sizes:
        chain = np.stack([np.arange(size - 1), np.arange(1, size)], axis=1)
        skip = np.stack([np.arange(0, size - 10, 10), np.arange(9, size - 1, 10)], axis=1)
        edges.append(np.concatenate([chain, skip]))
        counts.append(len(edges[-1]))
    operations[last] = 3
    vocabulary = ("Conv", "BatchNormalization", "Relu", "output")
    return PackedGraphs(
        operations, sizes, np.concatenate(edges), counts, vocabulary, None, np.stack(columns, axis=1), NAMES
    )


def clock(start: tuple[float, float] | None = None) -> tuple[float, float]:
    """Wall-clock and processor seconds, since a start."""
    now = time.perf_counter(), time.process_time()
    return now if start is None else (now[0] - start[0], now[1] - start[1])


def measure_networks(name: str) -> dict[str, float]:
    """Fits and scores."""
    import nasx

    graphs = networks(FITTED + SCORED)
    targets = 1e-9 * np.bincount(graphs.graph_of_node, weights=graphs.node_columns(["macs"])[:, 0])
    options = {"options": {"epochs": EPOCHS, "min_steps": 1}} if name in TORCH else {}
    predictor = nasx.make_predictor(name, **options)
    predictor.fit(graphs[:8], targets[:8])  # imports, allocations
    start = clock()
    predictor.fit(graphs[:FITTED], targets[:FITTED])
    wall, processor = clock(start)
    report = {"fit_seconds": wall, "fit_processor_seconds": processor}
    if name in TORCH:
        factor = FULL / FITTED / EPOCHS
        report = {"epoch_of_18000_seconds": wall * factor, "epoch_of_18000_processor_seconds": processor * factor}
    start = clock()
    predictor.predict(graphs[FITTED:])
    wall, processor = clock(start)
    return {**report, "score_1000_seconds": wall, "score_1000_processor_seconds": processor}


def measure_cells(count: int) -> dict[str, float]:
    """Scores so many random cells with the default predictor; memory of the whole process."""
    import nasx
    from nasx.search_spaces.batch import GraphBatch

    rng = np.random.default_rng(0)
    operations = rng.integers(0, 3, (count, 7)).astype(np.int16)
    operations[:, 0], operations[:, -1] = 3, 4
    adjacency = np.triu(rng.integers(0, 20, (count, 7, 7), dtype=np.int8) < 7, 1)
    adjacency |= np.eye(7, k=1, dtype=bool)
    vocabulary = ("conv1x1", "conv3x3", "maxpool3x3", "input", "output")
    cells = GraphBatch(operations, adjacency, np.full(count, 7), vocabulary)
    predictor = nasx.make_predictor("nar-former-v2").fit(cells[:200], (operations[:200] == 1).sum(axis=1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = clock()
    predictor.predict(cells)
    wall, processor = clock(start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "cells": count,
        "seconds": wall,
        "processor_seconds": processor,
        "peak_memory_before_mib": before,
        "peak_memory_mib": peak,
    }


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictors", nargs="*", default=[*TORCH, "kind-costs", "trees", "flops-macs"])
    parser.add_argument("--cells", type=int, default=1_000_000, help="0 leaves the cells out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(arguments.threads)
    cells = measure_cells(arguments.cells) if arguments.cells else None  # first: memory is counted from the start
    report = {
        "command": shlex.join(["python", *sys.argv]),
        "threads": arguments.threads,
        "versions": {package: version(package) for package in ("nasx", "torch", "scikit-learn", "numpy")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "cells": cells,
        "predictors": {name: measure_networks(name) for name in arguments.predictors},
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
