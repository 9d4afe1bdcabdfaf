"""NSGA-II: evolution towards a whole front."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Direction, Strategy
from nasx.strategies.dominance import survival_order
from nasx.strategies.goals import Goal, Goals

_TRIES = 10


class NSGA2(Strategy):
    """Parents and children compete for a place in the next generation: the front first, then whoever has most room.

    Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation 6(2), 2002::

        population <- P random architectures
        repeat: two parents, each the winner of a tournament of two (smaller front, then larger crowding distance)
                child <- mutate(crossover(parents)), never one that was proposed before if that can be helped
                after P children: population <- the P best of population and children

    Limits are kept by constrained domination: what breaks none beats what breaks some. With one objective it is a plain
    elitist genetic algorithm.

    Args:
        space: The search space.
        rng: The only source of randomness.
        direction: Whether larger or smaller values are better, where there is one objective.
        goals: Several objectives and limits; :meth:`tell` then takes one row ``(k,)`` an architecture, in their order.
        population_size: P.
        crossover_probability: How often a child has two parents.

    >>> import numpy as np
    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> goals = Goals.of({"convolutions": "maximize", "shortcuts": "maximize"})
    >>> strategy = NSGA2(NASBench201(), rng=np.random.default_rng(0), goals=goals, population_size=10)
    >>> for _ in range(20):
    ...     cells = strategy.ask(10)
    ...     strategy.tell(cells, [[cell.count("nor_conv_3x3"), cell.count("skip_connect")] for cell in cells])
    >>> front = sorted(cell.count("nor_conv_3x3") for cell in strategy.population)
    >>> front[0], front[-1]
    (0, 5)
    """

    inner_options = MappingProxyType({"population_size": 200})

    def __init__(
        self,
        space: SearchSpace,
        *,
        rng: np.random.Generator,
        direction: Direction = "maximize",
        goals: Goals | None = None,
        population_size: int = 20,
        crossover_probability: float = 0.9,
    ) -> None:
        super().__init__(space, rng=rng, direction=direction)
        if population_size < 2:
            raise UsageError(f"a population of {population_size} has no two parents; type at least 2")
        if not 0 <= crossover_probability <= 1:
            raise UsageError(f"a crossover probability of {crossover_probability} is outside 0 to 1")
        self.goals = goals or Goals((Goal("value", direction),))
        self.population_size = population_size
        self.crossover_probability = crossover_probability
        self.population: list[Hashable] = []
        self._measured: dict[Hashable, list[float]] = {}
        self._offspring: list[Hashable] = []
        self._fronts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._room: NDArray[np.float64] = np.zeros(0)
        self._proposed: set[Hashable] = set()
        self._first_generation = population_size

    def ask(self, n: int = 1) -> list[Hashable]:
        """Children of tournament winners, or random architectures until the first generation is complete."""
        return [self._new() for _ in range(n)]

    def tell(self, architectures: Sequence[Hashable], values: Sequence[Any] | NDArray[np.float64]) -> None:
        """Reports values: a row ``(k,)`` an architecture, or a number where there is one goal; NaN means failed.

        Raises:
            UsageError: If the two sequences differ in length, or rows in width.
        """
        if len(architectures) != len(values):
            raise UsageError(f"{len(architectures)} architectures but {len(values)} values; tell one value each")
        for architecture, row in zip(architectures, self.goals.rows(values), strict=True):
            self._proposed.add(architecture)
            if architecture not in self._measured and np.isfinite(row).all():
                self._measured[architecture] = row.tolist()
                self._offspring.append(architecture)
        if len(self._offspring) >= self.population_size:
            self._next_generation()

    def warm_start(self, architectures: Sequence[Hashable], values: Sequence[Any] | NDArray[np.float64]) -> None:
        """Makes the best of the known results the first generation."""
        self.tell(architectures, values)
        self._next_generation()
        self._first_generation -= len(self.population)

    def _next_generation(self) -> None:
        members = [*self.population, *self._offspring]
        rows = self.goals.rows([self._measured[member] for member in members])
        order, fronts, room = survival_order(self.goals.losses(rows), self.goals.violations(rows))
        kept = order[: self.population_size]
        self.population = [members[place] for place in kept]
        self._fronts, self._room = fronts[kept], room[kept]
        self._offspring = []

    def _new(self) -> Hashable:
        if self._first_generation <= 0 and not self.population and self._offspring:
            self._next_generation()
        architecture = None
        for _ in range(_TRIES):
            if self._first_generation > 0 or not self.population:
                architecture = self.space.sample(self.rng)
            else:
                architecture = self._child()
            if architecture not in self._proposed:
                break
        self._first_generation -= 1
        self._proposed.add(architecture)
        return architecture

    def _child(self) -> Hashable:
        child = self._parent()
        if self.rng.random() < self.crossover_probability:
            child = self.space.crossover(child, self._parent(), self.rng)
        return self.space.mutate(child, self.rng)

    def _parent(self) -> Hashable:
        first, second = (int(i) for i in self.rng.integers(len(self.population), size=2))
        better = (self._fronts[first], -self._room[first]) <= (self._fronts[second], -self._room[second])
        return self.population[first if better else second]
