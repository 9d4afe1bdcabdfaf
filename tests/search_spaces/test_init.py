"""The registry of spaces, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nasx.search_spaces import SPACES, available, get_search_space
from nasx.search_spaces.errors import NasxError, UsageError, unknown


@pytest.mark.parametrize("name", list(SPACES))
def test_every_space_is_made_under_its_name(name: str) -> None:
    assert get_search_space(name).name == name


def test_unknown_space_lists_what_exists() -> None:
    with pytest.raises(UsageError, match=r"unknown search space 'nasbench-201'; known: .*did you mean 'nasbench201'"):
        get_search_space("nasbench-201")


def test_every_space_has_one_line() -> None:
    assert [name for name, _ in available()] == list(SPACES)
    assert all(summary and "\n" not in summary for _, summary in available())


def test_import_is_light() -> None:
    code = (
        "import sys, nasx.search_spaces as s; [s.get_search_space(n) for n in s.SPACES];"
        "print([m for m in ('torch', 'pandas', 'optuna', 'sklearn', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors() -> None:
    assert issubclass(UsageError, NasxError)
    assert issubclass(UsageError, ValueError)
    assert (NasxError.exit_code, UsageError.exit_code) == (1, 2)
    assert str(unknown("dataset", "x", [])) == "unknown dataset 'x'; known: none"
