"""Non-dominated sorting and crowding distance, checked against pymoo."""

from __future__ import annotations

import numpy as np
import pytest

from nasx.strategies.dominance import crowding_distance, front_numbers, non_dominated, survival_order

sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting", reason="pymoo is the oracle; pip install pymoo")


def losses(seed: int, rows: int = 60, objectives: int = 2, steps: int | None = None) -> np.ndarray:
    values = np.random.default_rng(seed).random((rows, objectives))
    return np.round(values * steps) if steps else values


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [None, 5], ids=["all-different", "many-ties"])
def test_the_front_is_that_of_pymoo(objectives: int, steps: int | None) -> None:
    for seed in range(10):
        points = losses(seed, objectives=objectives, steps=steps)
        theirs = sorting.NonDominatedSorting().do(points, only_non_dominated_front=True)
        assert np.flatnonzero(non_dominated(points)).tolist() == sorted(theirs.tolist())


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("steps", [None, 5], ids=["all-different", "many-ties"])
def test_every_front_is_that_of_pymoo(objectives: int, steps: int | None) -> None:
    for seed in range(5):
        points = losses(seed, objectives=objectives, steps=steps)
        _, theirs = sorting.NonDominatedSorting().do(points, return_rank=True)
        assert front_numbers(points).tolist() == theirs.tolist()


@pytest.mark.parametrize("objectives", [2, 3])
def test_crowding_distance_is_that_of_pymoo(objectives: int) -> None:
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

    for seed in range(5):
        points = losses(seed, rows=12, objectives=objectives)
        theirs = calc_crowding_distance(points) * objectives  # theirs is the mean over the objectives
        np.testing.assert_allclose(crowding_distance(points), theirs)


def test_the_survivors_are_those_of_pymoo() -> None:
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    for seed in range(5):
        points, kept = losses(seed, rows=40), 15
        problem = Problem(n_var=1, n_obj=2, xl=0.0, xu=1.0)
        population = Population.new("F", points, "X", np.arange(40.0)[:, None])
        theirs = RankAndCrowding().do(problem, population, n_survive=kept).get("X")[:, 0].astype(int)
        order, fronts, _ = survival_order(points)
        # Where several of a front have equal room, either choice is right: compare who must survive.
        last = fronts[order[kept]]
        assert {int(i) for i in theirs if fronts[i] < last} == {int(i) for i in order[:kept] if fronts[i] < last}
        assert sorted(fronts[theirs]) == sorted(fronts[order[:kept]])


def test_what_breaks_a_limit_comes_after_all_that_do_not_and_in_order() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.5, 0.5]])
    assert front_numbers(points, np.array([0.2, 0.0, 0.0, 0.1])).tolist() == [3, 0, 1, 2]


def test_missing_values_are_on_no_front() -> None:
    assert not non_dominated(np.array([[np.nan, 0.0]])).any()
    assert non_dominated(np.zeros((0, 2))).tolist() == []
    assert front_numbers(np.zeros((0, 2))).tolist() == []


def test_equal_rows_have_no_room() -> None:
    assert crowding_distance(np.zeros((3, 2))).tolist()[1] == 0.0
