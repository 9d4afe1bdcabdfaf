"""MobileNetV2, MobileNetV3, MnasNet and EfficientNet: stages of inverted residual blocks.

An inverted residual block widens its input with a 1x1 convolution, filters each channel by itself, and narrows again
without an activation; where it keeps the shape, it adds its input. Defaults are the published networks in the form of
torchvision's definitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from nasx.network_builder import NetworkBuilder, Value
from nasx.network_scale import Scale, channels, pick


class Stage(NamedTuple):
    """Equal blocks, of which the first has the stride."""

    expansion: int
    width: int
    repeats: int
    stride: int
    kernel: int


class Squeeze(NamedTuple):
    """A squeeze-and-excitation in a block: its inner channels, their activation, and the function of the gate."""

    channels: int
    activation: str
    gate: str


def inverted_residual(
    net: NetworkBuilder,
    source: Value,
    expanded: int,
    width: int,
    *,
    kernel: int,
    stride: int,
    activation: str,
    squeeze: Squeeze | None = None,
) -> Value:
    """Appends an inverted residual block (Sandler et al., CVPR 2018).

    Args:
        net: The network.
        source: Its input.
        expanded: Channels of the filtering convolution.
        width: Channels it hands out.
        kernel: Kernel of the filtering convolution.
        stride: Its stride.
        activation: Activation of the first two convolutions.
        squeeze: Squeeze-and-excitation after the filtering convolution.
    """
    inner = source if expanded == source.channels else net.conv(source, expanded, 1, activation=activation)
    inner = net.conv(inner, expanded, kernel, stride, groups=expanded, activation=activation)
    if squeeze is not None:
        inner = net.squeeze_excite(inner, *squeeze)
    inner = net.conv(inner, width, 1, activation=None)
    return net.add(inner, source) if stride == 1 and source.channels == width else inner


@dataclass(frozen=True)
class MobileNetV2:
    """Sandler et al., CVPR 2018, arXiv:1801.04381.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first convolution.
        stages: Its stages.
        last: Channels of the last convolution.
    """

    resolution: int = 224
    classes: int = 1000
    stem: int = 32
    stages: tuple[Stage, ...] = (
        Stage(1, 16, 1, 1, 3),
        Stage(6, 24, 2, 2, 3),
        Stage(6, 32, 3, 2, 3),
        Stage(6, 64, 4, 2, 3),
        Stage(6, 96, 3, 1, 3),
        Stage(6, 160, 3, 2, 3),
        Stage(6, 320, 1, 1, 3),
    )
    last: int = 1280

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.stem, 3, 2, activation="relu6")
        for stage in self.stages:
            features = _stage(net, features, stage, "relu6")
        return _head(net, features, self.last, self.classes, "relu6")

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        stem, stages, last = _varied(rng, scale, cls.stem, cls.stages, cls.last, expansions=(2, 3, 4, 6, 8))
        return cls(scale.resolution(rng), scale.outputs(rng), stem, stages, last)


@dataclass(frozen=True)
class MnasNet:
    """Tan et al., CVPR 2019, arXiv:1807.11626; the default is MnasNet-B1 (without squeeze-and-excitation).

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first convolution.
        separable: Channels of the separable convolution after it.
        stages: Its stages.
        last: Channels of the last convolution.
    """

    resolution: int = 224
    classes: int = 1000
    stem: int = 32
    separable: int = 16
    stages: tuple[Stage, ...] = (
        Stage(3, 24, 3, 2, 3),
        Stage(3, 40, 3, 2, 5),
        Stage(6, 80, 3, 2, 5),
        Stage(6, 96, 2, 1, 3),
        Stage(6, 192, 4, 2, 5),
        Stage(6, 320, 1, 1, 3),
    )
    last: int = 1280

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.stem, 3, 2)
        features = net.conv(net.conv(features, self.stem, 3, groups=self.stem), self.separable, 1, activation=None)
        for stage in self.stages:
            features = _stage(net, features, stage, "relu")
        return _head(net, features, self.last, self.classes, "relu")

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        stem, stages, last = _varied(rng, scale, cls.stem, cls.stages, cls.last, expansions=(2, 3, 4, 6))
        return cls(scale.resolution(rng), scale.outputs(rng), stem, channels(stem / 2), stages, last)


@dataclass(frozen=True)
class EfficientNet:
    """Tan and Le, ICML 2019, arXiv:1905.11946; the default is EfficientNet-B0.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first convolution.
        stages: Its stages.
        last: Channels of the last convolution.
        squeeze: What share of a block's input channels its squeeze-and-excitation has, as a divisor.
    """

    resolution: int = 224
    classes: int = 1000
    stem: int = 32
    stages: tuple[Stage, ...] = (
        Stage(1, 16, 1, 1, 3),
        Stage(6, 24, 2, 2, 3),
        Stage(6, 40, 2, 2, 5),
        Stage(6, 80, 3, 2, 3),
        Stage(6, 112, 3, 1, 5),
        Stage(6, 192, 4, 2, 5),
        Stage(6, 320, 1, 1, 3),
    )
    last: int = 1280
    squeeze: int = 4

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.stem, 3, 2, activation="silu")
        for stage in self.stages:
            features = _stage(net, features, stage, "silu", self.squeeze)
        return _head(net, features, self.last, self.classes, "silu")

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        stem, stages, last = _varied(rng, scale, cls.stem, cls.stages, cls.last, expansions=(2, 3, 4, 6))
        return cls(scale.resolution(rng), scale.outputs(rng), stem, stages, last, pick(rng, (4, 4, 8)))


class Row(NamedTuple):
    """A block of MobileNetV3 as in its tables 1 and 2."""

    kernel: int
    expanded: int
    width: int
    squeezed: bool
    activation: str
    stride: int


@dataclass(frozen=True)
class MobileNetV3:
    """Howard et al., ICCV 2019, arXiv:1905.02244; the default is the large network, ``SMALL`` holds the small one's.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first convolution.
        rows: Its blocks.
        hidden: Width of the hidden linear layer.
    """

    resolution: int = 224
    classes: int = 1000
    stem: int = 16
    rows: tuple[Row, ...] = (
        Row(3, 16, 16, False, "relu", 1),
        Row(3, 64, 24, False, "relu", 2),
        Row(3, 72, 24, False, "relu", 1),
        Row(5, 72, 40, True, "relu", 2),
        Row(5, 120, 40, True, "relu", 1),
        Row(5, 120, 40, True, "relu", 1),
        Row(3, 240, 80, False, "hardswish", 2),
        Row(3, 200, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 480, 112, True, "hardswish", 1),
        Row(3, 672, 112, True, "hardswish", 1),
        Row(5, 672, 160, True, "hardswish", 2),
        Row(5, 960, 160, True, "hardswish", 1),
        Row(5, 960, 160, True, "hardswish", 1),
    )
    hidden: int = 1280

    @classmethod
    def small(cls) -> Self:
        """MobileNetV3-Small."""
        return cls(rows=SMALL, hidden=1024)

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.stem, 3, 2, activation="hardswish")
        for row in self.rows:
            squeeze = Squeeze(channels(row.expanded / 4), "relu", "hardsigmoid") if row.squeezed else None
            features = inverted_residual(
                net,
                features,
                row.expanded,
                row.width,
                kernel=row.kernel,
                stride=row.stride,
                activation=row.activation,
                squeeze=squeeze,
            )
        features = net.conv(features, 6 * features.channels, 1, activation="hardswish")
        flat = net.linear(net.flatten(net.mean(features)), self.hidden, "hardswish")
        return net.linear(flat, self.classes)

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family: rows of either network, some left out, each with other widths and kernel."""
        published = cls.rows if rng.integers(2) else SMALL
        factor, rows = scale.factor(rng), []
        widths: dict[int, int] = {}
        for place, row in enumerate(published):
            if place and row.stride == 1 and rng.random() < 0.15:
                continue
            width = widths.setdefault(row.width, channels(row.width * factor * rng.uniform(0.75, 1.25)))
            expanded = channels(width * row.expanded / row.width * rng.uniform(0.7, 1.3))
            rows.append(row._replace(kernel=pick(rng, (3, 5, 7)), expanded=expanded, width=width))
        hidden = channels(1280 * max(factor, 0.5))
        return cls(scale.resolution(rng), scale.outputs(rng), channels(16 * factor), tuple(rows), hidden)


