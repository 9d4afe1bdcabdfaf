"""ResNet and the networks of NAS-Bench-201: sums of branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from nasx.network_builder import NetworkBuilder, Value
from nasx.network_scale import Scale, channels, pick, picks
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import EDGES, NASBench201


@dataclass(frozen=True)
class ResNet:
    """Blocks of two or three convolutions and a shortcut. He et al., CVPR 2016, arXiv:1512.03385; the default is
    ResNet-18, `ResNet.fifty()` the one of 50 layers, with the stride in the 3x3 convolution as in torchvision.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        depths: Blocks of each stage.
        widths: Channels of the first convolution, then of each stage.
        expansion: 1 for blocks of two convolutions; above, for bottlenecks that hand out so many times their channels.
        kernel: Kernel of the blocks.
        stem_kernel: Kernel of the first convolution.
    """

    resolution: int = 224
    classes: int = 1000
    depths: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 64, 128, 256, 512)
    expansion: int = 1
    kernel: int = 3
    stem_kernel: int = 7

    @classmethod
    def fifty(cls) -> Self:
        """ResNet-50."""
        return cls(depths=(3, 4, 6, 3), expansion=4)

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.widths[0], self.stem_kernel, stride=2)
        features = net.max_pool(features, 3, 2, padding=1)
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths[1:], strict=True)):
            for block in range(depth):
                features = self._block(net, features, width, 2 if stage and not block else 1)
        return net.linear(net.flatten(net.mean(features)), self.classes)

    def _block(self, net: NetworkBuilder, features: Value, width: int, stride: int) -> Value:
        outputs = width * self.expansion
        if self.expansion == 1:
            inner = net.conv(features, width, self.kernel, stride)
            inner = net.conv(inner, outputs, self.kernel, activation=None)
        else:
            inner = net.conv(features, width, 1)
            inner = net.conv(inner, width, self.kernel, stride)
            inner = net.conv(inner, outputs, 1, activation=None)
        if stride != 1 or features.channels != outputs:
            features = net.conv(features, outputs, 1, stride, activation=None)
        return net.activate(net.add(inner, features), "relu")

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        expansion = pick(rng, (1, 1, 2, 4))
        return cls(
            scale.resolution(rng),
            scale.outputs(rng),
            picks(rng, (1, 2, 3, 4), 4),
            scale.widths(rng, (64, 64, 128, 256, 512)),
            expansion,
            pick(rng, (3, 3, 3, 5)),
            pick(rng, (3, 5, 7)),
        )


@dataclass(frozen=True)
class NASBench201Net:
    """Three stages of equal cells. Dong and Yang, ICLR 2020, arXiv:2001.00326; see also ``nasx.cell_networks``.

    Edges labelled ``none`` and operations whose result nobody uses are left out: a runtime would not run them.

    Attributes:
        cell: The six operations, in the order of the official string.
        resolution: Pixels a side.
        classes: Number of classes.
        width: Channels of the first stage.
        cells: Cells of each stage.
    """

    cell: tuple[str, ...] = (
        "nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_3x3",
    )  # fmt: skip
    resolution: int = 32
    classes: int = 10
    width: int = 16
    cells: int = 5

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits.

        Raises:
            UsageError: If the cell connects its input and its output nowhere.
        """
        live = _live_edges(self.cell)
        if not live:
            raise UsageError(f"the cell {'|'.join(self.cell)} hands nothing on from its input to its output")
        features = net.conv(net.input, self.width, 3, activation=None)
        for stage in range(3):
            if stage:
                features = self._reduction(net, features)
            for _ in range(self.cells):
                features = self._cell(net, features, live)
        return net.linear(net.flatten(net.mean(net.norm_relu(features))), self.classes)

    def _cell(self, net: NetworkBuilder, features: Value, live: dict[tuple[int, int], str]) -> Value:
        nodes = {0: features}
        for (source, target), operation in live.items():
            given = nodes[source]
            if operation == "avg_pool_3x3":
                given = net.average_pool(given, 3, 1, padding=1)
            elif operation != "skip_connect":
                kernel = 1 if operation == "nor_conv_1x1" else 3
                given = net.conv(net.activate(given, "relu"), given.channels, kernel, activation=None)
            nodes[target] = net.add(nodes[target], given) if target in nodes else given
        return nodes[3]

    def _reduction(self, net: NetworkBuilder, features: Value) -> Value:
        width = 2 * features.channels
        inner = net.conv(net.activate(features, "relu"), width, 3, 2, activation=None)
        inner = net.conv(net.activate(inner, "relu"), width, 3, activation=None)
        shortcut = net.conv(net.average_pool(features, 2, 2), width, 1, norm=False, bias=False, activation=None)
        return net.add(shortcut, inner)

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family: another cell, width, depth and resolution."""
        cell: tuple[str, ...] = ()
        while not _live_edges(cell):
            cell = tuple(map(str, NASBench201().sample(rng)))
        return cls(
            cell,
            pick(rng, (24, 32, 40, 48, 64)),
            pick(rng, (10, 100, 120, 200)),
            channels(rng.uniform(8, 48)),
            pick(rng, (2, 3, 4, 5, 6)),
        )


def _live_edges(cell: tuple[str, ...]) -> dict[tuple[int, int], str]:
    """The edges on a path from the first to the last node, ordered by where they lead.

    >>> _live_edges(("none", "skip_connect", "nor_conv_3x3", "none", "nor_conv_1x1", "nor_conv_3x3"))
    {(0, 2): 'skip_connect', (2, 3): 'nor_conv_3x3'}
    """
    if not cell:
        return {}
    named = zip(EDGES, cell, strict=True)  # ordered by target
    edges = {(int(edge[0]), int(edge[2])): name for edge, name in named if name != "none"}
    reached, needed = {0}, {3}
    for source, target in edges:
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in needed:
            needed.add(source)
    return {pair: name for pair, name in edges.items() if pair[0] in reached and pair[1] in needed}
