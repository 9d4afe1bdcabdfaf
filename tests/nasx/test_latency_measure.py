"""Measuring: everything is written down at once, failures are recorded, an interrupted run continues."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the package onnxruntime: pip install 'nasx[latency]'")

sys.path.insert(0, str(Path(__file__).parent))
from latency_networks import QUICK, tiny, write_failing, write_networks

from nasx import latency_measure
from nasx.benchmark import load_benchmark
from nasx.latency_facts import read_facts
from nasx.latency_measure import Settings, measure, measured_so_far
from nasx.latency_stopwatch import Stopwatch
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.onnx_network import read_onnx


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()][1:]


def test_networks_become_a_benchmark(tmp_path: Path) -> None:
    """Rows, graphs and metadata; a network that fails is recorded, the rest goes on."""
    folder = write_networks(tmp_path / "nets", 4)
    write_failing(folder)
    seen: list[tuple[int, int]] = []
    out = tmp_path / "mine.parquet"
    measured = measure([folder], out, QUICK, repeat_share=0.5, progress=lambda done, total: seen.append((done, total)))
    assert len(measured.latencies_ms) == 4
    assert list(measured.failures) == ["net-zz"]
    assert "Magic" in measured.failures["net-zz"]
    assert seen[-1] == (7, 7)  # 5 networks, 2 of them twice
    assert (measured.latencies_ms > 0).all()
    assert measured.drift >= 0
    facts = read_facts(out)
    assert facts["settings"]["runs"] == 2
    assert facts["machine"] == measured.machine
    benchmark = load_benchmark(out)
    assert (benchmark.target, benchmark.direction, len(benchmark)) == ("latency_ms", "minimize", 5)
    values = benchmark.values()
    assert np.isnan(values[4])
    assert np.isfinite(values[:4]).all()
    graphs = benchmark.graphs()
    assert sorted(graphs.attributes) == ["batch_size", "flops", "macs", "memory_bytes", "parameters"]
    for row, name in enumerate(benchmark.architectures()[:4]):
        graph = read_onnx(folder / f"{name}.onnx")
        assert graphs[row] == graph  # operations, edges, all numbers of all nodes


def test_what_is_measured_stays_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after two networks, the run goes on with the third; a changed file is measured anew."""
    folder, out = write_networks(tmp_path / "nets", 3), tmp_path / "mine.parquet"
    asked: list[str] = []
    stop = 2

    class Worker:
        def __init__(self, settings: object, time_limit: float) -> None: ...
        def __enter__(self) -> Worker:
            return self

        def __exit__(self, *_: object) -> None: ...
        def measure(self, path: Path) -> dict[str, float]:
            if len(asked) == stop:
                raise KeyboardInterrupt
            asked.append(path.stem)
            numbers = {"latency_ms": 3.0, "minimum_ms": 2.5, "runs": 9, "reference_ms": 2.0}
            return {**numbers, "ratio_low": 1.0, "ratio": 1.5, "ratio_high": 2.0}

    monkeypatch.setattr(latency_measure, "Worker", Worker)
    with pytest.raises(KeyboardInterrupt):
        measure([folder], out, QUICK, repeat_share=0)
    assert measured_so_far(out) == 2
    assert not out.exists()
    journal = tmp_path / "mine.journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"network": "net-0')  # killed while it wrote
    stop = 99
    measure([folder], out, QUICK, repeat_share=0)
    assert sorted(asked) == ["net-00", "net-01", "net-02"]
    measure([folder], out, QUICK, repeat_share=0)
    assert len(asked) == 3
    (folder / "net-01.onnx").write_bytes(tiny(24).SerializeToString())
    measure([folder], out, QUICK, repeat_share=0)
    assert asked[3:] == ["net-01"]
    measured = measure([folder], out, QUICK, rounds=2, repeat_share=0)
    assert len(asked) == 7
    assert measured.repeatability == (0.0, 0.0)
    assert load_benchmark(out).values().tolist() == [3.0] * 3  # 1.5 times the reference