SMALL: tuple[Row, ...] = (
    Row(3, 16, 16, True, "relu", 2),
    Row(3, 72, 24, False, "relu", 2),
    Row(3, 88, 24, False, "relu", 1),
    Row(5, 96, 40, True, "hardswish", 2),
    Row(5, 240, 40, True, "hardswish", 1),
    Row(5, 240, 40, True, "hardswish", 1),
    Row(5, 120, 48, True, "hardswish", 1),
    Row(5, 144, 48, True, "hardswish", 1),
    Row(5, 288, 96, True, "hardswish", 2),
    Row(5, 576, 96, True, "hardswish", 1),
    Row(5, 576, 96, True, "hardswish", 1),
)


def _stage(net: NetworkBuilder, features: Value, stage: Stage, activation: str, squeeze: int | None = None) -> Value:
    for block in range(stage.repeats):
        inside = None
        if squeeze is not None:
            inside = Squeeze(max(1, features.channels // squeeze), activation, "sigmoid")
        features = inverted_residual(
            net,
            features,
            features.channels * stage.expansion,
            stage.width,
            kernel=stage.kernel,
            stride=1 if block else stage.stride,
            activation=activation,
            squeeze=inside,
        )
    return features


def _head(net: NetworkBuilder, features: Value, last: int, classes: int, activation: str) -> Value:
    features = net.conv(features, last, 1, activation=activation)
    return net.linear(net.flatten(net.mean(features)), classes)


def _varied(
    rng: np.random.Generator, scale: Scale, stem: int, stages: Sequence[Stage], last: int, expansions: Sequence[int]
) -> tuple[int, tuple[Stage, ...], int]:
    """Other widths, kernels, expansions and depths; strides and the order of the stages stay."""
    stem, *widths, last = scale.widths(rng, [stem, *(stage.width for stage in stages), last])
    varied = tuple(
        Stage(
            stage.expansion if stage.expansion == 1 else pick(rng, expansions),
            width,
            max(1, stage.repeats + int(rng.integers(-1, 2))),
            stage.stride,
            pick(rng, (3, 5, 7)),
        )
        for stage, width in zip(stages, widths, strict=True)
    )
    return stem, varied, last
