"""The measuring process: a network that hangs or crashes takes only it along."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the package onnxruntime: pip install 'nasx[latency]'")

sys.path.insert(0, str(Path(__file__).parent))
from latency_networks import QUICK, write_networks

from nasx.latency_process import Worker


def test_accidents_are_answers_and_the_next_network_is_measured(tmp_path: Path) -> None:
    path = write_networks(tmp_path, 1) / "net-00.onnx"
    with Worker(asdict(QUICK), time_limit=60) as worker:
        assert worker.measure(path)["latency_ms"] > 0
        assert worker._process is not None
        worker._process.kill()  # as a crash of the runtime does
        worker._process.wait()
        assert worker.measure(path)["error"] == "the runtime broke down (signal 9)"
        assert worker.measure(path)["runs"] >= 2
        worker._limit = 0.0
        assert worker.measure(path)["error"] == "not measured within 0 s"
        assert worker._process is None
        worker._limit = 60.0
        missing = worker.measure(tmp_path / "gone.onnx")
        assert "No such file" in missing["error"]
    assert worker._process is None