def test_latencies_are_adjusted_by_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is half as fast while the second half is measured: equal networks get equal latencies."""
    folder, out = tmp_path / "nets", tmp_path / "mine.parquet"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.onnx").write_bytes(tiny(8).SerializeToString())
    slow = iter([1.0, 1.0, 1.0, 2.0])

    class Worker:
        def __init__(self, settings: object, time_limit: float) -> None: ...
        def __enter__(self) -> Worker:
            return self

        def __exit__(self, *_: object) -> None: ...
        def measure(self, path: Path) -> dict[str, float]:
            factor = next(slow)
            numbers = {"latency_ms": 6 * factor, "minimum_ms": 5 * factor, "runs": 9, "reference_ms": 2 * factor}
            return {**numbers, "ratio_low": 2.9, "ratio": 3.0, "ratio_high": 3.1}

    monkeypatch.setattr(latency_measure, "Worker", Worker)
    measured = measure([folder], out, QUICK, repeat_share=0)
    benchmark = load_benchmark(out)
    np.testing.assert_allclose(benchmark.values(), 6.0)
    np.testing.assert_allclose(benchmark.values(metric="spread_ms"), 0.4, rtol=1e-4)
    assert sorted(benchmark.values(metric="unadjusted_latency_ms")) == [6, 6, 6, 12]
    assert measured.drift == pytest.approx(0.7)


def test_killed_nothing_is_lost(tmp_path: Path) -> None:
    """SIGKILL in the middle: what the journal holds is not measured again."""
    folder, out = write_networks(tmp_path / "nets", 12), tmp_path / "mine.parquet"
    options = ["--runs", "2", "--warmup", "0", "--seconds", "0.05", "--repeat-share", "0"]
    command = [sys.executable, "-m", "nasx", "latency", "measure", str(folder), "--out", str(out), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "mine.journal.jsonl"
    limit = time.monotonic() + 60
    while (not journal.exists() or journal.read_bytes().count(b"\n") < 4) and time.monotonic() < limit:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = records(journal)
    assert 3 <= len(kept) < 12
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "12 networks measured" in done.stdout
    every = records(journal)
    assert every[: len(kept)] == kept
    assert sorted(record["network"] for record in every) == [f"net-{number:02d}" for number in range(12)]


def test_the_processor_s_clock_does_not_count_waiting() -> None:
    settings = asdict(Settings(warmup=0, runs=1, seconds=0.0, clock="processor"))
    waiting, wall = Stopwatch(settings)._timed(lambda: time.sleep(0.2)), Stopwatch({**settings, "clock": "wall"})
    assert waiting < 100 < wall._timed(lambda: time.sleep(0.2))


def test_the_processor_s_clock_is_for_one_thread() -> None:
    with pytest.raises(UsageError, match="--clock processor counts one thread"):
        Settings(clock="processor", threads=2)
    with pytest.raises(UsageError, match="unknown clock 'sun'; known: processor, wall"):
        Settings(clock="sun")


def test_another_batch_size(tmp_path: Path) -> None:
    folder, out = write_networks(tmp_path / "nets", 1), tmp_path / "mine.parquet"
    measure([folder], out, Settings(warmup=0, runs=1, seconds=0.0, batch_size=3), repeat_share=0)
    graph = load_benchmark(out).graphs()[0]
    assert graph.attributes["batch_size"] == 3
    assert graph.attributes["macs"] == 3 * read_onnx(folder / "net-00.onnx").attributes["macs"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"places": ["nowhere"]}, "there is no file or folder 'nowhere'"),
        ({"out": "table.csv"}, "must be a file that ends in .parquet; type --out table.parquet"),
        ({"settings": Settings(provider="QuantumExecutionProvider")}, "unknown execution provider"),
        ({"rounds": 0}, "--rounds is at least 1"),
        ({"time_limit": 0.0}, "--time-limit above 0"),
    ],
)
def test_wrong_requests_are_explained(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    arguments = {"places": [write_networks(tmp_path / "nets", 1)], "out": tmp_path / "mine.parquet", **options}
    with pytest.raises(UsageError, match=re.escape(message)):
        measure(**arguments)


def test_wrong_settings_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--runs must be at least 1; got 0"):
        Settings(runs=0)


def test_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    write_failing(tmp_path / "nets")
    (tmp_path / "nets" / "text.onnx").write_text("no network")
    with pytest.raises(NasxError, match="no network could be measured"):
        measure([tmp_path / "nets"], tmp_path / "mine.parquet", QUICK)
    kept = {record["network"]: record["error"] for record in records(tmp_path / "mine.journal.jsonl")}
    assert kept["text"].endswith("is not an ONNX file, or a truncated one")
