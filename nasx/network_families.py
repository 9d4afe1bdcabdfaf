"""Ten families of image classifiers: the published networks, and random members of the same kind.

A family is a frozen dataclass: its fields are what varies, its defaults the published network, ``build`` writes it
operation by operation, ``sample`` draws another member. Networks are of one size with those of NNLQP (Liu et al., ICPP
2022), whose data set has the same ten families, but drawn by rules of our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np

from nasx.network_builder import NetworkBuilder, Value
from nasx.network_classic import VGG, AlexNet, GoogLeNet, SqueezeNet
from nasx.network_mobile import EfficientNet, MnasNet, MobileNetV2, MobileNetV3
from nasx.network_residual import NASBench201Net, ResNet
from nasx.network_scale import Scale, scale_named
from nasx.search_spaces.errors import UsageError, unknown

#: Metadata of a generated file: where a table finds the family of a network again.
FAMILY_KEY, CONFIG_KEY = "nasx.family", "nasx.configuration"

_ATTEMPTS = 2_000


class Family(Protocol):
    """What the networks of a family have in common."""

    @property
    def resolution(self) -> int:
        """Pixels a side of the input."""

    def build(self, net: NetworkBuilder) -> Value:
        """Appends the network and returns its logits."""

    @classmethod
    def sample(cls, rng: np.random.Generator, scale: Scale) -> Self:
        """Draws a member of the family."""


FAMILIES: dict[str, type[Any]] = {
    "alexnet": AlexNet,
    "vgg": VGG,
    "googlenet": GoogLeNet,
    "resnet": ResNet,
    "squeezenet": SqueezeNet,
    "mobilenetv2": MobileNetV2,
    "mobilenetv3": MobileNetV3,
    "mnasnet": MnasNet,
    "efficientnet": EfficientNet,
    "nasbench201": NASBench201Net,
}


@dataclass(frozen=True)
class Member:
    """A network of a family.

    Attributes:
        family: Name of the family.
        name: Name of the network.
        configuration: What it is.
        folded: Whether its batch normalisations are folded into the convolutions.
        batch_size: Images at once.
    """

    family: str
    name: str
    configuration: Family
    folded: bool = False
    batch_size: int = 1

    def build(self) -> tuple[NetworkBuilder, Value]:
        """Writes the network; returns what was written, and its result.

        Raises:
            UsageError: If the resolution is too small for it.
        """
        net = NetworkBuilder(self.configuration.resolution, self.batch_size, folded=self.folded)
        return net, self.configuration.build(net)

    def model(self) -> Any:
        """Returns the network as an ``onnx.ModelProto`` without stored weights, see ``nasx.network_builder``."""
        net, result = self.build()
        configuration = json.dumps({**asdict(self.configuration), "folded": self.folded})  # type: ignore[call-overload]
        return net.model(result, self.name, {FAMILY_KEY: self.family, CONFIG_KEY: configuration})


def published(family: str) -> Member:
    """Returns the published network of a family.

    Raises:
        UsageError: If there is no such family.

    >>> net, _ = published("resnet").build()
    >>> net.parameters, net.macs
    (11689512, 1814073344)
    """
    if family not in FAMILIES:
        raise unknown("family of networks", family, FAMILIES)
    return Member(family, family, FAMILIES[family]())


def random_members(
    families: Sequence[str] | None, count: int, *, seed: int = 0, scale: str = "small", batch_size: int = 1
) -> Iterator[Member]:
    """Draws networks, no two of a family alike; the first ones of a family are the same however many are asked for.

    Args:
        families: Names of families; all of them by default.
        count: Networks of each family.
        seed: Seed of the draws.
        scale: ``small`` (for processors: 64 to 224 pixels, 25 to 1,200 million multiply-adds) or ``imagenet`` (224
            pixels).
        batch_size: Images at once.

    Raises:
        UsageError: If there is no such family or scale.

    >>> [member.name for member in random_members(["vgg", "resnet"], 2)]
    ['vgg-0000', 'vgg-0001', 'resnet-0000', 'resnet-0001']
    """
    limits = scale_named(scale)
    chosen = list(dict.fromkeys(families or FAMILIES))
    for family in chosen:
        if family not in FAMILIES:
            raise unknown("family of networks", family, FAMILIES)
    for family in chosen:
        rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
        seen: set[Any] = set()
        for number in range(count):
            yield _draw(family, f"{family}-{number:04d}", rng, limits, batch_size, seen)


def _draw(family: str, name: str, rng: np.random.Generator, scale: Scale, batch_size: int, seen: set[Any]) -> Member:
    for _ in range(_ATTEMPTS):
        # one network in four as training leaves it, three as most exporters do
        member = Member(family, name, FAMILIES[family].sample(rng, scale), bool(rng.random() < 0.75), batch_size)
        if member.configuration in seen:
            continue
        try:
            net, _ = member.build()
        except UsageError:  # an image too small for so many poolings
            continue
        low, high = scale.macs
        if low <= net.macs / batch_size <= high and net.parameters <= scale.parameters:
            seen.add(member.configuration)
            return member
    raise UsageError(f"no further network of the family '{family}' could be drawn; ask for fewer")
