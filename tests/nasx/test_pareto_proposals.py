"""Which candidates are chosen: gains, limits, and each other's company."""

from __future__ import annotations

import numpy as np

from nasx.pareto_proposals import Forecast, choose, usual_errors
from nasx.strategies.goals import Goal, Goals

GOALS = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"})
REFERENCE = np.array([-80.0, 10.0])


def pick(
    values: list[list[float]], n: int, deviations: float = 0.0, goals: Goals = GOALS, **options: object
) -> list[int]:
    table = np.array(values)
    measured = np.array(options.get("measured", [[90.0, 5.0]]))
    acceptable = options.get("acceptable", lambda place: True)
    return choose(Forecast(table, np.full_like(table, deviations)), goals, measured, REFERENCE, n, acceptable)  # type: ignore[arg-type]


def test_the_largest_gain_first_and_none_twice_in_the_same_place() -> None:
    assert pick([[92.0, 5.0], [93.9, 5.0], [94.0, 5.0], [90.0, 2.0]], 2) == [3, 2]


def test_what_is_not_acceptable_is_asked_once_and_passed_over() -> None:
    asked = []

    def acceptable(place: int) -> bool:
        asked.append(place)
        return place != 1

    assert pick([[92.0, 5.0], [94.0, 5.0], [91.0, 5.0]], 3, acceptable=acceptable) == [0, 2]
    assert sorted(asked) == [0, 1, 2]


def test_missing_forecasts_are_never_chosen() -> None:
    assert pick([[np.nan, 1.0], [91.0, 5.0]], 2) == [1]


def test_doubt_makes_a_candidate_worth_a_try() -> None:
    sure, doubtful = [[89.0, 5.5], [91.0, 5.0]], 0.0
    assert pick(sure, 1, doubtful) == [1]
    table = np.array(sure)
    spread = np.array([[6.0, 3.0], [0.0, 0.0]])
    assert choose(Forecast(table, spread), GOALS, np.array([[90.0, 5.0]]), REFERENCE, 1, lambda place: True) == [0]


def test_a_limit_turns_the_best_candidate_away() -> None:
    goals = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"}, limits={"latency_ms": 4.0})
    candidates = [[94.0, 5.0], [91.0, 3.9], [90.5, 3.8]]
    assert pick(candidates, 1, goals=goals, measured=[[90.0, 3.95]])[0] == 1
    assert pick(candidates, 1) == [0]


def test_where_nothing_keeps_the_limits_the_likeliest_to_keep_them_comes_first() -> None:
    goals = Goals.of({"accuracy": "maximize"}, limits={})
    goals = Goals((*goals.all, Goal("latency_ms", "minimize", False, 3.0)))
    measured = np.array([[90.0, 6.0]])
    forecast = Forecast(np.array([[95.0, 5.0], [85.0, 3.5], [99.0, 4.0]]), np.full((3, 2), 1.0))
    chosen = choose(forecast, goals, measured, np.array([-80.0]), 2, lambda place: True)
    assert chosen[0] == 1
    certain = Forecast(forecast.values, np.zeros((3, 2)))
    assert choose(certain, goals, measured, np.array([-80.0]), 3, lambda place: True) == [1, 2, 0]


def test_the_chance_to_keep_a_limit() -> None:
    goals = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"}, limits={"latency_ms": 4.0})
    forecast = Forecast(
        np.array([[90.0, 4.0], [90.0, 3.0], [90.0, 5.0]]), np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    )
    assert forecast.chances(goals).tolist() == [0.5, 1.0, 0.0]


def test_the_usual_error_of_the_first_round_is_half_the_spread() -> None:
    measured = np.arange(9.0)[:, None]
    np.testing.assert_allclose(usual_errors(measured, np.full((9, 1), np.nan)), 0.5 * 1.4826 * 2)
    assert usual_errors(measured, measured + 2.0)[0] == 2.0 * 1.4826
