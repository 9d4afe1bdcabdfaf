"""Torch modules as graphs: operations, costs, and what cannot be traced."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nasx.search_spaces.choice_space import TRACED_CANDIDATES, ChoiceSpace
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.module_network import is_module, read_module, trace_module


class Small(nn.Module):
    """Two convolutions of a kind, with a shortcut."""

    def __init__(self, kernel: int = 3, groups: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.inner = nn.Conv2d(8, 8, kernel, padding=kernel // 2, groups=groups)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.pool(x + self.inner(x))
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Text(nn.Module):
    """Embedding, attention, a recurrent layer, and tied weights."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.symbols = nn.Embedding(50, 16)
        self.places = nn.Parameter(torch.zeros(9, 16))
        self.attention = nn.TransformerEncoderLayer(16, heads, 24, dropout=0.1, batch_first=True, norm_first=True)
        self.memory = nn.LSTM(16, 12, 2, batch_first=True)
        self.narrow = nn.Linear(12, 16)
        self.out = nn.Linear(16, 50, bias=False)
        self.out.weight = self.symbols.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(self.symbols(x) + self.places[: x.shape[1]])
        return self.out(0.5 * self.narrow(self.memory(x)[0]))


class Undecided(nn.Module):
    """What it does depends on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


def test_a_network_of_convolutions() -> None:
    module = Small()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(2, 3, 8, 8))
    graph = read_module(module, (2, 3, 8, 8))
    assert graph.operations == (
        "input", "Conv", "BatchNormalization", "Relu", "Conv", "Add", "MaxPool", "GlobalAveragePool", "Gemm", "output",
    )  # fmt: skip
    assert graph.edges == ((0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9))
    assert graph.attributes["flops"] == counter.get_total_flops()
    assert graph.attributes["parameters"] == sum(value.numel() for value in module.parameters())
    assert graph.attributes["batch_size"] == 2
    table = graph.node_attributes
    assert table is not None
    rows = [dict(zip(graph.node_attribute_names, row, strict=True)) for row in table.tolist()]
    assert [rows[1][f"{name}_height"] for name in ("kernel", "stride", "pad_begin", "pad_end")] == [3, 2, 1, 1]
    assert [rows[1][f"output_{place}"] for place in range(4)] == [2, 8, 4, 4]
    assert (rows[1]["parameters"], rows[1]["macs"], rows[6]["kernel_width"]) == (216, 2 * 8 * 16 * 27, 2)


def test_it_counts_like_the_onnx_file_of_the_same_network() -> None:
    pytest.importorskip("onnx")
    from nasx.onnx_export import to_onnx
    from nasx.search_spaces.onnx_network import read_network

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 6, 5, 2, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2, 1))
            self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.flatten(self.pool(self.body(x)), 1))

    module = Plain()
    traced, written = trace_module(module, (1, 3, 9, 9)), read_network(to_onnx(module, (1, 3, 9, 9)))
    layers = [layer for layer in written.layers if layer.operation != "Flatten"]
    assert [(one.operation, one.macs, one.parameters, one.memory_bytes) for one in traced.layers] == [
        (one.operation, one.macs, one.parameters, one.memory_bytes) for one in layers
    ]
    assert [one.window for one in traced.layers] == [one.window for one in layers]
    assert (traced.macs, traced.depth, traced.unknown_shapes) == (written.macs, written.depth - 1, 0)


def test_a_network_for_text() -> None:
    module, example = Text(), torch.zeros(1, 7, dtype=torch.long)
    graph = read_module(module, example)
    assert graph.attributes["parameters"] == sum(value.numel() for value in module.parameters())
    assert {"Gather", "Attention", "LSTM", "LayerNormalization", "MatMul", "Mul"} <= set(graph.operations)
    assert "Dropout" not in graph.operations
    attention = 7 * 16 * (3 * 16 + 16 + 2 * 24) + 2 * 7 * 7 * 16
    memory = 7 * sum(value.numel() for name, value in module.memory.named_parameters() if "weight" in name)
    assert graph.attributes["macs"] == attention + memory + 7 * 12 * 16 + 7 * 16 * 50


def test_detailed_labels_tell_choices_apart() -> None:
    labels = read_module(Small(5, groups=8), (1, 3, 8, 8), detailed=True).operations
    assert labels[1:5] == ("Conv3x3/2-8", "BatchNormalization", "Relu", "Conv5x5dw-8")
    assert labels[6:9] == ("MaxPool2x2/2", "GlobalAveragePool", "Gemm-10")
    labels = read_module(Text(heads=4), torch.zeros(1, 7, dtype=torch.long), detailed=True).operations
    assert {"Gather-16", "Attention-4h", "MatMul-24", "Dropout0.1", "LSTM-12x2", "Mul0.5"} <= set(labels)
    options = nn.Sequential(nn.Conv1d(4, 6, 3, dilation=2, groups=2), nn.LeakyReLU(0.2), nn.GELU("tanh"), nn.ELU())
    assert read_module(options, (1, 4, 9), detailed=True).operations[1:-1] == (
        "Conv3d2g2-6", "LeakyRelu0.2", "GeluTanh", "Elu1",
    )  # fmt: skip


def test_the_module_stays_as_it_is() -> None:
    module = Small().train()
    module.inner.eval()
    state, threshold = torch.get_rng_state(), logging.root.manager.disable
    read_module(module, torch.zeros(1, 3, 8, 8))
    assert (module.training, module.stem.training, module.inner.training) == (True, True, False)
    assert torch.equal(torch.get_rng_state(), state)
    assert logging.root.manager.disable == threshold


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (Undecided(), (1, 3), "the module Undecided works but cannot be traced by torch.export .*data-dependent"),
        (Small(), (1, 4, 8, 8), r"cannot be called with an input of shape \(1, 4, 8, 8\): RuntimeError: .*channels"),
        (nn.Identity(), (1, 3), "does nothing with its input"),
        (Small(), "big", "the example of a module is the shape of its input"),
        (Small(), (), "the example of a module is the shape of its input"),
        ("a network", (1, 3), "a torch.nn.Module is expected; got 'a network'"),
    ],
)
def test_what_cannot_be_traced_is_one_sentence(
    module: Any, example: Any, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read_module(module, example)
    assert "\n" not in str(raised.value)
    assert not "".join(capfd.readouterr())


def build(chosen: dict[str, Any]) -> nn.Module:
    """Layers of a width; one activation cannot be traced."""
    width, activation = chosen["width"], {"relu": nn.ReLU, "bad": Undecided, "tanh": nn.Tanh}[chosen["activation"]]
    layers = [part for _ in range(chosen["depth"]) for part in (nn.Linear(3, 3), activation())]
    return nn.Sequential(*layers, nn.Linear(3, width))


CHOICES = {"depth": [1, 2], "width": [4, 8], "activation": ["relu", "bad", "tanh"]}


def test_a_space_of_modules() -> None:
    space = ChoiceSpace("modules", CHOICES, build, example=(1, 3))
    state = torch.get_rng_state()
    drawn = space.samples(12, np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert {activation for *_, activation in drawn} == {"relu", "tanh"}
    assert all("cannot be traced" in said for said in space.failures.values())
    graph = space.graph((2, 8, "tanh"))
    assert graph.operations == ("input", "Gemm-3", "Tanh", "Gemm-3", "Tanh", "Gemm-8", "output")
    assert graph.attributes["parameters"] == 2 * 12 + 32
    assert space.graph((2, 8, "tanh")) is graph
    assert space.network((1, 4, "relu"))(torch.zeros(1, 3)).shape == (1, 4)
    assert space.inner_candidates == TRACED_CANDIDATES
    with pytest.raises(UsageError, match="fails for depth=1,width=4,activation=bad: the module Sequential works but"):
        space.graph((1, 4, "bad"))


def test_the_example_may_depend_on_the_configuration() -> None:
    def line(chosen: dict[str, Any]) -> nn.Module:
        return nn.Linear(chosen["inputs"], 2)

    space = ChoiceSpace("lines", {"inputs": [3, 5]}, line, example=lambda chosen: (1, chosen["inputs"]))
    assert [space.graph(a).attributes["macs"] for a in space.enumerate()] == [6, 10]


def test_a_graph_function_beside_the_module() -> None:
    def quick(chosen: dict[str, Any]) -> Graph:
        return Graph([str(chosen)], [[0]])

    space = ChoiceSpace("quick", CHOICES, build, graph=quick)
    assert space.graph((1, 4, "bad")).num_nodes == 1
    assert is_module(space.network((1, 4, "bad")))
    assert space.inner_candidates is None
    with pytest.raises(
        UsageError, match="the build function of quick fails for depth=1,width=4,activation=relu: Value"
    ):
        ChoiceSpace("quick", CHOICES, lambda chosen: int("x"), graph=quick).network((1, 4, "relu"))


def test_a_module_without_an_example_says_so_at_once() -> None:
    space = ChoiceSpace("modules", CHOICES, build)
    with pytest.raises(
        UsageError, match=r"modules builds torch modules; say what they are called with.*example=\(1, 3"
    ):
        space.sample(np.random.default_rng(0))
