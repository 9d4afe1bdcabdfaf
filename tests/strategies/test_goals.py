"""Goals: losses, limits on either side, and what makes no sense."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nasx.search_spaces.errors import UsageError
from nasx.strategies.goals import Goal, Goals

ROWS = np.array([[93.0, 4.0, 100.0], [80.0, 6.0, 50.0], [np.nan, 1.0, 1.0]])


def test_losses_and_violations() -> None:
    goals = Goals(
        (
            Goal("accuracy", "maximize", limit=90.0),
            Goal("latency_ms", "minimize"),
            Goal("energy_mj", "minimize", optimised=False, limit=80.0),
        )
    )
    assert goals.losses(ROWS)[:2].tolist() == [[-93.0, 4.0], [-80.0, 6.0]]
    np.testing.assert_allclose(goals.violations(ROWS), [0.25, 10 / 90, np.nan])
    assert [goal.demand for goal in goals.all] == ["accuracy >= 90", "", "energy_mj <= 80"]
    assert goals.limited
    assert [goal.name for goal in goals.objectives] == ["accuracy", "latency_ms"]


def test_a_limit_of_zero_is_absolute() -> None:
    goals = Goals.of({"balance": "minimize"}, limits={"balance": 0.0})
    assert goals.violations(np.array([[-1.0], [0.5]])).tolist() == [0.0, 0.5]


def test_the_reference_ignores_the_few_that_are_broken_and_what_is_not_allowed() -> None:
    goals = Goals.of({"accuracy": "maximize", "latency_ms": "minimize"}, limits={"latency_ms": 3.0})
    rows = np.column_stack([np.linspace(10, 94, 101), np.linspace(1, 6, 101)])
    np.testing.assert_allclose(goals.worst(rows), [-14.2, 3.15])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Goal("a", "up"), "maximize or minimize"),
        (lambda: Goal("a", "maximize", limit=math.nan), "no finite number"),
        (lambda: Goal("a", "maximize", optimised=False), "neither an objective nor limited"),
        (lambda: Goals((Goal("a", "maximize", optimised=False, limit=1.0),)), "no objective"),
        (lambda: Goals((Goal("a", "maximize"), Goal("a", "minimize"))), "given twice"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make()  # type: ignore[operator]
