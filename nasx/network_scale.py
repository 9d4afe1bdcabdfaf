"""How large randomly drawn networks may be, and the draws that all families share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nasx.search_spaces.errors import unknown


@dataclass(frozen=True)
class Scale:
    """What random networks are drawn from.

    Attributes:
        resolutions: Pixels a side of the input.
        width: Smallest and largest factor on the published numbers of channels.
        classes: Numbers of classes.
        macs: Fewest and most multiply-adds of an image; networks outside are drawn again.
        parameters: Most parameters.
    """

    resolutions: tuple[int, ...]
    width: tuple[float, float]
    classes: tuple[int, ...]
    macs: tuple[float, float]
    parameters: float

    def resolution(self, rng: np.random.Generator) -> int:
        """Draws the side of the input."""
        return pick(rng, self.resolutions)

    def outputs(self, rng: np.random.Generator) -> int:
        """Draws the number of classes."""
        return pick(rng, self.classes)

    def factor(self, rng: np.random.Generator) -> float:
        """Draws a factor on widths, small ones as often as large ones."""
        low, high = np.log(self.width)
        return float(np.exp(rng.uniform(low, high)))

    def widths(self, rng: np.random.Generator, published: Sequence[int], spread: float = 0.25) -> tuple[int, ...]:
        """Draws channels: one factor for the network, and a small one for each layer; multiples of 8."""
        factor = self.factor(rng)
        return tuple(channels(width * factor * rng.uniform(1 - spread, 1 + spread)) for width in published)


SCALES = {
    "small": Scale(
        resolutions=(64, 80, 96, 112, 128, 144, 160, 176, 192, 224),
        width=(0.25, 1.25),
        classes=(10, 100, 200, 1000),
        macs=(2.5e7, 1.2e9),
        parameters=1.2e7,
    ),
    "imagenet": Scale(resolutions=(224,), width=(0.5, 1.5), classes=(1000,), macs=(5e7, 1.5e10), parameters=1.5e8),
}


def scale_named(name: str) -> Scale:
    """Returns a scale by its name.

    Raises:
        UsageError: If there is none of that name.

    >>> scale_named("imagenet").resolutions
    (224,)
    """
    if name not in SCALES:
        raise unknown("scale", name, SCALES)
    return SCALES[name]


def channels(width: float, divisor: int = 8) -> int:
    """The nearest multiple of the divisor, never more than a tenth below: how mobile networks round channels.

    Source: ``_make_divisible`` of tensorflow/models, research/slim/nets/mobilenet.

    >>> channels(32 * 0.75), channels(11), channels(1)
    (24, 16, 8)
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * width else rounded + divisor


def pick(rng: np.random.Generator, choices: Sequence[int]) -> int:
    """One of some numbers, each as likely as the others."""
    return int(choices[int(rng.integers(len(choices)))])


def picks(rng: np.random.Generator, choices: Sequence[int], count: int) -> tuple[int, ...]:
    """Several numbers, drawn one by one."""
    return tuple(pick(rng, choices) for _ in range(count))
