"""Rows of values: what is failed, and what is no row."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nasx.benchmark import BudgetSpent, load_benchmark
from nasx.pareto_measure import MeasureRow
from nasx.search_spaces.errors import UsageError

BOTH = MeasureRow(("accuracy", "latency_ms"))


@pytest.mark.parametrize("answer", [(93.0, 4), [93.0, "4"], {"latency_ms": 4.0, "accuracy": 93.0}])
def test_rows_and_mappings(answer: Any) -> None:
    assert BOTH(lambda cell: answer, "cell") == ((93.0, 4.0), None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [((93.0, math.inf), "latency_ms is inf"), ((None, 4.0), "accuracy is nan"), (("high", 4.0), "accuracy is nan")],
)
def test_one_missing_value_fails_them_all(answer: Any, error: str) -> None:
    row, said = BOTH(lambda cell: answer, "cell")
    assert [math.isnan(value) for value in row] == [True, True]
    assert said == error


def test_what_an_objective_raises_is_a_failed_evaluation() -> None:
    assert BOTH(lambda cell: 1 / 0, "cell")[1] == "ZeroDivisionError: division by zero"
    with pytest.raises(KeyboardInterrupt):
        BOTH(lambda cell: (_ for _ in ()).throw(KeyboardInterrupt()), "cell")


@pytest.mark.parametrize("answer", [3.0, (1.0,), "ab", None, {"accuracy": 1.0}, {"accuracy": 1.0, "latency": 2.0}])
def test_what_is_no_row_is_refused(answer: Any) -> None:
    with pytest.raises(UsageError, match=r"must return.* accuracy, latency_ms"):
        BOTH(lambda cell: answer, "cell")


def test_a_benchmark_is_asked_for_each_metric() -> None:
    bench = load_benchmark("nasbench-graph", dataset="cora", budget=2)
    first, second = bench.architectures()[:2]
    how = MeasureRow(("validation_accuracy", "latency"))
    row, error = how(bench, first)
    assert error is None
    assert row == (bench.query(first, "validation_accuracy"), bench.query(first, "latency"))
    with pytest.raises(BudgetSpent):
        how(bench, second)
