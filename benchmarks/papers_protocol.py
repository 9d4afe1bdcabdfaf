"""The papers' protocol: the first cells train and all cells are ranked, by the default and by the published presets.

    python benchmarks/papers_protocol.py --benchmark path/to/nasbench201.parquet --space nasbench201 \
        --out benchmarks/results/grid-nasbench201-prefix
    python benchmarks/papers_protocol.py --benchmark path/to/nasbench101.parquet --space nasbench101 \
        --out benchmarks/results/grid-nasbench101-prefix

Three repeats that differ by the predictor's seed; slow presets make fewer epochs than published (EPOCHS). Writes what
``nasx evaluate --out`` writes and prints the table of docs/results.md. What the folder holds is not run again;
one core needs eight hours for all of NAS-Bench-201 and seven for NAS-Bench-101. ``--only PRESET`` takes one of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import nasx
from nasx.evaluation_report import EvaluationReport
from nasx.published import published

METRICS = {
    "nasbench201": {"target": "cifar10_validation_accuracy", "rank_against": "cifar10_test_accuracy"},
    "nasbench101": {"target": "validation_accuracy_best_of_3", "rank_against": "test_accuracy"},
}
TEST_SIZE = {"nasbench201": None, "nasbench101": 50_000}
ALL = 0
"""All epochs that the preset has."""
EPOCHS = {
    "nasbench201": {
        "nar-former-v2": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: ALL},
        "nar-former-v2:paper": {78: 100, 156: 100, 469: 100, 781: 100, 1563: 25},
        "nn-former:paper": {78: 300, 156: 50, 469: 50, 781: 25, 1563: 12},
        "nn-former:described": {156: 50},
        "nar-former-v1:paper": {78: 200, 156: 50, 469: 50, 781: 50, 1563: 12},
        "gcn:paper": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: 50},
        "gcn:neural-predictor": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: ALL},
        "tnasp:paper": {78: ALL, 156: ALL, 469: ALL, 781: 50, 1563: 50},
        "gates:paper": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: ALL},
        "nnlp:paper": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: ALL},
        "bananas:paper": {78: ALL, 156: ALL, 469: ALL, 781: ALL, 1563: ALL},
    },
    "nasbench101": {
        "nar-former-v2": {100: ALL, 172: ALL, 424: ALL, 4236: ALL},
        "nar-former-v2:paper": {100: 100, 172: 100, 424: 100, 4236: 10},
        "nn-former:paper": {100: 300, 172: 50, 424: 50, 4236: 5},
        "nn-former:described": {172: 50},
        "nar-former-v1:paper": {100: 200, 172: 50, 424: 50, 4236: 5},
        "gcn:paper": {100: ALL, 172: ALL, 424: ALL, 4236: 50},
        "gcn:neural-predictor": {100: ALL, 172: ALL, 424: ALL, 4236: 50},
        "tnasp:paper": {100: ALL, 172: ALL, 424: ALL, 4236: 50},
        "gates:paper": {100: ALL, 172: ALL, 424: ALL, 4236: ALL},
        "nnlp:paper": {100: ALL, 172: ALL, 424: ALL, 4236: ALL},
        "bananas:paper": {100: ALL, 172: ALL, 424: ALL, 4236: ALL},
    },
}
"""The training sizes of each preset, and the epochs it makes there."""


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--space", choices=list(EPOCHS), required=True)
    parser.add_argument("--only", help="One preset of EPOCHS instead of all.")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    presets = [preset for preset in EPOCHS[arguments.space] if arguments.only in (None, preset)]
    if not presets:
        parser.error(f"--only {arguments.only}: {arguments.space} has {', '.join(EPOCHS[arguments.space])}")
    bench = nasx.load_benchmark(arguments.benchmark, space=arguments.space)
    for preset in presets:
        for size, epochs in EPOCHS[arguments.space][preset].items():
            report = nasx.evaluate(
                label(preset, epochs),
                bench,
                train_sizes=[size],
                repeats=3,
                split="prefix",
                n_jobs=arguments.jobs,
                test_size=TEST_SIZE[arguments.space],
                out=arguments.out,
                **METRICS[arguments.space],
            )
            print(f"{label(preset, epochs)} at {size} cells is done", flush=True)
    print("\n".join(table(report, arguments.space, presets)))


def label(preset: str, epochs: int) -> str:
    """The preset with a number of epochs, or as it is."""
    return f"{preset},epochs={epochs}" if epochs else preset


def table(report: EvaluationReport, space: str, presets: list[str]) -> Iterator[str]:
    """Kendall's tau by training size: mean ± deviation and in brackets the epochs, where fewer than published."""
    summary = report.summary().set_index(["predictor", "train_size"])
    sizes = EPOCHS[space]["nar-former-v2"]
    yield "| predictor | " + " | ".join(f"{size:,}" for size in sizes) + " |\n|---|" + "---|" * len(sizes)
    for preset in presets:
        cells = dict.fromkeys(sizes, "")
        for size, epochs in EPOCHS[space][preset].items():
            row = summary.loc[label(preset, epochs), size]
            cells[size] = f"{row.kendall_tau_mean:.3f} ± {row.kendall_tau_std:.3f}" + (f" [{epochs}]" if epochs else "")
        yield f"| {preset} | " + " | ".join(cells.values()) + " |"
    for name in dict.fromkeys(row.predictor for row in published(space)):
        known = {row.train_size: f"{row.kendall_tau:.3f}" for row in published(space) if row.predictor == name}
        yield f"| {name}, published | " + " | ".join(known.get(size, "") for size in sizes) + " |"


if __name__ == "__main__":
    main()
