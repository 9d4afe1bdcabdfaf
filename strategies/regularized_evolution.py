"""Regularized (aging) evolution."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from types import MappingProxyType

import numpy as np

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Direction, Strategy

_LARGEST_GROWTH = 50


class RegularizedEvolution(Strategy):
    """Tournament selection, one mutation, and the oldest member dies.

    Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019
    (https://arxiv.org/abs/1802.01548), algorithm 1::

        population <- P random architectures
        repeat: sample S members, parent <- the best of them, child <- mutate(parent),
                append the child to the population, remove the oldest member

    With probability ``crossover_probability`` the child first mixes its parent with the winner of a second tournament.

    Args:
        space: The search space.
        rng: The only source of randomness.
        direction: Whether larger or smaller values are better.
        population_size: P, the number of living members.
        tournament_size: S, the number of members a parent has to beat.
        crossover_probability: How often a child has two parents.

    >>> import numpy as np
    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> strategy = RegularizedEvolution(NASBench201(), rng=np.random.default_rng(0))
    >>> cells = strategy.ask(40)
    >>> strategy.tell(cells, [cell.count("nor_conv_3x3") for cell in cells])
    >>> sum(cell.count("nor_conv_3x3") for cell in strategy.ask(40)) > sum(c.count("nor_conv_3x3") for c in cells)
    True
    """

    inner_batch = 100
    inner_options = MappingProxyType({"population_size": 200, "tournament_size": 20, "crossover_probability": 0.2})

    def __init__(
        self,
        space: SearchSpace,
        *,
        rng: np.random.Generator,
        direction: Direction = "maximize",
        population_size: int = 20,
        tournament_size: int = 5,
        crossover_probability: float = 0.0,
    ) -> None:
        super().__init__(space, rng=rng, direction=direction)
        if not 1 <= tournament_size <= population_size:
            raise UsageError(
                f"tournament_size {tournament_size} must lie between 1 and population_size {population_size}"
            )
        self.tournament_size = tournament_size
        self.crossover_probability = crossover_probability
        self.population: deque[tuple[Hashable, float]] = deque(maxlen=population_size)
        self._first_generation = population_size

    def expect(self, candidates: int) -> None:
        """Lets population and batches grow with the number of candidates where that is beyond the default, to 50-fold.

        A population of 200 would have forgotten everything a hundred times over before a million candidates are seen.
        """
        growth = min(candidates // self.inner_candidates, _LARGEST_GROWTH)
        if growth > 1:
            living = self.population.maxlen or len(self.population)
            self.population = deque(self.population, maxlen=growth * living)
            self._first_generation += (growth - 1) * living
            self.inner_batch = growth * type(self).inner_batch

    def ask(self, n: int = 1) -> list[Hashable]:
        """Children of tournament winners, or random architectures until the first generation is complete."""
        children: list[Hashable] = []
        for _ in range(n):
            if self._first_generation > 0 or not self.population:
                self._first_generation -= 1
                children.append(self.space.sample(self.rng))
            else:
                children.append(self._child())
        return children

    def warm_start(self, architectures: Sequence[Hashable], values: Sequence[float]) -> None:
        """Makes the best of the known results the first generation."""
        super().warm_start(architectures, values)
        self._first_generation -= len(self.population)

    def _learn(self, architectures: list[Hashable], fitness: list[float]) -> None:
        self.population.extend(zip(architectures, fitness, strict=True))

    def _parent(self) -> Hashable:
        contestants = self.rng.integers(len(self.population), size=self.tournament_size)
        return max((self.population[i] for i in contestants), key=lambda member: member[1])[0]

    def _child(self) -> Hashable:
        parent = self._parent()
        if self.rng.random() < self.crossover_probability:
            parent = self.space.crossover(parent, self._parent(), self.rng)
        return self.space.mutate(parent, self.rng)
