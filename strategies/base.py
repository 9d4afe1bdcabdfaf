"""The contract every search strategy keeps: ask for architectures, tell their values."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace

Direction = Literal["maximize", "minimize"]


class Strategy(ABC):
    """Proposes architectures of a space and learns from their values.

    A strategy knows a space and values, nothing else: whether a value is a training run, a table look-up or a
    predictor's guess is the caller's business. That is why the same class searches alone and inside a predictor-guided
    search (:func:`nasx.strategies.guided.propose`).

    Subclasses implement :meth:`ask` and, if they learn, :meth:`_learn`; every random number comes from ``self.rng``.

    Args:
        space: The search space.
        rng: The only source of randomness.
        direction: Whether larger or smaller values are better.
    """

    #: How many candidates this strategy looks at when it searches against a predictor instead of the truth,
    #: how many of them it asks for at once there, and the options of its constructor that suit such numbers.
    inner_candidates: int = 4000
    inner_batch: int = 200
    inner_options: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, space: SearchSpace, *, rng: np.random.Generator, direction: Direction = "maximize") -> None:
        if direction not in ("maximize", "minimize"):
            raise UsageError(f"unknown direction '{direction}'; type maximize or minimize")
        self.space = space
        self.rng = rng
        self.direction = direction

    def expect(self, candidates: int) -> None:  # noqa: B027
        """Is told how many architectures a search against a predictor will ask for; most strategies need not know."""

    @abstractmethod
    def ask(self, n: int = 1) -> list[Hashable]:
        """Proposes ``n`` valid architectures; they may repeat earlier ones, the caller sorts that out."""

    def tell(self, architectures: Sequence[Hashable], values: Sequence[float]) -> None:
        """Reports values; architectures nobody asked for are welcome, NaN means that the evaluation failed.

        Raises:
            UsageError: If the two sequences differ in length.
        """
        if len(architectures) != len(values):
            raise UsageError(f"{len(architectures)} architectures but {len(values)} values; tell one value each")
        sign = 1.0 if self.direction == "maximize" else -1.0
        fitness = [-math.inf if math.isnan(value) else sign * float(value) for value in values]
        self._learn(list(architectures), fitness)

    def warm_start(self, architectures: Sequence[Hashable], values: Sequence[float]) -> None:
        """Starts from known results, best last; by default the same as telling them."""
        worst_first = np.argsort(np.asarray(values, float) * (1.0 if self.direction == "maximize" else -1.0))
        self.tell([architectures[i] for i in worst_first], [values[i] for i in worst_first])

    def _learn(self, architectures: list[Hashable], fitness: list[float]) -> None:  # noqa: B027
        """Takes in results as fitness: larger is better whatever the direction, ``-inf`` means failed."""
