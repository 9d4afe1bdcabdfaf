"""What do tables cost? Opening, one query, a million values, importing a full-size file, enumerating and hashing.

    python benchmarks/data.py --out benchmarks/results/data.json

Every figure comes from a process of its own. NAS-Bench-101 is a generated file of the published size and layout (all
423,624 cells, made-up accuracies), imported as a user would, nothing cached before; the official NAS-Bench-201 table is
made up in its shape; with ``--full``, all four lengths of training (2 GB) are imported as well. Resident memory counts
from just after ``import nasx``, so numpy and all else that opening needs is in it. Where the table of published results
of NAS-Bench-101 is at hand (``--published``), its hashes are looked up and its cells and parameters compared. Seconds
are by the clock; where other work shares the machine, the processor's (``cpu``) say what the work itself takes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
QUERIES = 20_000
MILLION = 1_000_000

Report = dict[str, Any]


def enumerating() -> Report:
    """All cells of NAS-Bench-101, then their hashes, then the hashes again from the cache folder."""
    import nasx

    space = nasx.get_search_space("nasbench101")
    cells, enumerate_seconds = timed(lambda: space.size)
    hashes, hash_seconds = timed(space.module_hashes)
    cpu_seconds = time.process_time()
    assert len(set(hashes.tolist())) == cells
    sys.modules["nasx.search_spaces.nasbench101_hash"].all_module_hashes.cache_clear()
    _, cached_seconds = timed(space.module_hashes)
    return {
        "cells": cells,
        "enumerate_seconds": enumerate_seconds,
        "hash_seconds": hash_seconds,
        "cached_hash_seconds": cached_seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb(),
    }


def generating(file: str, epochs: str) -> Report:
    """Writes the full-size file."""
    sys.path.append(str(ROOT))
    from tests.nasx.miniature_nasbench101 import write_full_size

    _, seconds = timed(lambda: write_full_size(Path(file), [int(number) for number in epochs.split(",")]))
    return {"bytes": Path(file).stat().st_size, "seconds": seconds}


def importing(name: str, file: str) -> Report:
    """Imports the file under its official name."""
    from nasx.official import import_file
    from nasx.tables import imported

    before = time.process_time()
    table, seconds = timed(lambda: import_file(name, file, unverified=True))
    return {
        "cells": len(table),
        "columns": len(table.columns),
        "file_bytes": Path(file).stat().st_size,
        "table_bytes": imported()[name].stat().st_size,
        "seconds": seconds,
        "cpu_seconds": time.process_time() - before,
        "peak_mb": peak_mb(),
    }


def making_201() -> Report:
    """Keeps a made-up table in the shape of the official NAS-Bench-201."""
    import numpy as np

    import nasx
    from nasx.metric import Metric
    from nasx.table_file import Table
    from nasx.tables import store

    space, rng = nasx.get_search_space("nasbench201"), np.random.default_rng(0)
    metrics = [
        Metric.of(f"{part}_accuracy", "percent", "maximize", dataset=dataset, epochs=epochs, seed=seed)
        for dataset in ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
        for part in ("training", "validation", "test")
        for epochs in (12, 200)
        for seed in (777, 888, 999, "mean")
    ]
    columns = {metric.name: rng.uniform(10, 95, space.size or 0) for metric in metrics}
    indices = np.arange(space.size or 0)
    store(Table("nasbench201-official", space, indices, columns, {metric.name: metric for metric in metrics}))
    return {"columns": len(columns)}


def opening(name: str, dataset: str) -> Report:
    """Opens a table, then asks it a first question."""
    import nasx

    before, cpu = resident_mb(), time.process_time()
    bench, seconds = timed(lambda: nasx.load_benchmark(name, dataset=dataset or None))
    opened, cpu_seconds = resident_mb(), time.process_time() - cpu
    metric = next(iter(bench.metrics))
    _, first = timed(lambda: bench.query(bench.architectures([0])[0], metric))
    return {
        "rows": len(bench),
        "columns": len(bench.metrics),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "new_resident_mb": opened - before,
        "first_query_seconds": first,
        "new_resident_mb_after_a_query": resident_mb() - before,
    }


def querying(name: str, dataset: str, metric: str) -> Report:
    """One query in each form an architecture may have; a million values at once."""
    import numpy as np

    import nasx

    bench = nasx.load_benchmark(name, dataset=dataset or None)
    space, rng = bench.space, np.random.default_rng(0)
    rows = rng.permutation(len(bench))[:QUERIES]
    objects = bench.architectures(rows)
    forms = {"object": objects, "index": space.indices(objects).tolist(), "text": bench.formatted(rows)}
    if name == "nasbench101":
        forms["hash"] = space.canonical_keys(objects)
    words = {"epochs": 108, "seed": "mean"} if name == "nasbench101" else {}
    report: Report = {}
    for form, architectures in forms.items():
        bench.query(architectures[0], metric, **words)

        def ask(architectures: list[Any] = architectures) -> None:
            for architecture in architectures:
                bench.query(architecture, metric, **words)

        wall, cpu = median_seconds(ask)
        report[f"query_microseconds_by_{form}"] = wall / len(architectures) * 1e6
        report[f"query_cpu_microseconds_by_{form}"] = cpu / len(architectures) * 1e6
    indices = rng.choice(space.indices(bench.architectures()), size=MILLION)
    many = [space.architecture(index) for index in indices[: MILLION // 10].tolist()]
    for name, asked in (("million_values_by_index", indices), ("hundred_thousand_values_by_object", many)):
        wall, cpu = median_seconds(lambda asked=asked: bench.values(asked, metric, **words))
        report |= {f"{name}_seconds": wall, f"{name}_cpu_seconds": cpu}
    return report


def published(path: str) -> Report:
    """Every published hash: found, the cell isomorphic, the trainable parameters as stated."""
    import numpy as np
    import pandas as pd

    from nasx.search_spaces.graph import Graph
    from nasx.search_spaces.nasbench101 import NASBench101
    from nasx.search_spaces.nasbench101_parameters import trainable_parameters

    frame, space = pd.read_parquet(path), NASBench101()
    by_hash, hash_seconds = timed(lambda: space.indices_of_hashes(frame.module_hash.tolist()))
    by_cell, cell_seconds = timed(lambda: space.indices_of_text(frame.adjacency.tolist(), frame.operations.tolist()))
    counts = []
    for start in range(0, len(frame), 20_000):
        rows = frame.iloc[start : start + 20_000]
        graphs = [
            Graph(names.split(","), [[int(digit) for digit in row] for row in matrix.split("/")])
            for matrix, names in zip(rows.adjacency, rows.operations, strict=True)
        ]
        counts.append(trainable_parameters(graphs))
    return {
        "cells": len(frame),
        "hash_belongs_to_an_isomorphic_cell": int((by_hash == by_cell).sum()),
        "parameters_as_stated": int((np.concatenate(counts) == frame.trainable_parameters.to_numpy()).sum()),
        "look_up_all_hashes_seconds": hash_seconds,
        "look_up_all_cells_seconds": cell_seconds,
    }


MEASUREMENTS: dict[str, Callable[..., Report]] = {
    function.__name__: function
    for function in (enumerating, generating, importing, making_201, opening, querying, published)
}


def measured(folder: Path, name: str, *words: str, repeats: int = 1) -> Report:
    """A measurement in processes of its own, with its own cache folder; medians of the repeats."""
    environment = os.environ | {"NASX_DATA": str(folder)}
    command = [sys.executable, __file__, "--measure", name, *words]
    reports = []
    for _ in range(repeats):
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        reports.append(json.loads(result.stdout))
    median = {key: statistics.median(report[key] for report in reports) for key in reports[0]}
    print(name, *words, json.dumps(median), file=sys.stderr, flush=True)
    return median


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a piece of work and its wall-clock time in seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def median_seconds(work: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """The median wall-clock time of a piece of work, and the processor time, in seconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        start = time.process_time()
        walls.append(timed(work)[1])
        cpus.append(time.process_time() - start)
    return statistics.median(walls), statistics.median(cpus)


