"""Tables and lists on the screen."""

from __future__ import annotations

import pandas as pd
import pytest

from nasx.console import count_progress, show_names, show_table


def test_names_stand_in_columns_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    show_names([("a", "first [one]"), ("longer", "second " * 30)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a       first [one]"
    assert len(lines) == 2


def test_numbers_are_short_and_text_is_itself(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(pd.DataFrame({"name": ["x"], "tau": [0.123456789], "n": [1500]}), "title")
    out = capsys.readouterr().out
    assert "0.1235" in out
    assert "1500" in out


def test_no_progress_bar_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with count_progress("work") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")
