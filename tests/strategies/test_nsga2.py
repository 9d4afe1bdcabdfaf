"""NSGA-II: it finds fronts, keeps limits, survives failures, and does not propose twice."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.strategies.dominance import non_dominated
from nasx.strategies.goals import Goals
from nasx.strategies.nsga2 import NSGA2

GOALS = Goals.of({"convolutions": "maximize", "cost": "minimize"})


def measured(cell: tuple[str, ...]) -> list[float]:
    """Convolutions are good but dear, the first place is worth more; a pool costs and brings nothing."""
    good = cell.count("nor_conv_3x3") + 0.5 * cell.count("nor_conv_1x1") + 0.5 * (cell[0] == "nor_conv_3x3")
    return [good, 2.0 * cell.count("nor_conv_3x3") + cell.count("nor_conv_1x1") + cell.count("avg_pool_3x3")]


def run(strategy: NSGA2, evaluations: int, n: int = 1) -> list[tuple[str, ...]]:
    asked = []
    for _ in range(evaluations // n):
        cells = strategy.ask(n)
        strategy.tell(cells, [measured(cell) for cell in cells])
        asked += cells
    return asked


def front_size(cells: list[tuple[str, ...]]) -> int:
    rows = GOALS.losses(GOALS.rows([measured(cell) for cell in cells]))
    return len({tuple(row) for row in rows[non_dominated(rows)].tolist()})


@pytest.mark.parametrize("n", [1, 20])
def test_it_finds_more_of_the_front_than_chance(space: NASBench201, n: int) -> None:
    found, chance = 0, 0
    truth = {tuple(measured(c)) for c in space.enumerate()}
    rows = np.array(sorted(truth))
    ideal = {tuple(row) for row in rows[non_dominated(GOALS.losses(rows))].tolist()}
    for seed in range(3):
        cells = run(NSGA2(space, rng=np.random.default_rng(seed), goals=GOALS), 200, n)
        found += len({tuple(measured(cell)) for cell in cells} & ideal)
        random = space.samples(200, np.random.default_rng(seed))
        chance += len({tuple(measured(cell)) for cell in random} & ideal)
    assert found > chance + 3


def test_nothing_is_proposed_twice_where_there_is_enough(space: NASBench201, rng: np.random.Generator) -> None:
    asked = run(NSGA2(space, rng=rng, goals=GOALS), 200)
    assert len(set(asked)) == len(asked)


def test_limits_are_kept_in_the_population(space: NASBench201, rng: np.random.Generator) -> None:
    goals = Goals.of({"convolutions": "maximize", "cost": "minimize"}, limits={"cost": 3.0})
    strategy = NSGA2(space, rng=rng, goals=goals)
    run(strategy, 200)
    assert all(measured(cell)[1] <= 3.0 for cell in strategy.population)
    assert max(measured(cell)[0] for cell in strategy.population) >= 1.5


def test_failed_evaluations_do_not_breed(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = NSGA2(space, rng=rng, goals=GOALS, population_size=4)
    for turn in range(10):
        cells = strategy.ask(4)
        strategy.tell(cells, [measured(cell) if turn and place else [np.nan, 1.0] for place, cell in enumerate(cells)])
    assert len(strategy.population) == 4


def test_the_population_holds_its_extremes(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = NSGA2(space, rng=rng, goals=GOALS)
    asked = run(strategy, 200)
    rows = np.array([measured(cell) for cell in asked[:180]])
    alive = np.array([measured(cell) for cell in strategy.population])
    assert alive[:, 0].max() >= rows[:, 0].max()
    assert alive[:, 1].min() <= rows[:, 1].min()


def test_rows_of_the_wrong_width_are_refused(space: NASBench201, rng: np.random.Generator) -> None:
    strategy = NSGA2(space, rng=rng, goals=GOALS)
    with pytest.raises(UsageError, match="2 goals"):
        strategy.tell(strategy.ask(2), [1.0, 2.0])
    with pytest.raises(UsageError, match="tell one value each"):
        strategy.tell(strategy.ask(2), [[1.0, 2.0]])
    with pytest.raises(UsageError, match="at least 2"):
        NSGA2(space, rng=rng, population_size=1)
    with pytest.raises(UsageError, match="0 to 1"):
        NSGA2(space, rng=rng, crossover_probability=1.5)
