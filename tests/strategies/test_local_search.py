"""Local search: climbs, stops at local optima, restarts."""

from __future__ import annotations

import numpy as np

from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies.local_search import LocalSearch


def test_neighbours_of_the_centre_come_next(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = LocalSearch(space, rng=rng)
    (start,) = strategy.ask(1)
    strategy.tell([start], [1.0])
    assert set(strategy.ask(24)) == set(space.neighbours(start))


def test_the_first_improvement_moves_the_climb(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = LocalSearch(space, rng=rng)
    (start,) = strategy.ask(1)
    strategy.tell([start], [1.0])
    (better,) = strategy.ask(1)
    strategy.tell([better], [2.0])
    assert set(strategy.ask(23)) == set(space.neighbours(better)) - {start}


def test_a_local_optimum_ends_in_a_random_restart(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = LocalSearch(space, rng=rng)
    (start,) = strategy.ask(1)
    strategy.tell([start], [1.0])
    around = strategy.ask(24)
    strategy.tell(around, [0.0] * 24)
    (restart,) = strategy.ask(1)
    assert restart not in {start, *around}
    strategy.tell([restart], [-5.0])
    assert set(strategy.ask(24)) <= set(space.neighbours(restart))


def test_a_failed_start_is_left(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = LocalSearch(space, rng=rng)
    strategy.tell(strategy.ask(1), [float("nan")])
    assert strategy.best_fitness == -np.inf
    assert len(strategy.ask(2)) == 2
