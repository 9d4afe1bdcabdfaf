"""Local search: hill climbing over the one-change neighbourhood."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable

import numpy as np

from nasx.search_spaces.space import SearchSpace
from nasx.strategies.base import Direction, Strategy


class LocalSearch(Strategy):
    """Climbs to the best known neighbour's neighbours until a local optimum, then restarts at random.

    White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021
    (https://arxiv.org/abs/2005.02960). This is their continuing variant in ask/tell form: the neighbours of the best
    unexpanded architecture of the current climb are proposed in random order; the first improvement moves the climb.

    >>> import numpy as np
    >>> from nasx.search_spaces.nasbench201 import NASBench201
    >>> strategy = LocalSearch(NASBench201(), rng=np.random.default_rng(0))
    >>> for _ in range(60):
    ...     cells = strategy.ask(1)
    ...     strategy.tell(cells, [cell.count("nor_conv_3x3") for cell in cells])
    >>> strategy.best_fitness
    6.0
    """

    def __init__(self, space: SearchSpace, *, rng: np.random.Generator, direction: Direction = "maximize") -> None:
        super().__init__(space, rng=rng, direction=direction)
        self.fitness: dict[Hashable, float] = {}
        self.best_fitness = -math.inf
        self._centre: Hashable | None = None
        self._queue: deque[Hashable] = deque()

    def ask(self, n: int = 1) -> list[Hashable]:
        """The next untried neighbours of the current centre; a random restart where none is left."""
        proposals: list[Hashable] = []
        while len(proposals) < n:
            if self._queue:
                proposals.append(self._queue.popleft())
            else:
                self._centre = None
                proposals.append(self.space.sample(self.rng))
        return proposals

    def _learn(self, architectures: list[Hashable], fitness: list[float]) -> None:
        for architecture, value in zip(architectures, fitness, strict=True):
            self.fitness[architecture] = value
            self.best_fitness = max(self.best_fitness, value)
        best = max(architectures, key=self.fitness.__getitem__, default=None)
        if best is None or self.fitness[best] == -math.inf:
            return
        if self._centre is None or self.fitness[best] > self.fitness[self._centre]:
            self._climb_to(best)

    def _climb_to(self, centre: Hashable) -> None:
        self._centre = centre
        untried = [a for a in self.space.neighbours(centre) if a not in self.fitness]
        self._queue = deque(untried[i] for i in self.rng.permutation(len(untried)))
