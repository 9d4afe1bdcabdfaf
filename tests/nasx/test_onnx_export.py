"""What is written as ONNX computes what the torch module computes, and costs the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

onnx = pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")

from nasx.cell_networks import NASBench101Network, NASBench201Network, build_network  # noqa: E402
from nasx.onnx_export import OPSET, save_onnx, to_onnx  # noqa: E402
from nasx.search_spaces.errors import UsageError  # noqa: E402
from nasx.search_spaces.graph import Graph  # noqa: E402
from nasx.search_spaces.onnx_network import read_network  # noqa: E402


def with_history(network: nn.Module) -> nn.Module:
    """Weights and statistics as after training: nothing is one or zero by chance."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in [*network.parameters(), *network.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return network


def cell101() -> Graph:
    edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4), (0, 4)]
    return Graph.from_edges(["input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output"], edges)


NETWORKS: dict[str, Any] = {
    "nasbench201": lambda: NASBench201Network(
        ("nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3"), 10, 4, 1
    ),
    "nothing": lambda: NASBench201Network(("none",) * 6, 10, 4, 1),
    "skips": lambda: NASBench201Network(("skip_connect",) * 6, 10, 4, 1),
    "nasbench101": lambda: NASBench101Network(cell101(), channels=7),
    "one layer": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, dilation=2)),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 6, (3, 1), padding=(1, 0), groups=3), nn.MaxPool2d(2), nn.Identity()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_computes_the_same(name: str) -> None:
    network = with_history(NETWORKS[name]()).train()
    model = to_onnx(network, (2, 3, 8, 8))
    assert network.training
    onnx.checker.check_model(model, full_check=True)
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        expected = network.eval()(images).numpy()
    got = onnx.reference.ReferenceEvaluator(model).run(None, {"images": images.numpy()})[0]
    assert np.allclose(got, expected, rtol=1e-3, atol=1e-4)
    read = read_network(model)
    assert read.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert (read.opset, read.unknown_shapes, read.batch_size) == (OPSET, 0, 2)


@pytest.mark.parametrize(
    ("cell", "millions", "flops_millions"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_1x1~2|", 0.400346, 54.96897),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 0.316346, 43.17249),
    ],
)
def test_untrained_benchmark_networks_have_the_published_costs(
    cell: str, millions: float, flops_millions: float
) -> None:
    """Dead convolutions count, as they do in the benchmark; weights that are equal by chance are not merged."""
    read = read_network(to_onnx(build_network(cell), (1, 3, 32, 32)))
    assert read.parameters == round(millions * 1e6)
    assert read.macs + 10 == round(flops_millions * 1e6)


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1))
    path = save_onnx(network, tmp_path / "a.onnx", (1, 3, 4, 4))
    assert read_network(path).macs == 3 * 4 * 16
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.onnx"]
    with pytest.raises(UsageError, match=r"the folder '.*nowhere' does not exist"):
        save_onnx(network, tmp_path / "nowhere" / "a.onnx", (1, 3, 4, 4))
    with pytest.raises(UsageError, match="is a folder"):
        save_onnx(network, tmp_path, (1, 3, 4, 4))


class Foreign(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sin(images)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Foreign(), "calls 'sin'"),
        (nn.Sequential(nn.AvgPool1d(2)), "avg_pool1d"),
        (nn.Sequential(nn.GELU()), "gelu"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "AdaptiveAvgPool2d|pooling"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding="same")), "padding of '0'"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")), "padding of '0'"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), "pooling '0'"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), "normalisation '0'"),
    ],
)
def test_what_cannot_be_written_is_explained(network: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        to_onnx(network, (1, 3, 8, 8))
