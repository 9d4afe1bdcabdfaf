"""Training sizes as users write them."""

from __future__ import annotations

import pytest

from nasx.search_spaces.errors import UsageError
from nasx.train_sizes import train_size, train_sizes


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


def test_no_sizes_at_all() -> None:
    with pytest.raises(UsageError, match="at least one training size"):
        train_sizes([], 100)
