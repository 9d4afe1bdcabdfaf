"""Errors say what was wrong, what exists and what was probably meant."""

from __future__ import annotations

import pytest

from nasx.search_spaces.errors import NasxError, UsageError, unknown


def test_unknown_names_list_what_exists() -> None:
    assert str(unknown("space", "xyz", ["b", "a"])) == "unknown space 'xyz'; known: a, b"
    assert "did you mean 'evolution'" in str(unknown("strategy", "evolutino", ["evolution", "random"]))
    assert "known: none" in str(unknown("table", "x", []))


@pytest.mark.parametrize(("error", "code"), [(NasxError, 1), (UsageError, 2)])
def test_exit_codes(error: type[NasxError], code: int) -> None:
    assert error("sentence").exit_code == code
    assert issubclass(error, NasxError)


def test_misuse_is_also_a_value_error() -> None:
    assert issubclass(UsageError, ValueError)
    assert not issubclass(NasxError, ValueError)


def test_of_very_many_names_only_the_near_ones_are_listed() -> None:
    text = str(unknown("metric", "accuracy_12", [f"accuracy_{number}" for number in range(200)]))
    assert "accuracy_12" in text
    assert "and 188 more (did you mean 'accuracy_12'?)" in text
