"""Networks small enough to measure in a test, and ways to go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasx.latency_measure import Settings
from nasx.network_builder import NetworkBuilder
from nasx.network_families import FAMILY_KEY

QUICK = Settings(warmup=0, runs=2, seconds=0.0)


def tiny(channels: int, family: str = "chain", depth: int = 1, resolution: int = 16) -> Any:
    """A chain of convolutions as a model without stored weights."""
    net = NetworkBuilder(resolution)
    features = net.input
    for _ in range(depth):
        features = net.conv(features, channels, 3)
    return net.model(net.linear(net.flatten(net.mean(features)), 3), "tiny", {FAMILY_KEY: family})


def write_networks(folder: Path, count: int = 3) -> Path:
    """A folder of so many networks, which get dearer, of two families."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        model = tiny(8 * (number + 1), "wide" if number % 2 else "narrow", depth=1 + number % 3)
        (folder / f"net-{number:02d}.onnx").write_bytes(model.SerializeToString())
    return folder


def write_failing(folder: Path) -> Path:
    """A valid graph that a runtime refuses: an operator that nobody has."""
    model = tiny(8, "broken")
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = "Magic", "nowhere"
    entry = model.opset_import.add()
    entry.domain, entry.version = "nowhere", 1
    path = folder / "net-zz.onnx"
    path.write_bytes(model.SerializeToString())
    return path
