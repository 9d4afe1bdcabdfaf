"""Between targets and what a model learns: scaling targets, and mapping what was learned back to their scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

LEAST_STEP = 1e-3
"""Least distance between two knots of a `MonotoneMap`, as a share of their range."""

Scaling = Literal["standard", "unit", "none", "geometric"]


@dataclass(frozen=True)
class TargetScaler:
    """An increasing affine map of targets: `scaled = (target - offset) / scale`.

    >>> scaler = TargetScaler.of([90.0, 92.0], "standard")
    >>> scaler.scaled([91.0, 93.0]).tolist(), scaler.unscaled([0.0]).tolist()
    ([0.0, 2.0], [91.0])
    """

    offset: float
    scale: float

    @classmethod
    def of(cls, targets: ArrayLike, scaling: Scaling) -> TargetScaler:
        """Chooses the map.

        Args:
            targets: Training targets `(B,)`.
            scaling: "standard": mean 0, deviation 1. "unit": into (0, 1], percentages by 1/100, as published; where
                that is impossible (a target is not positive) the range becomes [0.1, 1]. "none": as they are where they
                are positive (published for latencies in milliseconds), else as with "unit". "geometric": divided by
                their geometric mean where they are positive, so that the unit does not matter, else as with "unit".
        """
        values = np.asarray(targets, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        if scaling == "standard":
            # A spread within rounding of the values is no spread.
            spread = float(values.std())
            return cls(float(values.mean()), spread if spread > 1e-12 * max(abs(low), abs(high)) else 1.0)
        if low > 0 and scaling == "none":
            return cls(0.0, 1.0)
        if low > 0 and scaling == "geometric":
            return cls(0.0, float(np.exp(np.log(values).mean())))
        if low > 0:
            return cls(0.0, 1.0 if high <= 1 else 100.0 if high <= 100 else high)
        scale = (high - low) / 0.9 or 1.0
        return cls(low - 0.1 * scale, scale)

    def scaled(self, targets: ArrayLike) -> NDArray[np.float64]:
        """Targets to what is learned."""
        return (np.asarray(targets, dtype=np.float64) - self.offset) / self.scale

    def unscaled(self, values: ArrayLike) -> NDArray[np.float64]:
        """What is learned to targets."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.offset


def normal_scores(values: ArrayLike) -> NDArray[np.float64]:
    """Replaces numbers by the normal quantiles of their ranks: a bell curve whatever their distribution.

    >>> normal_scores([10.0, 93.9, 94.0]).round(2).tolist()
    [-0.97, 0.0, 0.97]
    """
    ranks = rankdata(np.asarray(values, dtype=np.float64))
    return np.asarray(norm.ppf((ranks - 0.5) / len(ranks)))


@dataclass(frozen=True)
class MonotoneMap:
    """A strictly increasing, piecewise linear function, continued at both ends with the slope found there."""

    x: list[float]
    y: list[float]

    @classmethod
    def between(cls, x: ArrayLike, y: ArrayLike, knots: int = 33) -> MonotoneMap:
        """The map that turns the distribution of x into the distribution of y, quantile by quantile.

        >>> MonotoneMap.between([0.0, 1.0, 2.0], [90.0, 94.0, 91.0])([0.0, 2.0, 3.0]).round(1).tolist()
        [90.0, 94.0, 97.0]
        """
        shares = np.linspace(0, 1, min(len(np.asarray(x)), knots))
        at, values = np.quantile(np.asarray(x), shares), np.quantile(np.asarray(y), shares)
        first, least = [0], max(LEAST_STEP * (at[-1] - at[0]), 1e-12)
        for k in range(1, len(at)):  # between two nearly equal x the map would be so steep that it blows up rounding
            if at[k] - at[first[-1]] > least:
                first.append(k)
        values = np.add.reduceat(values, first) / np.diff([*first, len(at)])
        at = at[first]
        if len(at) > 1:
            # Equal targets make flat stretches; a slight slope keeps what was ranked there apart.
            slope = (values[-1] - values[0]) / (at[-1] - at[0])
            values = values + 1e-3 * slope * (at - at.mean())
        return cls(at.tolist(), values.tolist())

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """Maps numbers of any shape."""
        x, y, numbers = np.array(self.x), np.array(self.y), np.asarray(values, dtype=np.float64)
        if len(x) == 1:
            return np.full(numbers.shape, y[0])
        end = max(1, len(x) // 8)  # single steps at the ends are noise
        first, last = (y[end] - y[0]) / (x[end] - x[0]), (y[-1] - y[-1 - end]) / (x[-1] - x[-1 - end])
        beyond = last * np.maximum(numbers - x[-1], 0) + first * np.minimum(numbers - x[0], 0)
        return np.interp(numbers, x, y) + beyond


@dataclass(frozen=True)
class ScoreMap:
    """Averages the scores of an ensemble and maps them, strictly increasing, to (scaled) targets.

    A ranking loss leaves the scale of a member's scores free, so each member is first standardised by its scores of
    the training graphs; the mean is then given the distribution of the training targets. Other losses' scores are
    the targets already: the plain average, no `curve`.
    """

    centers: list[float]
    spreads: list[float]
    curve: MonotoneMap | None = None

    @classmethod
    def identity(cls, members: int) -> ScoreMap:
        """The plain average."""
        return cls([0.0] * members, [1.0] * members)

    @classmethod
    def of(
        cls, scores: NDArray[np.floating[Any]], targets: NDArray[np.float64], votes: ArrayLike | None = None
    ) -> ScoreMap:
        """Fits the map to the scores `(E, B)` and scaled targets `(B,)` of the training graphs.

        Args:
            scores: Scores of E members.
            targets: What the map should give.
            votes: `(E,)`, how many members each counts for; one by default.

        >>> ScoreMap.of(np.array([[0.0, 4.0]]), np.array([-1.0, 1.0]))(np.array([[2.0, 8.0]])).round(2).tolist()
        [0.0, 3.0]
        """
        scores = scores.astype(np.float64)
        spreads = scores.std(axis=1)
        spreads = np.where(spreads > 1e-9, spreads, 1.0) / (1.0 if votes is None else np.asarray(votes))
        average = cls(scores.mean(axis=1).tolist(), spreads.tolist())
        return cls(average.centers, average.spreads, MonotoneMap.between(average(scores), targets))

    def __call__(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Maps scores `(E, B)` to scaled targets `(B,)`."""
        standardised = (scores - np.array(self.centers)[:, None]) / np.array(self.spreads)[:, None]
        mean = standardised.mean(axis=0)
        return mean if self.curve is None else self.curve(mean)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> ScoreMap:
        """Reads what `dataclasses.asdict` gave."""
        curve = record["curve"]
        return cls(record["centers"], record["spreads"], None if curve is None else MonotoneMap(**curve))
