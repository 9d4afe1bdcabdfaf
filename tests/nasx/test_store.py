"""The trial store: plans are durable, torn journals are mended, storages are opened or refused in one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import optuna
import pytest

from nasx.search_spaces.errors import NasxError, UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.store import TrialStore, open_storage
from nasx.strategies.guided import unseen

SPACE = NASBench201()


def test_a_plan_survives_the_process_and_is_finished_by_the_next(tmp_path: Path) -> None:
    proposals, _ = unseen(SPACE, np.random.default_rng(0), 4, ())
    first = TrialStore(SPACE, open_storage(tmp_path / "journal.log"))
    first.plan(0, proposals, duplicates_avoided=3)
    done, running, *_ = first.open_trials(0)
    first.start(done)
    first.finish(done, 91.5, None)
    first.start(running)

    second = TrialStore(SPACE, open_storage(tmp_path / "journal.log"), resume=True)
    assert second.planned(0) == 4
    assert len(second.open_trials(0)) == 3
    with pytest.warns(UserWarning, match="a process ended while it evaluated"):
        second.start(second.open_trials(0)[0])
    for number, trial in enumerate(second.open_trials(0)):
        if number:
            second.start(trial)
        second.finish(trial, math.nan if number == 2 else float(number), "ValueError: no" if number == 2 else None)
    evaluations = second.evaluations(0)
    assert [evaluation.architecture for evaluation in evaluations] == [p.architecture for p in proposals]
    assert [evaluation.value for evaluation in evaluations[:3]] == [91.5, 0.0, 1.0]
    assert evaluations[3].failed
    assert evaluations[3].error == "ValueError: no"
    assert {evaluation.duplicates_avoided for evaluation in evaluations} == {3}


def test_what_three_processes_died_over_is_a_failed_evaluation_and_an_interrupt_is_no_death(tmp_path: Path) -> None:
    proposals, _ = unseen(SPACE, np.random.default_rng(0), 2, ())
    TrialStore(SPACE, open_storage(tmp_path / "journal.log")).plan(0, proposals, 0)

    def trial_of(store: TrialStore) -> optuna.trial.FrozenTrial:
        return store.open_trials(0)[0]

    def opened() -> TrialStore:
        return TrialStore(SPACE, open_storage(tmp_path / "journal.log"), resume=True)

    for _ in range(5):
        store = opened()
        trial = trial_of(store)
        assert store.start(trial)
        with pytest.raises(KeyboardInterrupt), store.evaluating(trial):
            raise KeyboardInterrupt
    assert opened().start(trial_of(opened()))  # and there the process dies
    for _ in range(2):
        store = opened()
        with pytest.warns(UserWarning, match="a process ended while it evaluated"):
            assert store.start(trial_of(store))
    store = opened()
    assert not store.start(trial_of(store))
    assert "3 processes died over it" in str(store.evaluations(0)[0].error)
    assert store.start(opened().open_trials(0)[0])


def test_half_a_plan_is_completed_without_repeats(tmp_path: Path) -> None:
    proposals, _ = unseen(SPACE, np.random.default_rng(0), 4, ())
    TrialStore(SPACE, open_storage(tmp_path / "journal.log")).plan(0, proposals[:2], 0)
    store = TrialStore(SPACE, open_storage(tmp_path / "journal.log"), resume=True)
    store.plan(0, proposals, 0)
    planned = [trial.user_attrs["key"] for trial in store.open_trials(0)]
    assert planned == [proposal.key for proposal in proposals]


@pytest.mark.parametrize("moved", [False, True])
def test_the_lock_of_a_killed_process_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    proposals, _ = unseen(SPACE, np.random.default_rng(0), 1, ())
    TrialStore(SPACE, open_storage("journal.log")).plan(0, proposals, 0)
    (tmp_path / "journal.log.lock").symlink_to(tmp_path / ("elsewhere.log" if moved else "journal.log"))
    store = TrialStore(SPACE, open_storage("journal.log"), resume=True)
    store.start(store.open_trials(0)[0])
    assert not (tmp_path / "journal.log.lock").is_symlink()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [("postgresq://host/db", "cannot be opened"), ("sqlite:////nowhere/at/all.db", "cannot be opened")],
)
def test_a_storage_that_cannot_be_opened_is_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(NasxError, match=sentence) as raised:
        open_storage(url)
    assert "\n" not in str(raised.value)


def test_an_existing_study_is_not_taken_over(tmp_path: Path) -> None:
    TrialStore(SPACE, open_storage(tmp_path / "journal.log"))
    with pytest.raises(UsageError, match="already holds a study"):
        TrialStore(SPACE, open_storage(tmp_path / "journal.log"))
