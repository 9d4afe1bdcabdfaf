"""How well do predictors guess the latency of whole networks? In known families, and in families never seen.

    python benchmarks/latency_predictors.py whole_networks.parquet --target cortex_a76_cpu_latency_ms \
        --predictors flops flops-macs kind-costs lightgbm layer-costs --networks 150 --out latency.csv

Of each family, the last tenth of the networks tests and the tenth before is left for choosing settings; of the others,
``--networks`` drawn at random train. ``in-domain``: all families train, each is tested. ``leave-one-family-out``: all
but one train, that one is tested. One row a repeat and family with MAPE, Acc(10 %), Acc(5 %), in per cent. After an
interruption the same command goes on: what the file has is not measured again.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = ("target", "protocol", "predictor", "seed", "family", "train", "test", "mape", "acc10", "acc5", "fit_seconds")


def scores(predicted: np.ndarray, measured: np.ndarray) -> list[float]:
    """MAPE, Acc(10 %) and Acc(5 %), in per cent."""
    error = np.abs(predicted / measured - 1)
    return [round(100 * float(value), 3) for value in (error.mean(), (error <= 0.1).mean(), (error <= 0.05).mean())]


def parts(families: np.ndarray, values: np.ndarray, networks: int, seed: int) -> dict[str, tuple[Any, Any]]:
    """Training and test rows of each family that has measurements."""
    rng, found = np.random.default_rng(seed), {}
    for family in sorted(set(families)):
        rows = np.flatnonzero(families == family)
        train, test = rng.permutation(rows[: int(0.8 * len(rows))])[:networks], rows[int(0.9 * len(rows)) :]
        train, test = train[np.isfinite(values[train])], test[np.isfinite(values[test])]
        if len(test):
            found[family] = (train, test)
    return found


def finished(out: Path) -> set[tuple[str, ...]]:
    """Target, protocol, predictor, seed and family of the rows that the file has."""
    if not out.exists():
        return set()
    with out.open(newline="") as file:
        return {tuple(row[column] for column in COLUMNS[:5]) for row in csv.DictReader(file)}


def measure(
    bench: Any, families: np.ndarray, arguments: argparse.Namespace, done: set[tuple[str, ...]]
) -> Iterator[tuple[Any, ...]]:
    """One row a predictor, seed, protocol and family, but for those that are done."""
    import nasx

    values, graphs = bench.values(), bench.graphs()
    for name in arguments.predictors:
        for seed in range(arguments.seeds):
            rows = parts(families, values, arguments.networks, seed)
            for protocol in arguments.protocols:
                for left_out in [None] if protocol == "in-domain" else [*rows]:
                    key, tested = (bench.target, protocol, name, str(seed)), [left_out] if left_out else [*rows]
                    tested = [family for family in tested if (*key, family) not in done]
                    if not tested:
                        continue
                    train = np.concatenate([part for family, (part, _) in rows.items() if family != left_out])
                    start = time.perf_counter()
                    predictor = nasx.make_predictor(name, seed=seed).fit(graphs[train], values[train])
                    seconds = round(time.perf_counter() - start, 2)
                    for family in tested:
                        test = rows[family][1]
                        found = scores(predictor.predict(graphs[test]), values[test])
                        yield bench.target, protocol, name, seed, family, len(train), len(test), *found, seconds


def main() -> None:
    """Parses the command line, measures and writes the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="a table of whole networks (docs/data.md)")
    parser.add_argument("--target", required=True)
    parser.add_argument("--predictors", nargs="+", default=["flops", "flops-macs", "kind-costs"])
    parser.add_argument("--protocols", nargs="+", default=["in-domain", "leave-one-family-out"])
    parser.add_argument("--networks", type=int, default=150, help="training networks a family")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    import nasx
    from nasx.search_spaces.network_table import families_of

    bench = nasx.load_benchmark(arguments.table, target=arguments.target)
    done = finished(arguments.out)
    with arguments.out.open("a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(COLUMNS)
        for row in measure(bench, families_of(bench.space), arguments, done):
            writer.writerow(row)
            file.flush()


if __name__ == "__main__":
    main()
