"""What is wanted of several measured quantities at once: which end is good, which are optimised, which are limited."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nasx.search_spaces.errors import UsageError
from nasx.strategies.base import Direction

Floats = NDArray[np.float64]


_DEVICE = {"latency", "energy", "power", "throughput", "fps", "ms", "mj"}


@dataclass(frozen=True)
class Goal:
    """One measured quantity and what is wanted of it.

    Attributes:
        name: Its name.
        direction: Whether larger or smaller values are better.
        optimised: Whether it is an objective; otherwise only its limit counts.
        limit: The worst value that is allowed, at most or at least as the direction says; None for no limit.

    >>> Goal("latency_ms", "minimize", limit=5.0).demand, Goal("accuracy", "maximize", limit=90.0).demand
    ('latency_ms <= 5', 'accuracy >= 90')
    """

    name: str
    direction: Direction
    optimised: bool = True
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("maximize", "minimize"):
            raise UsageError(f"unknown direction '{self.direction}' of {self.name}; type maximize or minimize")
        if self.limit is not None and not math.isfinite(self.limit):
            raise UsageError(f"the limit {self.limit} of {self.name} is no finite number")
        if not self.optimised and self.limit is None:
            raise UsageError(f"{self.name} is neither an objective nor limited; leave it out")

    @property
    def sign(self) -> float:
        """What turns its values into losses: 1 where small is good, -1 where large is."""
        return 1.0 if self.direction == "minimize" else -1.0

    @property
    def of_device(self) -> bool:
        """Whether its name says that a device is measured: what an architecture computes does not settle it then.

        >>> Goal("edgegpu_latency_ms", "minimize").of_device, Goal("test_accuracy", "maximize").of_device
        (True, False)
        """
        return not _DEVICE.isdisjoint(self.name.lower().replace("/", "_").split("_"))

    @property
    def demand(self) -> str:
        """Its limit in words; empty without one."""
        if self.limit is None:
            return ""
        return f"{self.name} {'<=' if self.direction == 'minimize' else '>='} {self.limit:g}"


@dataclass(frozen=True)
class Goals:
    """Several goals, in the order of the columns of what is measured.

    Attributes:
        all: The k goals.

    >>> goals = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"}, limits={"latency_ms": 5.0})
    >>> measured = np.array([[93.0, 4.0], [94.0, 6.0]])
    >>> goals.losses(measured).tolist(), goals.violations(measured).tolist()
    ([[-93.0, 4.0], [-94.0, 6.0]], [0.0, 0.2])
    """

    all: tuple[Goal, ...]

    def __post_init__(self) -> None:
        if not any(goal.optimised for goal in self.all):
            raise UsageError("there is no objective; name at least one")
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise UsageError(f"the objective '{twice[0]}' is given twice; name each once")

    @classmethod
    def of(cls, objectives: Mapping[str, Direction], limits: Mapping[str, float] | None = None) -> Goals:
        """Objectives with their directions, and limits of some of them."""
        limits = limits or {}
        return cls(tuple(Goal(name, direction, True, limits.get(name)) for name, direction in objectives.items()))

    @property
    def names(self) -> list[str]:
        """The names of all quantities, in the order of the columns."""
        return [goal.name for goal in self.all]

    @property
    def objectives(self) -> list[Goal]:
        """Those that are optimised."""
        return [goal for goal in self.all if goal.optimised]

    @property
    def of_device(self) -> bool:
        """Whether a device is measured in any of them."""
        return any(goal.of_device for goal in self.all)

    @property
    def limited(self) -> bool:
        """Whether any of them has a limit."""
        return any(goal.limit is not None for goal in self.all)

    def rows(self, values: ArrayLike | Sequence[object]) -> Floats:
        """Measured values as rows ``(n, k)``.

        Raises:
            UsageError: If they are of another width.
        """
        rows = np.asarray(values, dtype=np.float64)
        if rows.ndim == 1 and len(self.all) == 1:
            rows = rows[:, None]
        if rows.size == 0:
            return np.zeros((len(rows), len(self.all)))
        if rows.ndim != 2 or rows.shape[1] != len(self.all):
            raise UsageError(f"values of shape {rows.shape} for {len(self.all)} goals ({', '.join(self.names)})")
        return rows

    def losses(self, values: Floats) -> Floats:
        """The objectives ``(n, m)`` of measured values ``(n, k)``, smaller is better; NaN stays NaN."""
        columns = [place for place, goal in enumerate(self.all) if goal.optimised]
        return np.array([goal.sign for goal in self.objectives]) * values[:, columns]

    def violations(self, values: Floats) -> Floats:
        """By how much rows ``(n, k)`` break the limits, ``(n,)``: 0 where all are kept.

        Each excess is relative to its limit (absolute where the limit is 0), and they are added up.
        """
        total = np.zeros(len(values))
        for place, goal in enumerate(self.all):
            if goal.limit is not None:
                excess = goal.sign * (values[:, place] - goal.limit)
                total += np.where(np.isnan(excess), np.nan, np.maximum(excess, 0.0)) / (abs(goal.limit) or 1.0)
        return total

    def worst(self, values: Floats, share: float = 0.95) -> Floats:
        """The losses ``(m,)`` that a share of rows ``(n, k)`` stay below in each objective, limits included.

        A reference point for hypervolumes: the few architectures that do not train at all set no scale. A limit moves
        it closer, to 5 % beyond the limit, so that what just keeps it is still worth something.
        """
        bounds = np.quantile(self.losses(values), share, axis=0)
        allowed = [
            np.inf if goal.limit is None else goal.sign * goal.limit + 0.05 * (abs(goal.limit) or 1.0)
            for goal in self.objectives
        ]
        return np.asarray(np.minimum(bounds, allowed))
