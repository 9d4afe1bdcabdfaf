"""AlexNet, VGG, SqueezeNet and GoogLeNet: plain chains of layers, and the first modules of parallel branches.

Defaults are the published networks in the form of torchvision's definitions, without dropout and local response
normalisation, which the first two had and later definitions leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from nasx.network_builder import NetworkBuilder, Value
from nasx.network_scale import Scale, channels, pick, picks


@dataclass(frozen=True)
class AlexNet:
    """Five convolutions, three linear layers. Krizhevsky, "One weird trick", 2014, arXiv:1404.5997.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        widths: Channels of the five convolutions.
        kernels: Their kernels.
        hidden: Width of the two hidden linear layers.
    """

    resolution: int = 224
    classes: int = 1000
    widths: tuple[int, ...] = (64, 192, 384, 256, 256)
    kernels: tuple[int, ...] = (11, 5, 3, 3, 3)
    hidden: int = 4096

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        first, *others = zip(self.widths, self.kernels, strict=True)
        features = net.conv(net.input, *first, stride=4, padding=2, norm=False)
        features = net.max_pool(features, 3, 2)
        for place, (width, kernel) in enumerate(others):
            features = net.conv(features, width, kernel, norm=False)
            if place in (0, 3):
                features = net.max_pool(features, 3, 2)
        flat = net.flatten(features)
        for _ in range(2):
            flat = net.linear(flat, self.hidden, "relu")
        return net.linear(flat, self.classes)

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        return cls(
            scale.resolution(rng),
            scale.outputs(rng),
            scale.widths(rng, (64, 192, 384, 256, 256)),
            (pick(rng, (7, 9, 11)), *picks(rng, (3, 5, 7), 1), *picks(rng, (1, 3, 5), 3)),
            channels(4096 * scale.factor(rng) * rng.uniform(0.1, 1), 64),
        )


@dataclass(frozen=True)
class VGG:
    """Stages of equal convolutions, a pooling after each, three linear layers. Simonyan and Zisserman, ICLR 2015,
    arXiv:1409.1556; the default is VGG-16.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        depths: Convolutions of each stage.
        widths: Channels of each stage.
        kernels: Kernel of each stage.
        norm: Whether convolutions are batch-normalised.
        hidden: Width of the two hidden linear layers.
    """

    resolution: int = 224
    classes: int = 1000
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    kernels: tuple[int, ...] = (3, 3, 3, 3, 3)
    norm: bool = False
    hidden: int = 4096

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.input
        for depth, width, kernel in zip(self.depths, self.widths, self.kernels, strict=True):
            for _ in range(depth):
                features = net.conv(features, width, kernel, norm=self.norm)
            features = net.max_pool(features, 2, 2)
        flat = net.flatten(features)
        for _ in range(2):
            flat = net.linear(flat, self.hidden, "relu")
        return net.linear(flat, self.classes)

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        return cls(
            scale.resolution(rng),
            scale.outputs(rng),
            picks(rng, (1, 2, 3, 4), 5),
            scale.widths(rng, (64, 128, 256, 512, 512)),
            picks(rng, (1, 3, 3, 3, 5), 5),
            bool(rng.integers(2)),
            channels(4096 * scale.factor(rng) * rng.uniform(0.1, 1), 64),
        )


@dataclass(frozen=True)
class SqueezeNet:
    """Fire modules: 1x1 convolutions that squeeze, 1x1 and 3x3 convolutions that expand. Iandola et al. 2016,
    arXiv:1602.07360; the default is version 1.0, `SqueezeNet.version_1_1()` the other.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first convolution.
        stem_kernel: Its kernel.
        squeezed: Squeezed channels of each fire module.
        expanded: Expanded channels of each, for either kernel.
        pools: Numbers of the fire modules that a pooling precedes.
        kernel: Kernel of the larger expansion.
    """

    resolution: int = 224
    classes: int = 1000
    stem: int = 96
    stem_kernel: int = 7
    squeezed: tuple[int, ...] = (16, 16, 32, 32, 48, 48, 64, 64)
    expanded: tuple[int, ...] = (64, 64, 128, 128, 192, 192, 256, 256)
    pools: tuple[int, ...] = (0, 3, 7)
    kernel: int = 3

    @classmethod
    def version_1_1(cls) -> Self:
        """The cheaper network that its authors published later."""
        return cls(stem=64, stem_kernel=3, pools=(0, 2, 4))

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.conv(net.input, self.stem, self.stem_kernel, stride=2, padding=0, norm=False)
        for place, (squeezed, expanded) in enumerate(zip(self.squeezed, self.expanded, strict=True)):
            if place in self.pools:
                features = net.max_pool(features, 3, 2, round_up=True)
            inner = net.conv(features, squeezed, 1, norm=False)
            features = net.join(
                net.conv(inner, expanded, 1, norm=False), net.conv(inner, expanded, self.kernel, norm=False)
            )
        return net.flatten(net.mean(net.conv(features, self.classes, 1, norm=False)))

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""
        depth = pick(rng, (5, 6, 7, 8, 9, 10))
        grow = [min(place // 2, 3) for place in range(depth)]
        squeezed = scale.widths(rng, [16 * (place + 1) for place in grow])
        expanded = scale.widths(rng, [64 * (place + 1) for place in grow])
        pools = (0, pick(rng, (1, 2)), pick(rng, (3, 4)))
        return cls(
            scale.resolution(rng),
            scale.outputs(rng),
            scale.widths(rng, (96,))[0],
            pick(rng, (3, 5, 7)),
            squeezed,
            expanded,
            pools,
            pick(rng, (3, 3, 5)),
        )


@dataclass(frozen=True)
class GoogLeNet:
    """Inception modules: four branches side by side. Szegedy et al., CVPR 2015, arXiv:1409.4842, batch-normalised.

    Attributes:
        resolution: Pixels a side.
        classes: Number of classes.
        stem: Channels of the first three convolutions.
        modules: Of each of nine modules: 1x1; 3x3 squeezed and 3x3; 5x5 squeezed and 5x5; after the pooling.
        kernel: Kernel of the "5x5" branch: 5 in the paper, 3 in the released networks and torchvision.
    """

    resolution: int = 224
    classes: int = 1000
    stem: tuple[int, ...] = (64, 64, 192)
    modules: tuple[tuple[int, ...], ...] = (
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    )
    kernel: int = 3

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""
        features = net.max_pool(net.conv(net.input, self.stem[0], 7, stride=2), 3, 2, round_up=True)
        features = net.conv(net.conv(features, self.stem[1], 1), self.stem[2], 3)
        for place, module in enumerate(self.modules):
            if place in (0, 2, 7):
                features = net.max_pool(features, 2 if place == 7 else 3, 2, round_up=True)
            features = self._inception(net, features, module)
        return net.linear(net.flatten(net.mean(features)), self.classes)

    def _inception(self, net: NetworkBuilder, features: Value, module: tuple[int, ...]) -> Value:
        one, squeezed3, three, squeezed5, five, pooled = module
        return net.join(
            net.conv(features, one, 1),
            net.conv(net.conv(features, squeezed3, 1), three, 3),
            net.conv(net.conv(features, squeezed5, 1), five, self.kernel),
            net.conv(net.max_pool(features, 3, 1, padding=1), pooled, 1),
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family: between six and nine modules."""
        factor = scale.factor(rng)
        dropped = set(rng.choice([3, 4, 5, 6], size=int(rng.integers(0, 4)), replace=False).tolist())
        kept = [module for place, module in enumerate(cls.modules) if place not in dropped]

        def varied(widths: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(channels(width * factor * rng.uniform(0.75, 1.25)) for width in widths)

        return cls(
            scale.resolution(rng),
            scale.outputs(rng),
            varied(cls.stem),
            tuple(varied(module) for module in kept),
            pick(rng, (3, 5)),
        )