def resident_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """The most memory this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="also the file of all four lengths of training")
    parser.add_argument("--published", type=Path, default=ROOT.parent / "shared" / "data" / "nasbench101.parquet")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, *words = arguments.measure
        print(json.dumps(MEASUREMENTS[name](*words)))
        return
    if arguments.out is None:
        parser.error("say where the results go, with --out")
    report: Report = {
        "command": shlex.join(["python", *sys.argv]),
        "repeats": arguments.repeats,
        "versions": {package: version(package) for package in ("nasx", "numpy", "safetensors", "protobuf")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average_at_start": os.getloadavg()[0],
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        report["enumerate_and_hash"] = measured(folder / "hashes", "enumerating")
        names = {"nasbench101": "108"} | ({"nasbench101-full": "4,12,36,108"} if arguments.full else {})
        for name, epochs in names.items():
            file = folder / f"{name}.tfrecord"
            measured(folder / "hashes", "generating", str(file), epochs)
            report[f"import {name}"] = measured(folder / f"data-{name}", "importing", name, str(file))
            file.unlink()
        data = folder / "data-nasbench101"
        measured(data, "making_201")
        tables = [
            ("nasbench101", ""),
            ("nasbench201-official", "cifar10"),
            ("nasbench201", ""),
            ("nasbench-graph", "cora"),
        ]
        for name, dataset in tables:
            measured(data, "opening", name, dataset)  # embedded tables are unpacked into the cache folder once
            report[f"open {name}"] = measured(data, "opening", name, dataset, repeats=arguments.repeats)
        if arguments.full:
            full = folder / "data-nasbench101-full"
            report["open nasbench101-full"] = measured(
                full, "opening", "nasbench101-full", "", repeats=arguments.repeats
            )
        report["query nasbench101"] = measured(data, "querying", "nasbench101", "", "test_accuracy")
        report["query nasbench201"] = measured(data, "querying", "nasbench201", "", "test_accuracy")
        if arguments.published.exists():
            report["published"] = measured(data, "published", str(arguments.published))
    report["load_average_at_end"] = os.getloadavg()[0]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
