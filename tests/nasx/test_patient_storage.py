"""Storages that go away: waited for, and nothing done twice when an answer got lost."""

from __future__ import annotations

import errno
import logging
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

from nasx import patient_storage
from nasx.patient_storage import PatientStorage
from nasx.storages import StorageLost

RUNNING, COMPLETE = optuna.trial.TrialState.RUNNING, optuna.trial.TrialState.COMPLETE


class OperationalError(Exception):
    """As the drivers of databases call it."""


class Moody(optuna.storages.InMemoryStorage):
    """Fails before or after it has done what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.before = self.after = 0
        self.error: Exception = OperationalError("server closed the connection\nunexpectedly")

    def _fail(self) -> None:
        if isinstance(self.error, OSError):
            raise self.error
        try:
            raise self.error
        except Exception as error:
            raise StorageInternalError("during the commit") from error

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        if self.before:
            self.before -= 1
            self._fail()
        made = super().create_new_trial(study_id, template_trial)
        if self.after:
            self.after -= 1
            self._fail()
        return made

    def set_trial_state_values(self, trial_id: int, state: Any, values: Any = None) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        if self.after:
            self.after -= 1
            self._fail()
        return done


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> tuple[Moody, PatientStorage, int]:
    monkeypatch.setattr(patient_storage, "_PAUSES", (0.001,))
    storage = Moody()
    study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "ours")
    return storage, PatientStorage(storage, "the storage 'x'", patience=0.2), study_id


def template() -> Any:
    return optuna.trial.create_trial(state=RUNNING, user_attrs={"claim": "first"})


def test_it_waits_and_says_so_once(moody: Any, caplog: pytest.LogCaptureFixture) -> None:
    storage, patient, study_id = moody
    storage.before, waits = 5, []
    patient.on_wait = lambda: waits.append(1)
    with caplog.at_level(logging.WARNING, "nasx"):
        patient.create_new_trial(study_id, template())
    assert caplog.messages == ["the storage 'x' does not answer (server closed the connection); trying again"]
    assert len(waits) == 1
    assert len(storage.get_all_trials(study_id)) == 1


def test_a_trial_is_not_made_twice_when_the_answer_is_lost(moody: Any) -> None:
    storage, patient, study_id = moody
    storage.after = 1
    made = patient.create_new_trial(study_id, template())
    assert [trial._trial_id for trial in storage.get_all_trials(study_id)] == [made]


def test_a_result_that_arrived_is_not_refused(moody: Any) -> None:
    storage, patient, study_id = moody
    made = patient.create_new_trial(study_id, template())
    storage.after = 1
    assert patient.set_trial_state_values(made, COMPLETE, [1.5])
    with pytest.raises(UpdateFinishedTrialError):
        patient.set_trial_state_values(made, COMPLETE, [2.5])


def test_patience_ends(moody: Any) -> None:
    storage, patient, study_id = moody
    storage.before = 10**9
    with pytest.raises(StorageLost, match=r"has not answered for 0.2 s \(server closed the connection\)"):
        patient.create_new_trial(study_id, template())


def test_a_full_disk_is_not_waited_for(moody: Any) -> None:
    storage, patient, study_id = moody
    storage.before, storage.error = 1, OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageLost, match="cannot be written: No space left on device; make room"):
        patient.create_new_trial(study_id, template())


def test_other_errors_pass(moody: Any) -> None:
    storage, patient, study_id = moody
    storage.before, storage.error = 1, ValueError("too long")
    with pytest.raises(StorageInternalError):
        patient.create_new_trial(study_id, template())


class PendingRollbackError(Exception):
    """What SQLAlchemy says when a connection broke in the middle of a transaction."""


class Refused(Exception):
    """An answer of the database."""

    def __init__(self, broken: bool) -> None:
        super().__init__("no")
        self.connection_invalidated = broken


@pytest.mark.parametrize("error", [PendingRollbackError("roll back first"), Refused(broken=True)])
def test_a_transaction_that_lost_its_connection_is_tried_again(moody: Any, error: Exception) -> None:
    storage, patient, study_id = moody
    storage.before, storage.error = 2, error
    assert patient.create_new_trial(study_id, template()) == 0


def test_an_answer_of_the_database_is_not_asked_for_again(moody: Any) -> None:
    storage, patient, study_id = moody
    storage.before, storage.error = 1, Refused(broken=False)
    with pytest.raises(StorageInternalError):
        patient.create_new_trial(study_id, template())
