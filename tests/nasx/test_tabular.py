from __future__ import annotations

import pickle

import numpy as np
import pytest

from nasx.benchmark import BudgetSpent
from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark

SPACE = get_search_space("nasbench201")


def make(rows: list[int] | None = None, **options: str) -> TabularBenchmark:
    indices = np.array([5, 3, 9, 0] if rows is None else rows)
    table = Table(
        "toy",
        SPACE,
        indices,
        {
            "accuracy": np.array([90.0, np.nan, 92.0, 90.0]) if rows is None else indices * 1.0,
            "latency": np.arange(len(indices)) + 1.0,
            "score": np.ones(len(indices)),
        },
        {
            "accuracy": Metric("accuracy", "percent", "maximize"),
            "latency": Metric("latency", "ms", "minimize"),
            "score": Metric("score"),
        },
        target="accuracy",
    )
    return TabularBenchmark(table, **options)


def test_query_by_object_text_or_call() -> None:
    bench = make()
    cell = SPACE.architecture(9)
    assert bench.query(cell) == bench.query(SPACE.format(cell)) == bench(cell) == 92.0
    assert bench.query(cell, "latency") == 3.0
    assert type(bench.query(cell)) is float


def test_every_form_of_an_architecture() -> None:
    bench = make()
    cell = SPACE.architecture(9)
    graph = SPACE.graph(cell)
    forms = [cell, list(cell), SPACE.format(cell), 9, np.int64(9), graph, (graph.adjacency, graph.operations)]
    assert [bench.query(form) for form in forms] == [92.0] * len(forms)
    assert bench.rows(forms).tolist() == [2] * len(forms)
    assert bench.values(np.array([9, 5, 77])).tolist()[:2] == [92.0, 90.0]
    with pytest.raises(UsageError, match=r"no architecture 15625"):
        bench.values(np.array([0, 15_625]))
    with pytest.raises(UsageError, match=r"no architecture -1"):
        bench.query(-1)
    with pytest.raises(UsageError, match=r"no NAS-Bench-201 cell: its graph has 8 nodes"):
        bench.query(([[0, 1], [0, 0]], ["input", "output"]))


