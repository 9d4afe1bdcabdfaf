"""Between targets and what a model learns: scaling targets, and mapping scores back to their scale."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scaling = Literal["standard", "unit"]


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
                that is impossible (a target is not positive) the range becomes [0.1, 1].
        """
        values = np.asarray(targets, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        if scaling == "standard":
            # A spread within rounding of the values is no spread.
            spread = float(values.std())
            return cls(float(values.mean()), spread if spread > 1e-12 * max(abs(low), abs(high)) else 1.0)
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


@dataclass(frozen=True)
class ScoreMap:
    """Averages the scores of an ensemble and maps them, strictly increasing, to (scaled) targets.

    A ranking loss leaves the scale of a member's scores free, so each member is first standardised by its scores of
    the training graphs; the line through the training targets is the least-squares one, its slope kept positive.
    """

    centers: list[float]
    spreads: list[float]
    slope: float
    intercept: float

    @classmethod
    def identity(cls, members: int) -> ScoreMap:
        """For losses whose scores are the targets already: the plain average."""
        return cls([0.0] * members, [1.0] * members, 1.0, 0.0)

    @classmethod
    def of(cls, scores: NDArray[np.floating[Any]], targets: NDArray[np.float64]) -> ScoreMap:
        """Fits the map to the scores `(E, B)` and scaled targets `(B,)` of the training graphs.

        >>> ScoreMap.of(np.array([[0.0, 4.0]]), np.array([-1.0, 1.0]))(np.array([[2.0, 8.0]])).tolist()
        [0.0, 3.0]
        """
        scores = scores.astype(np.float64)
        spreads = scores.std(axis=1)
        spreads = np.where(spreads > 1e-9, spreads, 1.0)
        unfitted = cls(scores.mean(axis=1).tolist(), spreads.tolist(), 1.0, 0.0)
        mean_scores = unfitted(scores)
        variance = float(mean_scores.var())
        slope = float(((mean_scores - mean_scores.mean()) * targets).mean()) / variance if variance > 0 else 1.0
        slope = max(slope, 1e-3 * float(targets.std()), 1e-12)
        return cls(unfitted.centers, unfitted.spreads, slope, float(targets.mean()) - slope * float(mean_scores.mean()))

    def __call__(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Maps scores `(E, B)` to scaled targets `(B,)`."""
        standardised = (scores - np.array(self.centers)[:, None]) / np.array(self.spreads)[:, None]
        return self.slope * standardised.mean(axis=0) + self.intercept

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)
