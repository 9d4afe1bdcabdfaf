"""Networks of benchmark cells: parameters and multiply-adds are the benchmarks' own numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import nasx
from nasx.cell_networks import (
    Cell101Module,
    Cell201,
    NASBench101Network,
    NASBench201Network,
    build_network,
    vertex_channels,
)
from nasx.onnx_export import to_onnx
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101_parameters import trainable_parameters
from nasx.search_spaces.onnx_network import read_network

CLASSIFIER_BIAS = 10  # NAS-Bench-201 adds it to its FLOPs, which otherwise are the multiply-adds


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: nn.Module, side: int = 32) -> int:
    on_meta = network.eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        on_meta(torch.zeros(1, 3, side, side, device="meta"))
    flops: int = counter.get_total_flops()
    return flops // 2


@pytest.mark.parametrize(
    ("cell", "millions", "flops_millions"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_1x1~2|", 0.400346, 54.96897),
        ("|avg_pool_3x3~0|+|avg_pool_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|skip_connect~2|", 0.101306, 11.71521),
        ("|avg_pool_3x3~0|+|none~0|avg_pool_3x3~1|+|avg_pool_3x3~0|none~1|none~2|", 0.073306, 7.78305),
    ],
)
def test_published_numbers_of_nasbench201(cell: str, millions: float, flops_millions: float) -> None:
    network = build_network(cell)
    assert parameters(network) == round(millions * 1e6)
    assert multiply_adds(network) + CLASSIFIER_BIAS == round(flops_millions * 1e6)


@pytest.mark.data
def test_numbers_of_nasbench201_in_the_table(shared_data: Path) -> None:
    """Only convolutions cost: one cell for each number of 3x3 and 1x1 convolutions stands for all 15,625 rows."""
    pytest.importorskip("onnx", reason="needs the package onnx: pip install 'nasx[onnx]'")
    pd = pytest.importorskip("pandas")
    columns = ["architecture", "parameters_millions", "flops_millions"]
    table = pd.read_parquet(shared_data / "nasbench201.parquet", columns=columns)
    counts = [table["architecture"].str.count(name) for name in ("nor_conv_3x3", "nor_conv_1x1")]
    groups = table.groupby(counts)
    assert len(groups) == 28
    assert groups[columns[1:]].agg(np.ptp).to_numpy().max() < 1e-6
    for row in groups.sample(1, random_state=0).itertuples():
        network = build_network(row.architecture)
        assert np.float32(parameters(network) / 1e6) == np.float32(row.parameters_millions)
        flops = read_network(to_onnx(network, (1, 3, 32, 32))).macs + CLASSIFIER_BIAS
        assert flops / 1e6 == pytest.approx(row.flops_millions, rel=2e-7)  # the table has single precision


@pytest.mark.data
def test_numbers_of_nasbench101_in_the_table(shared_data: Path) -> None:
    pd = pytest.importorskip("pandas")
    columns = ["adjacency", "operations", "trainable_parameters"]
    table = pd.read_parquet(shared_data / "nasbench101.parquet", columns=columns)
    for row in table.sample(25, random_state=0).itertuples():
        with torch.device("meta"):
            network = build_network(f"{row.adjacency};{row.operations}", "nasbench101")
        assert parameters(network) == row.trainable_parameters


def test_nasbench101_has_the_parameters_that_are_counted() -> None:
    space = nasx.get_search_space("nasbench101")
    cells = space.samples(12, np.random.default_rng(0))
    counts = trainable_parameters(space.graphs(cells)).tolist()
    with torch.device("meta"):
        assert [parameters(build_network(cell, space)) for cell in cells] == counts
    rows = "0100110/0010000/0001001/0000010/0000010/0000001/0000000"
    names = "input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output"
    assert parameters(build_network(f"{rows};{names}", "nasbench101")) == 8_555_530


def test_text_and_graph_of_nasbench101_keep_their_numbering() -> None:
    """Three nodes share 128 channels as 43, 43, 42: which one gets 42 is a matter of their order."""
    edges = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]
    names = ["input", "conv3x3-bn-relu", "maxpool3x3", "maxpool3x3", "output"]
    first = Graph.from_edges(names, edges)
    last = Graph.from_edges([names[0], *names[3:0:-1], names[4]], edges)
    rows = "/".join("".join(str(int(entry)) for entry in row) for row in last.adjacency)
    with torch.device("meta"):
        counts = [parameters(build_network(cell, "nasbench101")) for cell in (first, last)]
        text = parameters(build_network(f"{rows}; {', '.join(last.operations)}", "nasbench101"))
    assert counts == trainable_parameters([first, last]).tolist()
    assert counts[0] != counts[1]
    assert text == counts[1]


def test_channels_of_nasbench101_nodes() -> None:
    matrix = [[entry == "1" for entry in row] for row in ["01100", "00010", "00001", "00001", "00000"]]
    assert vertex_channels(5, matrix) == [0, 2, 3, 2, 5]


def reference201(module: Cell201, features: torch.Tensor) -> torch.Tensor:
    """The definition: node j is the sum over i < j of operation (i, j) on node i."""
    nodes = [features]
    for j in (1, 2, 3):
        nodes.append(torch.stack([module.edges[f"{i}_{j}"](nodes[i]) for i in range(j)]).sum(0))
    return nodes[3]


def test_a_cell_of_nasbench201_is_its_definition() -> None:
    torch.manual_seed(0)
    cell = ("nor_conv_3x3", "avg_pool_3x3", "none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")
    module, features = Cell201(cell, 4).eval(), torch.randn(2, 4, 6, 6)
    assert torch.allclose(module(features), reference201(module, features), atol=1e-6)
    nothing = Cell201(("none",) * 6, 4)
    assert not nothing(features).any()


def test_a_cell_of_nasbench101_is_its_definition() -> None:
    """Input to every node through a projection; wider nodes are cut; the output joins, then adds the input."""
    edges = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4), (0, 4)]
    names = ["input", "conv1x1-bn-relu", "maxpool3x3", "conv3x3-bn-relu", "output"]
    torch.manual_seed(0)
    module, features = Cell101Module(Graph.from_edges(names, edges), 6, 7).eval(), torch.randn(2, 6, 5, 5)
    project, act = module.projections, module.operations
    one = act["1"](project["1"](features))
    two = act["2"](one[:, :4] + project["2"](features))
    three = act["3"](one[:, :3])
    assert (one.shape[1], two.shape[1], three.shape[1]) == (4, 4, 3)
    expected = torch.cat([two, three], 1) + project["4"](features)
    assert torch.allclose(module(features), expected, atol=1e-6)


def test_data_sets_and_seeds() -> None:
    cell = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    for dataset, classes, side in (("cifar10", 10, 32), ("cifar100", 100, 32), ("ImageNet16-120", 120, 16)):
        network = nasx.build_network(cell, "nasbench201", dataset=dataset).eval()
        assert network(torch.zeros(1, 3, side, side)).shape == (1, classes)
    before = torch.random.get_rng_state()
    one, same, other = (build_network(cell, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])


def test_small_networks_train() -> None:
    graph = Graph.from_edges(["input", "conv3x3-bn-relu", "maxpool3x3", "output"], [(0, 1), (1, 2), (2, 3), (0, 3)])
    for network in (NASBench101Network(graph, channels=4), NASBench201Network(("nor_conv_3x3",) * 6, 10, 4, 1)):
        network(torch.randn(2, 3, 8, 8)).sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("|none~0|",), "no NAS-Bench-201 cell"),
        (("x", "nasbench-graph"), "unknown search space with networks 'nasbench-graph'; known: nasbench101"),
        (("x", "nasbench101"), "no NAS-Bench-101 cell"),
        ((Graph(["input", "output"], [[0, 0], [0, 0]]), "nasbench101"), "a path from input to output"),
        ((Graph.from_edges(["input", "x", "output"], [(0, 1), (1, 2)]), "nasbench101"), "unknown operation"),
        ((Graph.from_edges(["input", "x", "output"], [(0, 1), (1, 2)]), "nasbench201"), "no NAS-Bench-201 cell"),
    ],
)
def test_what_has_no_network_is_explained(arguments: tuple, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_network(*arguments)


def test_unknown_data_sets_are_explained() -> None:
    with pytest.raises(UsageError, match=r"unknown data set of nasbench101 'cifar100'; known: cifar10"):
        build_network("010/001/000;input,maxpool3x3,output", "nasbench101", dataset="cifar100")
