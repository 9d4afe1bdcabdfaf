from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasx.search_spaces.errors import UsageError
from nasx.splits import train_size, train_sizes, uniform


@given(st.integers(4, 60), st.integers(1, 30), st.integers(0, 30), st.integers(0, 5))
def test_parts_are_disjoint_and_cover_everything(total: int, train: int, validation: int, seed: int) -> None:
    if train + validation > total - 2:
        return
    rows = np.arange(total) * 3
    split = uniform(rows, train, np.random.default_rng(seed), validation_size=validation)
    assert (len(split.train), len(split.validation)) == (train, validation)
    assert sorted([*split.train, *split.validation, *split.test]) == rows.tolist()


def test_same_seed_same_split() -> None:
    one, two, other = (uniform(range(100), 10, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.train, two.train)
    assert not np.array_equal(one.train, other.train)


def test_every_row_is_drawn_equally_often() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([uniform(range(20), 5, rng).train for _ in range(2000)]), minlength=20)
    assert counts.min() > 400
    assert counts.max() < 600


def test_train_on_one_metric_and_test_on_another() -> None:
    split = uniform([0, 1, 2, 3], 2, np.random.default_rng(0), test_rows=range(3, 10))
    assert set(split.train) <= {0, 1, 2, 3}
    assert set(split.test) == set(range(3, 10)) - set(split.train)


def test_sizes_of_the_literature() -> None:
    assert train_sizes(["5%", "10%", 781, "78"], 15_625) == [781, 1563, 78]
    assert train_sizes(["0.1%", "1%"], 423_624) == [424, 4236]
    assert train_sizes("3%", 15_625) == [469]
    assert train_sizes(7, 10) == [7]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "at least 1"),
        (-5, "at least 1"),
        ("-5%", "at least 1"),
        ("0.0001%", "at least 1"),
        (100, "nothing to test on"),
        (101, "nothing to test on"),
        ("100%", "nothing to test on"),
        ("abc%", "not a training size"),
        ("%", "not a training size"),
        ("nan%", "not a training size"),
        ("inf%", "not a training size"),
        ("ten", "not a training size"),
        ("5.5", "not a training size"),
        ("", "not a training size"),
        (True, "not a training size"),
    ],
)
def test_bad_sizes_are_one_sentence(size: int | str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        train_size(size, 100)


def test_too_many_rows_are_one_sentence() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="only 5 architectures"):
        uniform(range(5), 6, rng)
    with pytest.raises(UsageError, match="only 5 architectures"):
        uniform(range(5), 3, rng, validation_size=3)
    with pytest.raises(UsageError, match="leave 1 of 5"):
        uniform(range(5), 4, rng)
    with pytest.raises(UsageError, match="at least 1"):
        uniform(range(5), 0, rng)
    with pytest.raises(UsageError, match="at least one training size"):
        train_sizes([], 100)