def test_nasbench101_by_matrix_and_hash() -> None:
    space = get_search_space("nasbench101")
    cell = space.architecture(1)
    table = Table("toy", space, np.array([1]), {"m": np.array([0.5])}, {"m": Metric("m", "", "maximize")})
    bench = TabularBenchmark(table)
    matrix = [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    pair = (matrix, ["input", "maxpool3x3", "conv3x3-bn-relu", "output"])
    assert [bench.query(form) for form in (cell, space.format(cell), pair, space.graph(cell), 1)] == [0.5] * 5


def test_a_combination_is_one_number_or_a_list() -> None:
    each = [Metric.of("accuracy", "percent", "maximize", epochs=e, seed="mean") for e in (12, 200)]
    columns = {metric.name: np.full(3, float(metric.epochs or 0)) for metric in each}
    table = Table("toy", SPACE, np.arange(3), columns, {metric.name: metric for metric in each})
    bench = TabularBenchmark(table, target="accuracy_12_epochs_mean")
    assert bench.query(0, "accuracy", epochs=200) == bench.values([0], "accuracy", epochs=200, seed="mean")[0] == 200
    assert bench(0) == 12
    with pytest.raises(UsageError, match=r"say which of: epochs=12 .*; epochs=200"):
        bench.query(0, "accuracy")
    with pytest.raises(UsageError, match=r"need a metric="):
        bench.query(0, epochs=12)
    with pytest.raises(UsageError, match=r"say which of"):
        TabularBenchmark(table, target="accuracy")


def test_a_budget_counts_distinct_architectures_and_raises_when_spent() -> None:
    bench = TabularBenchmark(make().source, budget=3)
    for _ in range(3):
        bench.query(5)
    bench.values([5, 9])
    with pytest.raises(BudgetSpent, match=r"budget of 3 queries is spent \(2 used, 2 more asked for\)"):
        bench.values([0, 9], "latency")
    bench.query(9, "latency")
    with pytest.raises(BudgetSpent):
        bench.query(0)
    assert bench.query(9) == 92.0
    assert {metric: tuple(count) for metric, count in bench.query_counts().items()} == {
        "accuracy": (6, 2),
        "latency": (1, 1),
    }
    bench.budget = None
    assert bench.query(0) == 90.0
    with pytest.raises(UsageError, match=r"at least 0"):
        TabularBenchmark(make().source, budget=-1)


def test_values_of_many_rows_of_all_and_of_strangers() -> None:
    bench = make()
    cells = [SPACE.architecture(index) for index in (0, 3, 9, 11, 15_624)]
    assert np.array_equal(bench.values(cells), [90, np.nan, 92, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(bench.values(metric="latency"), [1, 2, 3, 4])
    assert np.array_equal(bench.rows(cells), [3, 1, 2, -1, -1])
    assert bench.values([]).shape == (0,)
    with pytest.raises(ValueError, match=r"read-only"):
        bench.values()[0] = 0


@pytest.mark.parametrize("rows", [None, list(range(15_625))])
def test_rows_architectures_and_graphs_belong_together(rows: list[int] | None) -> None:
    bench = make(rows)
    some = [2, 0, 3]
    cells = bench.architectures(some)
    assert bench.rows(cells).tolist() == some
    assert bench.rows([SPACE.format(cell) for cell in cells]).tolist() == some
    assert bench.formatted(some) == [SPACE.format(cell) for cell in cells]
    for _ in range(2):  # before and after all graphs were made
        assert list(bench.graphs(some)) == [SPACE.graph(cell) for cell in cells]
        assert len(bench.graphs()) == len(bench)


def test_a_space_without_index() -> None:
    class Endless(type(SPACE)):  # type: ignore[misc]
        size = None

    space = Endless()
    cells = [SPACE.architecture(7), SPACE.architecture(2)]
    table = Table("t", space, cells, {"m": np.array([1.0, 2.0])}, {"m": Metric("m", "", "minimize")})
    bench = TabularBenchmark(table)
    assert bench.rows([*cells, SPACE.architecture(0)]).tolist() == [0, 1, -1]
    assert bench.query(cells[1]) == 2.0
    assert bench.optimum() == (cells[0], 1.0)
    assert len(bench.graphs([1])) == 1


def test_optimum_and_rank_follow_the_direction() -> None:
    bench = make()
    assert bench.optimum() == (SPACE.architecture(9), 92.0)
    assert bench.optimum("latency") == (SPACE.architecture(5), 1.0)
    assert [bench.rank(value) for value in (95.0, 92.0, 91.0, 90.0, 1.0)] == [1, 1, 2, 2, 4]
    assert [bench.rank(value, "latency") for value in (1.0, 2.0, 9.0)] == [1, 2, 5]


def test_missing_measurements_are_one_sentence() -> None:
    bench = make()
    with pytest.raises(NasxError, match=r"has no accuracy of \|.*\|; it was measured for 3 architectures"):
        bench.query(SPACE.architecture(3))
    with pytest.raises(NasxError, match=r"has no accuracy"):
        bench.query(SPACE.architecture(100))


def test_bad_questions_are_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"unknown metric 'acuracy'.*did you mean 'accuracy'"):
        make().query(SPACE.architecture(5), "acuracy")
    with pytest.raises(UsageError, match=r"unknown metric"):
        make(target="speed")
    with pytest.raises(UsageError, match=r"directions="):
        make(rank_against="score")
    with pytest.raises(UsageError):
        make().query("|conv~0|")


def test_target_and_rank_against() -> None:
    assert (make().target, make().rank_against, make().direction) == ("accuracy", "accuracy", "maximize")
    bench = make(target="latency")
    assert (bench.target, bench.rank_against, bench.direction) == ("latency", "latency", "minimize")
    assert make(rank_against="latency").rank_against == "latency"


def test_several_metrics_and_no_target() -> None:
    table = make().source
    bench = TabularBenchmark(Table(table.name, SPACE, table.architectures, table.columns, table.metrics))
    with pytest.raises(UsageError, match=r"choose the one to optimise.*accuracy, latency, score"):
        bench.query(SPACE.architecture(5))
    assert bench.query(SPACE.architecture(5), "score") == 1.0


def test_questions_are_counted_but_reports_are_not() -> None:
    bench = make()
    bench.values()
    bench.optimum()
    bench.table()
    assert bench.query_counts() == {}
    for _ in range(2):
        bench.query(SPACE.architecture(5))
    bench.values([SPACE.architecture(5), SPACE.architecture(9)])
    bench.query(SPACE.architecture(5), "latency")
    assert {metric: tuple(count) for metric, count in bench.query_counts().items()} == {
        "accuracy": (4, 2),
        "latency": (1, 1),
    }


def test_table_and_pickle() -> None:
    bench = pickle.loads(pickle.dumps(make()))
    frame = bench.table()
    assert list(frame.columns) == ["architecture", "accuracy", "latency", "score"]
    assert frame["architecture"][1] == SPACE.format(SPACE.architecture(3))
