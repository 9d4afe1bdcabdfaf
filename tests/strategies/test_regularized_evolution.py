"""Regularized evolution: a first generation, tournaments, one change a child, and ageing."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies import make_strategy
from nasx.strategies.regularized_evolution import RegularizedEvolution


def _changes(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_children_are_one_change_away_from_the_winner(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = RegularizedEvolution(space, rng=rng, population_size=4, tournament_size=4)
    strategy.tell(strategy.ask(4), [0.0] * 4)
    best = space.architecture(77)
    strategy.tell([best], [1.0])
    children = strategy.ask(30)
    assert {_changes(best, child) for child in children} == {1} or np.mean(
        [_changes(best, child) == 1 for child in children]
    ) > 0.5


def test_the_oldest_member_dies_even_if_it_is_the_best(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = RegularizedEvolution(space, rng=rng, population_size=3, tournament_size=1)
    cells = [space.architecture(i) for i in range(4)]
    strategy.tell(cells, [9.0, 1.0, 2.0, 3.0])
    assert [cell for cell, _ in strategy.population] == cells[1:]


def test_a_warm_start_keeps_the_best(space: NASBench201, rng: np.random.Generator) -> None:
    cells = [space.architecture(i) for i in range(6)]
    strategy = RegularizedEvolution(space, rng=rng, population_size=3, tournament_size=2, direction="minimize")
    strategy.warm_start(cells, [5.0, 0.0, 4.0, 1.0, 3.0, 2.0])
    assert {cell for cell, _ in strategy.population} == {cells[1], cells[3], cells[5]}
    assert all(min(_changes(child, cells[i]) for i in (1, 3, 5)) == 1 for child in strategy.ask(10))


def test_failed_members_never_win(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = RegularizedEvolution(space, rng=rng, population_size=2, tournament_size=2)
    good, bad = space.architecture(500), space.architecture(9000)
    strategy.warm_start([good, bad], [1.0, float("nan")])
    wins = sum(_changes(child, good) == 1 for child in strategy.ask(200))
    assert wins > 130  # the failed one is drawn twice, and so wins, in a quarter of the tournaments


def test_a_tournament_larger_than_the_population_is_refused(space: NASBench201, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match="between 1 and population_size 3"):
        RegularizedEvolution(space, rng=rng, population_size=3, tournament_size=4)


def test_the_population_grows_with_many_candidates(space: NASBench201, rng: np.random.Generator) -> None:
    def expecting(candidates: int) -> RegularizedEvolution:
        strategy = make_strategy("evolution", space, rng=rng, inner=True)
        assert isinstance(strategy, RegularizedEvolution)
        strategy.expect(candidates)
        return strategy

    assert [expecting(count).population.maxlen for count in (10, 4000, 40_000, 10**9)] == [200, 200, 2000, 10_000]
    assert [expecting(count).inner_batch for count in (10, 4000, 40_000, 10**9)] == [100, 100, 1000, 5000]
