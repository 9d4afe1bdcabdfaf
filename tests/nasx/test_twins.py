from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nasx.metric import Metric
from nasx.search_spaces import get_search_space
from nasx.table_file import Table
from nasx.tabular import TabularBenchmark
from nasx.twins import function_groups, random_pairs, sizes_of


def bench(space: str, rows: np.ndarray) -> TabularBenchmark:
    metrics = {"accuracy": Metric("accuracy", "percent", "maximize")}
    return TabularBenchmark(
        Table("toy", get_search_space(space), rows, {"accuracy": np.arange(len(rows)) * 1.0}, metrics)
    )


def test_groups_are_the_canonical_keys() -> None:
    rows = np.random.default_rng(0).permutation(15_625)[:300]
    groups = function_groups(bench("nasbench201", rows))
    space = get_search_space("nasbench201")
    keys = np.array(space.canonical_keys([space.architecture(int(row)) for row in rows]))
    assert len(set(groups)) == len(set(keys)) < 300
    assert np.array_equal(groups[:, None] == groups[None], keys[:, None] == keys[None])


def test_cells_of_nasbench101_are_their_own_class() -> None:
    assert len(set(function_groups(bench("nasbench101", np.array([5, 3, 400_000]))))) == 3


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 3))
def test_pairs_are_two_members_of_each_class_that_has_them(members: list[int], seed: int) -> None:
    groups = np.array(members, dtype=np.int64)
    first, second = random_pairs(groups, np.random.default_rng(seed))
    assert (first != second).all()
    assert (groups[first] == groups[second]).all()
    assert sorted(groups[first]) == sorted({g for g in members if members.count(g) > 1})
    assert sizes_of(groups).tolist() == [members.count(g) for g in members]
