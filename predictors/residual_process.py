"""A small Gaussian process that corrects a prediction from a handful of measurements.

With z a first prediction, x features and y what was measured, z and y on scales of about one,

    y = z + a + b (z - z_mean) + f(x) + noise,    a ~ N(0, s_a^2), b ~ N(0, s_b^2),
    f ~ GP(0, s_f^2 exp(-|x - x'|^2 / (2 F l^2)) + s_l^2 x x' / F).

a, b and f are integrated out; the deviations and the length l are those of greatest posterior density under
log-normal priors that hold b, f and the noise small until measurements say otherwise (Rasmussen and Williams 2006,
chapter 5). With few points the correction is therefore a shift, then a line, and only then a function of the network;
f is left out altogether unless measurements left out one by one say that it helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHIFT = 5.0
"""Prior deviation of the shift: another device may be a hundred times faster."""

#: Prior median and spread (of the logarithm) of s_b, s_f, s_l, l and the noise.
PRIOR = {"slope": (0.1, 1.0), "local": (0.15, 1.0), "linear": (0.15, 1.0), "length": (1.0, 0.5), "noise": (0.1, 1.0)}
CLIP = 4.0
"""Features further than so many deviations from the measured ones' mean are cut."""


WORTH = 0.9
"""f is used only if it lowers the squared error of measurements left out to at most so much of the line's."""
_LINE, _WHOLE = np.array([True, False, False, False, True]), np.ones(5, dtype=bool)


class _Solution(NamedTuple):
    """Scales, the weights that belong to them, and the mean squared error of each measurement left out in turn."""

    scales: Floats
    weights: Floats
    left_out: float


@dataclass(frozen=True)
class ResidualProcess:
    """The fitted correction.

    Attributes:
        first: (k,) first predictions of the measured graphs.
        features: (k, F) standardised features.
        weights: (k,) what the kernel is multiplied with.
        center: (F,) mean of the features.
        spread: (F,) their deviations.
        scales: s_b, s_f, s_l, l and the noise.

    >>> rng = np.random.default_rng(0)
    >>> first, features = rng.normal(size=12), rng.normal(size=(12, 2))
    >>> process = ResidualProcess.of(first, features, first + 2.0)
    >>> np.abs(process(first, features) - first - 2.0).max() < 0.1
    np.True_
    """

    first: Floats
    features: Floats
    weights: Floats
    center: Floats
    spread: Floats
    scales: Floats

    @classmethod
    def of(cls, first: Floats, features: NDArray[np.floating[Any]], measured: Floats) -> ResidualProcess:
        """Fits the correction.

        Args:
            first: (k,) first predictions.
            features: (k, F) features of the graphs.
            measured: (k,) what was measured.
        """
        table = np.asarray(features, dtype=np.float64)
        center, spread = table.mean(axis=0), table.std(axis=0)
        kept = spread > 1e-9 * np.maximum(np.abs(center), 1.0)
        spread = np.where(kept, spread, np.inf)
        scaled = np.clip((table - center) / spread, -CLIP, CLIP)
        parts = _parts(first, scaled, first, scaled, first.mean(), max(int(kept.sum()), 1))
        line, whole = (_most_probable(parts, measured - first, free) for free in (_LINE, _WHOLE))
        chosen = whole if whole.left_out < WORTH * line.left_out else line
        return cls(first, scaled, chosen.weights, center, spread, chosen.scales)

    def __call__(self, first: Floats, features: NDArray[np.floating[Any]]) -> Floats:
        """Corrects first predictions (B,) of graphs with these features (B, F); NaN: a feature that is not known."""
        scaled = np.nan_to_num((np.asarray(features, dtype=np.float64) - self.center) / self.spread)
        scaled = np.clip(scaled, -CLIP, CLIP)
        count = max(int(np.isfinite(self.spread).sum()), 1)
        parts = _parts(first, scaled, self.first, self.features, float(self.first.mean()), count)
        return first + _kernel(parts, self.scales) @ self.weights

    def state(self) -> dict[str, Floats]:
        """Named arrays."""
        return {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> ResidualProcess:
        """What `state` gave."""
        return cls(**{name: np.asarray(state[name], dtype=np.float64) for name in cls.__dataclass_fields__})


def _most_probable(parts: tuple[Floats, ...], residual: Floats, free: NDArray[np.bool_]) -> _Solution:
    """The scales of greatest posterior density; those that are not free are 0 (the length: its prior median)."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize

    median, spread = np.array(list(PRIOR.values())).T
    fixed = np.where(np.array(list(PRIOR)) == "length", median, 0.0)
    count = len(residual)

    def scales_of(logs: Floats) -> Floats:
        scales = fixed.copy()
        scales[free] = np.exp(logs)
        return scales

    def kernel_of(scales: Floats) -> Floats:
        return _kernel(parts, scales) + scales[-1] ** 2 * np.eye(count)

    def loss(logs: Floats) -> float:
        try:
            factor = cho_factor(kernel_of(scales_of(logs)), lower=True)
        except np.linalg.LinAlgError:
            return 1e12
        fit = 0.5 * residual @ cho_solve(factor, residual) + np.log(np.diag(factor[0])).sum()
        return float(fit + 0.5 * (((logs - np.log(median[free])) / spread[free]) ** 2).sum())

    found = minimize(loss, np.log(median[free]), method="L-BFGS-B", bounds=[(-7, 3)] * int(free.sum()))
    scales = scales_of(found.x)
    inverse = np.linalg.inv(kernel_of(scales))
    weights = inverse @ residual
    return _Solution(scales, weights, float(np.mean((weights / np.diag(inverse)) ** 2)))


def _parts(
    first: Floats, features: Floats, others: Floats, known: Floats, middle: float, count: int
) -> tuple[Floats, ...]:
    """What the kernel is made of, (B, k) each: products of predictions, squared distances, products of features."""
    inner = features @ known.T / count
    squares = (features**2).sum(axis=1)[:, None] / count + (known**2).sum(axis=1)[None, :] / count
    return np.outer(first - middle, others - middle), np.maximum(squares - 2 * inner, 0), inner


def _kernel(parts: tuple[Floats, ...], scales: Floats) -> Floats:
    slope, local, linear, length, _ = scales
    products, distances, inner = parts
    near = local**2 * np.exp(-distances / (2 * length**2))
    return SHIFT**2 + slope**2 * products + near + linear**2 * inner  # type: ignore[no-any-return]
