"""From winner to network: the torch module of a NAS-Bench-201 or NAS-Bench-101 cell, as the benchmarks trained it.

NAS-Bench-201: a 3x3 convolution to C = 16 channels, then three stages of N = 5 cells with C, 2C and 4C channels, a
residual block of stride 2 before the second and the third, and a linear layer on the mean over all positions. Source:
``TinyNetwork``, ``InferCell`` and ``ResNetBasicblock`` of D-X-Y/AutoDL-Projects (xautodl), of the paper at ICLR 2020.

NAS-Bench-101: a 3x3 convolution to 128 channels, then three stacks of three cells with 128, 256 and 512 channels, a
max pooling of stride 2 before the second and the third, and the same end. Source: ``model_builder.py`` and
``base_ops.py`` of google-research/nasbench, of the paper at ICML 2019.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nasx.search_spaces.errors import UsageError, unknown
from nasx.search_spaces.graph import Graph
from nasx.search_spaces.nasbench101 import NASBench101
from nasx.search_spaces.nasbench201 import EDGES, NASBench201
from nasx.search_spaces.space import SearchSpace


class ImageSet(NamedTuple):
    """A data set of square colour images: how many classes, how many pixels a side."""

    classes: int
    size: int


DATASETS = {"cifar10": ImageSet(10, 32), "cifar100": ImageSet(100, 32), "ImageNet16-120": ImageSet(120, 16)}
SPACES: dict[str, type[SearchSpace]] = {"nasbench101": NASBench101, "nasbench201": NASBench201}


def build_network(
    architecture: Any, space: str | SearchSpace = "nasbench201", *, dataset: str = "cifar10", seed: int = 0
) -> nn.Module:
    """Returns the network of a cell, with random weights, ready to train: ``(B, 3, H, W)`` -> ``(B, classes)``.

    Args:
        architecture: The cell: a value of the space, its text or its graph. Of a NAS-Bench-101 cell, text and graph
            keep their own numbering of the nodes: it decides which of them get one channel more where the channels
            do not divide evenly.
        space: ``nasbench201`` or ``nasbench101``, or that space itself.
        dataset: ``cifar10``, ``cifar100`` (32 x 32) or ``ImageNet16-120`` (16 x 16). NAS-Bench-101 has only the first.
        seed: Seed of the weights.

    Raises:
        UsageError: If the space has no networks, or the cell or the data set is not one of it.

    >>> network = build_network("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", "nasbench201")
    >>> tuple(network(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """
    name = space if isinstance(space, str) else space.name
    if name not in SPACES:
        raise unknown("search space with networks", name, SPACES)
    chosen = SPACES[name]() if isinstance(space, str) else space
    known = DATASETS if name == "nasbench201" else {"cifar10": DATASETS["cifar10"]}
    if dataset not in known:
        raise unknown(f"data set of {name}", dataset, known)
    graph = architecture if isinstance(architecture, Graph) else _graph(architecture, chosen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "nasbench101":
            return NASBench101Network(graph.pruned(), known[dataset].classes)
        cell = NASBench201().from_matrix(graph.adjacency, graph.operations)
        return NASBench201Network(cell, known[dataset].classes)


def _graph(architecture: Any, space: SearchSpace) -> Graph:
    if not isinstance(architecture, str):
        return space.graph(architecture)
    cell = space.parse(architecture)
    if space.name == "nasbench101" and ";" in architecture:
        rows, operations = "".join(architecture.split()).split(";")
        return Graph(operations.split(","), [[int(entry) for entry in row] for row in rows.split("/")])
    return space.graph(cell)


class NASBench201Network(nn.Module):
    """The network of a NAS-Bench-201 cell. ``(B, 3, H, W)`` -> logits ``(B, classes)``.

    Args:
        cell: Six operations in the order of the official string.
        classes: Number of classes.
        channels: C, the channels of the first stage.
        cells: N, the number of cells in a stage.

    >>> sum(p.numel() for p in NASBench201Network(("none",) * 6, channels=4, cells=1).parameters())
    4894
    """

    def __init__(self, cell: tuple[str, ...], classes: int = 10, channels: int = 16, cells: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        blocks: list[nn.Module] = []
        for stage in range(3):
            width = channels << stage
            if stage:
                blocks.append(ReductionBlock(width // 2, width))
            blocks += [Cell201(cell, width) for _ in range(cells)]
        self.cells = nn.Sequential(*blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        features: Tensor = self.pool(self.last(self.cells(self.stem(images))))
        logits: Tensor = self.classifier(torch.flatten(features, 1))
        return logits


class Cell201(nn.Module):
    """A cell: node j is the sum over edges i > j of their operation on node i. ``(B, C, H, W)`` -> the same."""

    def __init__(self, cell: tuple[str, ...], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {f"{edge[0]}_{edge[2]}": _operation201(name, channels) for edge, name in zip(EDGES, cell, strict=True)}
        )

    def forward(self, features: Tensor) -> Tensor:
        """Returns the last node."""
        nodes = [features]
        for target in (1, 2, 3):
            total = self.edges[f"0_{target}"](nodes[0])
            for source in range(1, target):
                total = total + self.edges[f"{source}_{target}"](nodes[source])
            nodes.append(total)
        return nodes[-1]


def _operation201(name: str, channels: int) -> nn.Module:
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return _relu_conv_bn(channels, channels, 1 if name == "nor_conv_1x1" else 3)


def _relu_conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outputs))


class Zero(nn.Module):
    """The operation ``none``: passes zeros on."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns zeros of the same shape."""
        return features * 0.0


class ReductionBlock(nn.Module):
    """The residual block of stride 2 between two stages. ``(B, C, H, W)`` -> ``(B, 2C, H/2, W/2)``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _relu_conv_bn(inputs, outputs, 3, stride=2)
        self.second = _relu_conv_bn(outputs, outputs, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Returns the two convolutions plus the shortcut."""
        total: Tensor = self.downsample(features) + self.second(self.first(features))
        return total


class NASBench101Network(nn.Module):
    """The network of a NAS-Bench-101 cell. ``(B, 3, H, W)`` -> logits ``(B, classes)``.

    Args:
        cell: Its graph, without dead nodes, numbered as it is to be built.
        classes: Number of classes.
        channels: Channels of the first stack.

    >>> chain = Graph.from_edges(["input", "conv3x3-bn-relu", "output"], [(0, 1), (1, 2)])
    >>> sum(p.numel() for p in NASBench101Network(chain).parameters())
    10177674
    """

    def __init__(self, cell: Graph, classes: int = 10, channels: int = 128) -> None:
        super().__init__()
        self.stem = _conv_bn_relu(3, channels, 3)
        blocks: list[nn.Module] = []
        before = channels
        for stack in range(3):
            if stack:
                blocks.append(nn.MaxPool2d(2, stride=2))
            for _ in range(3):
                blocks.append(Cell101Module(cell, before, channels << stack))
                before = channels << stack
        self.cells = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits."""
        features: Tensor = self.pool(self.cells(self.stem(images)))
        logits: Tensor = self.classifier(torch.flatten(features, 1))
        return logits


class Cell101Module(nn.Module):
    """A cell: a node sums what it reads and applies its operation; the nodes before the output are concatenated."""

    def __init__(self, cell: Graph, inputs: int, outputs: int) -> None:
        super().__init__()
        last = cell.num_nodes - 1
        self.matrix = [[bool(entry) for entry in row] for row in cell.adjacency]
        if last < 1 or not any(self.matrix[0]):
            raise UsageError("a NAS-Bench-101 network needs a cell with a path from input to output")
        widths = vertex_channels(outputs, self.matrix)
        self.operations = nn.ModuleDict()
        self.projections = nn.ModuleDict()
        self.truncations = nn.ModuleDict()
        for node in range(1, last):
            self.operations[str(node)] = _operation101(cell.operations[node], widths[node])
            for source in range(1, node):
                if self.matrix[source][node]:
                    same = widths[source] == widths[node]
                    self.truncations[f"{source}_{node}"] = nn.Identity() if same else Truncate(widths[node])
        for node in range(1, last + 1):
            if self.matrix[0][node]:
                self.projections[str(node)] = _conv_bn_relu(inputs, widths[node], 1)

    def forward(self, features: Tensor) -> Tensor:
        """Returns the output, ``(B, C, H, W)`` -> ``(B, outputs, H, W)``."""
        last = len(self.matrix) - 1
        nodes: dict[int, Tensor] = {}
        joined = []
        for node in range(1, last):
            given = [self.truncations[f"{i}_{node}"](nodes[i]) for i in range(1, node) if self.matrix[i][node]]
            if self.matrix[0][node]:
                given.append(self.projections[str(node)](features))
            nodes[node] = self.operations[str(node)](_sum(given))
            if self.matrix[node][last]:
                joined.append(nodes[node])
        result = [] if not joined else [torch.cat(joined, 1) if len(joined) > 1 else joined[0]]
        if self.matrix[0][last]:
            result.append(self.projections[str(last)](features))
        return _sum(result)


def vertex_channels(outputs: int, matrix: list[list[bool]]) -> list[int]:
    """Returns the channels of every node of a NAS-Bench-101 cell; its input's, 0 here, do not depend on the cell.

    The nodes before the output share its channels, the first ones getting one more where they do not divide; any
    other node has as many as the widest node that reads it.

    >>> vertex_channels(9, [[False, True, True, False], [False] * 3 + [True], [False] * 3 + [True], [False] * 4])
    [0, 5, 4, 9]
    """
    last = len(matrix) - 1
    widths = [0] * last + [outputs]
    sharing = [node for node in range(1, last) if matrix[node][last]]
    for place, node in enumerate(sharing):
        widths[node] = outputs // len(sharing) + (place < outputs % len(sharing))
    for node in range(last - 1, 0, -1):
        if not matrix[node][last]:
            widths[node] = max((widths[j] for j in range(node + 1, last) if matrix[node][j]), default=0)
    return widths


def _operation101(name: str, channels: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    if name not in ("conv1x1-bn-relu", "conv3x3-bn-relu"):
        raise unknown("operation of NAS-Bench-101", name, ("conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3"))
    return _conv_bn_relu(channels, channels, 3 if name == "conv3x3-bn-relu" else 1)


def _conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-5, momentum=0.003), nn.ReLU())


class Truncate(nn.Module):
    """Keeps the first channels: how a wide node of a NAS-Bench-101 cell feeds a narrower one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor) -> Tensor:
        """Returns ``(B, channels, H, W)``."""
        return features[:, : self.channels]


def _sum(tensors: list[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
