"""What does reading the official NAS-Bench-201 and NATS-Bench files cost, and what would all 15,625 cells take?

    python benchmarks/nasbench201_files.py --out benchmarks/results/nasbench201_files.json

The files are made up, in the exact layout: whole learning curves of 12 and 200 epochs, three seeds for every cell and
data set (the real ones have 2.4 on average). Two sizes are read, each in a process of its own; what all cells would
take is the straight line through both.
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
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ALL = 15_625


def write(form: str, count: int, folder: Path) -> Path:
    """Writes a file of that form."""
    from tests.nasx import miniature_nasbench201 as miniature

    make = miniature.nats_contents if form.startswith("nats") else miniature.contents
    return miniature.write_form(folder, form, make(count, every_seed=True))


def read(form: str, path: str) -> dict[str, Any]:
    """Reads it, in a process that has done nothing else."""
    from nasx import official_nasbench201

    reader = official_nasbench201.read_nats if form.startswith("nats") else official_nasbench201.read
    before, wall, cpu = _peak_mb(), time.perf_counter(), time.process_time()
    table = reader(path)
    return {
        "cells": len(table),
        "columns": len(table.columns),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": _peak_mb(),
        "peak_mb_before": before,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def main() -> None:
    """Parses the command line, measures, writes the JSON and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sizes", type=int, nargs=2, default=(50, 250))
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.append(str(ROOT))
    if arguments.read:
        print(json.dumps(read(*arguments.read)))
        return
    if arguments.write:
        form, count, folder = arguments.write
        print(json.dumps(str(write(form, int(count), Path(folder)))))
        return
    report: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "versions": {package: version(package) for package in ("nasx", "numpy", "torch")},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average_at_start": os.getloadavg()[0],
    }
    for form in ("v1_1", "v1_1-zip", "nats-tar"):
        points = []
        for size in arguments.sizes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(_in_process("--write", form, str(size), folder))
                points.append({**_in_process("--read", form, str(path)), "bytes": _bytes(path)})
        small, large = points
        slope = {
            key: (large[key] - small[key]) / (large["cells"] - small["cells"]) for key in small if key != "columns"
        }
        every = {key: round(large[key] + slope[key] * (ALL - large["cells"]), 1) for key in slope}
        report[form] = {"measured": points, f"all_{ALL}_cells_would_take": every}
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")


def _in_process(*words: str) -> Any:
    done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
