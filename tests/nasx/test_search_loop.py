"""The search loop: budget, rounds, failures, reproducibility, and nothing lost when it is killed."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasx.benchmark import BudgetSpent, load_benchmark
from nasx.predictors import make_predictor
from nasx.search_loop import Progress, search
from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201

SPACE = NASBench201()
TREES = make_predictor("trees", trees=30)


def convolutions(cell: tuple[str, ...]) -> float:
    return cell.count("nor_conv_3x3") + 0.5 * cell.count("nor_conv_1x1") - 0.1 * cell.count("none")


def guided(**changes: object) -> object:
    settings = {"predictor": TREES, "budget": 24, "initial": 8, "batch": 8, "seed": 0} | changes
    return search(SPACE, convolutions, **settings)  # type: ignore[arg-type]


def test_rounds_budget_and_best() -> None:
    result = guided()
    assert list(result.history["round"]) == [0] * 8 + [1] * 8 + [2] * 8
    assert result.evaluations == 24
    assert result.failed == 0
    assert result.best_value == result.history["value"].max() == convolutions(result.best)
    assert result.history["predicted"].isna().sum() == 8
    assert (result.history["best_so_far"].diff().dropna() >= 0).all()
    assert result.history["architecture"].is_unique


def test_guided_beats_unguided_on_a_smooth_objective() -> None:
    assert (
        guided(budget=30).best_value
        > search(SPACE, convolutions, predictor=None, strategy="random", budget=30).best_value
    )


def test_same_seed_same_history_other_seed_other_history() -> None:
    first, second, other = guided().history, guided().history, guided(seed=1).history
    assert first.equals(second)
    assert not first.equals(other)


def test_minimize_turns_everything_round() -> None:
    result = guided(direction="minimize")
    assert result.best_value == result.history["value"].min() < 0
    assert (result.history["best_so_far"].diff().dropna() <= 0).all()


@pytest.mark.parametrize("predictor", [None, TREES], ids=["alone", "trees"])
def test_failed_evaluations_are_recorded_and_cost_only_themselves(predictor: Any) -> None:
    def moody(cell: tuple[str, ...]) -> float:
        if cell[0] == "none":
            raise RuntimeError("out of memory")
        return math.nan if cell[1] == "none" else convolutions(cell)

    result = search(SPACE, moody, predictor=predictor, budget=40, initial=20, seed=3)
    failed = result.history[result.history["state"] == "failed"]
    assert result.evaluations == 40
    assert 0 < len(failed) == result.failed < 40
    assert failed["value"].isna().all()
    errors = {evaluation.error for evaluation in result.evaluations_list if evaluation.failed}
    assert errors <= {"RuntimeError: out of memory", "the objective returned nan"}


def test_all_failed_is_one_sentence() -> None:
    with pytest.raises(NasxError, match="all 5 evaluations failed; the first one said: ZeroDivisionError"):
        search(SPACE, lambda cell: 1 / 0, predictor=None, budget=5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"budget": 0}, "at least 1"),
        ({"budget": 5}, "smaller than the initial sample of 8"),
        ({"initial": 0}, "must be at least 1"),
        ({"exploration": 1.5}, "outside 0 to 1"),
        ({"strategy": "evolutoin"}, "did you mean 'evolution'"),
        ({"predictor": "nar-former-v3"}, "did you mean 'nar-former-v2'"),
    ],
)
def test_arguments_that_make_no_sense(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        guided(**changes)


def test_progress_tells_every_phase() -> None:
    states: list[Progress] = []
    guided(progress=states.append)
    assert {state.phase for state in states} == {"evaluating", "fitting", "proposing"}
    assert [state.done for state in states if state.phase == "evaluating"] == list(range(24))


def test_a_used_up_space_ends_the_search() -> None:
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.graph import Graph

    tiny = ChoiceSpace(
        "tiny", {"op": ["a", "b", "c", "d"]}, lambda c: Graph.from_edges(["input", c["op"], "output"], [(0, 1), (1, 2)])
    )
    for predictor in (TREES, None):
        result = search(tiny, lambda a: ord(a[0]), predictor=predictor, budget=10, initial=2, batch=2)
        assert (result.evaluations, result.best) == (4, ("d",))


def test_a_study_is_not_overwritten(tmp_path: Path) -> None:
    guided(storage=tmp_path / "journal.log")
    with pytest.raises(UsageError, match="--resume"):
        guided(storage=tmp_path / "journal.log")


_KILLED = """
    import os, signal, sys
    from tests_search import SPACE, convolutions
    from nasx.predictors import make_predictor
    from nasx.search_loop import search

    calls = 0
    def objective(cell):
        global calls
        calls += 1
        if calls == {kill_at}:
            os.kill(os.getpid(), signal.SIGKILL)
        return convolutions(cell)

    search(SPACE, objective, predictor={predictor}, budget=24, initial=8, batch=8, seed=0, storage=sys.argv[1])
"""


@pytest.mark.parametrize("guided", [True, False], ids=["trees", "alone"])
@pytest.mark.parametrize("kill_at", [3, 13])
def test_a_killed_search_resumes_to_the_same_history(tmp_path: Path, guided: bool, kill_at: int) -> None:
    predictor = TREES if guided else None
    (tmp_path / "tests_search.py").write_text(
        "from nasx.search_spaces.nasbench201 import NASBench201\nSPACE = NASBench201()\n"
        "def convolutions(cell):\n"
        "    return cell.count('nor_conv_3x3') + 0.5 * cell.count('nor_conv_1x1') - 0.1 * cell.count('none')\n"
    )
    made = 'make_predictor("trees", trees=30)' if guided else None
    script = textwrap.dedent(_KILLED).format(kill_at=kill_at, predictor=made)
    journal = tmp_path / "journal.log"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", script, str(journal)], env=environment, cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    with journal.open("ab") as file:
        file.write(b'{"op_code": 6, "half a li')  # what a kill in the middle of a write leaves behind

    evaluated: list[tuple[str, ...]] = []

    def objective(cell: tuple[str, ...]) -> float:
        evaluated.append(cell)
        return convolutions(cell)

    settings: dict[str, Any] = {"predictor": predictor, "budget": 24, "initial": 8, "batch": 8, "seed": 0}
    with pytest.warns(UserWarning, match="a process ended while it evaluated"):
        resumed = search(SPACE, objective, **settings, storage=journal, resume=True)
    undisturbed = search(SPACE, convolutions, **settings)
    assert resumed.history.equals(undisturbed.history)
    assert resumed.duplicates_avoided == undisturbed.duplicates_avoided
    assert len(evaluated) == 24 - (kill_at - 1)


def test_a_finished_search_can_be_given_a_larger_budget(tmp_path: Path) -> None:
    short = guided(budget=16, storage=tmp_path / "journal.log")
    longer = guided(budget=24, storage=tmp_path / "journal.log", resume=True)
    assert longer.history.head(16).equals(short.history)
    assert longer.history.equals(guided(budget=24).history)


def test_tau_of_a_plain_function_counts_predictions_made_before_evaluation() -> None:
    result = guided()
    assert result.kendall_tau_pairs == 16
    assert -1 <= result.kendall_tau <= 1
    assert result.best_rank is None
    assert result.regret is None
    assert np.isnan(search(SPACE, convolutions, predictor=None, budget=5).kendall_tau)


def test_a_spent_budget_stops_the_search_and_keeps_what_was_evaluated(tmp_path: Path) -> None:
    bench = load_benchmark("nasbench-graph", dataset="proteins", budget=7)
    options = {"predictor": None, "strategy": "random", "budget": 10, "storage": tmp_path / "journal.log"}
    with pytest.raises(BudgetSpent, match=r"budget of 7 queries is spent"):
        search(bench.space, bench, **options)  # type: ignore[arg-type]
    bench.budget = None
    result = search(bench.space, bench, resume=True, **options)  # type: ignore[arg-type]
    assert (result.evaluations, result.failed) == (10, 0)


def test_a_space_with_nothing_to_search_is_refused() -> None:
    from nasx.search_spaces.choice_space import ChoiceSpace
    from nasx.search_spaces.graph import Graph

    flat = ChoiceSpace("flat", {"a": [1, 2, 3]}, lambda chosen: Graph(["input", "output"], [[0, 1], [0, 0]]))
    with pytest.raises(UsageError, match="the graph of flat is the same for all architectures tried"):
        search(flat, lambda architecture: 1.0, predictor="trees", budget=3, initial=2)
