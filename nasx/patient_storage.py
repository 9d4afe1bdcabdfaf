"""A storage that waits: a database that goes away for a while costs the search that while, nothing else."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Container, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nasx.storages import StorageLost, without_password

T = TypeVar("T")

_log = logging.getLogger("nasx")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: What SQLAlchemy says of a connection that broke, the last two where it broke in the middle of a transaction.
_PASSING = {
    *("OperationalError", "InterfaceError", "InternalError", "DisconnectionError", "TimeoutError"),
    *("PendingRollbackError", "ResourceClosedError"),
}
_PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds between attempts; the last one is repeated


class PatientStorage(BaseStorage):
    """Passes everything on to another storage, again and again while that one does not answer.

    A connection may break when the database has done what was asked but could not say so. A repeated attempt therefore
    looks first whether it is done already: a trial is never made twice, a result never refused because it is there.

    Args:
        storage: The storage.
        name: What to call it in sentences; without a password.
        patience: Seconds to keep trying.

    >>> import optuna
    >>> storage = PatientStorage(optuna.storages.InMemoryStorage(), "memory")
    >>> study = optuna.create_study(storage=storage)
    >>> study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    >>> len(study.trials)
    3
    """

    def __init__(self, storage: BaseStorage, name: str, patience: float = 120.0) -> None:
        self._storage, self._name, self.patience = storage, name, patience
        #: Told when the waiting begins.
        self.on_wait: Callable[[], None] | None = None
        self._away = False

    def _ask(self, operation: Callable[[], T], done: Callable[[], T | None] | None = None) -> T:
        """Runs an operation until it succeeds; ``done`` gives its result if an earlier attempt did succeed."""
        begun, attempt = time.monotonic(), 0
        while True:
            try:
                if attempt and done is not None:
                    found = done()
                    if found is not None:
                        return found
                result = operation()
                self._away = False
                return result
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _FULL:
                    raise StorageLost(f"{self._name} cannot be written: {error.strerror}; make room") from error
                if not _passing(error):
                    raise
                if time.monotonic() - begun > self.patience:
                    raise StorageLost(
                        f"{self._name} has not answered for {self.patience:g} s ({_reason(error)}); bring it back"
                    ) from error
                if not self._away:
                    self._away = True
                    _log.warning("%s does not answer (%s); trying again", self._name, _reason(error))
                    if self.on_wait is not None:
                        self.on_wait()
            time.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Passed on."""
        return self._ask(lambda: self._storage.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.delete_study(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        """Passed on."""
        return self._ask(lambda: self._storage.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        """Passed on."""
        return self._ask(lambda: self._storage.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Passed on."""
        return self._ask(lambda: self._storage.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Passed on."""
        return self._ask(lambda: self._storage.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Passed on."""
        return self._ask(lambda: self._storage.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[Any]:
        """Passed on."""
        return self._ask(self._storage.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Passed on; a repeated attempt takes the trial with the same attributes if the first one made it."""

        def made() -> int | None:
            if template_trial is None or not template_trial.user_attrs:
                return None
            trials = self._storage.get_all_trials(study_id, deepcopy=False)
            same = [t._trial_id for t in trials if t.user_attrs == template_trial.user_attrs]
            return same[-1] if same else None

        return self._ask(lambda: self._storage.create_new_trial(study_id, template_trial), made)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_trial_param(trial_id, param_name, param_value_internal, distribution))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Passed on; a repeated attempt is content with a trial that is in this state with these values."""

        def there() -> bool | None:
            trial = self._storage.get_trial(trial_id)
            if not trial.state.is_finished():
                return None
            if trial.state != state or (values is not None and list(trial.values or ()) != list(values)):
                raise UpdateFinishedTrialError(f"trial {trial.number} has ended already")
            return True

        return self._ask(lambda: self._storage.set_trial_state_values(trial_id, state, values), there)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_trial_intermediate_value(trial_id, step, intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Passed on."""
        self._ask(lambda: self._storage.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Passed on."""
        return self._ask(lambda: self._storage.get_trial(trial_id))

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """Passed on."""
        return self._ask(lambda: self._storage.get_trial_id_from_study_id_trial_number(study_id, trial_number))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Passed on."""
        return self._ask(lambda: self._storage.get_all_trials(study_id, deepcopy, states))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Passed on."""
        return self._ask(lambda: self._storage.get_best_trial(study_id))

    def remove_session(self) -> None:
        """Passed on."""
        self._storage.remove_session()


def _passing(error: BaseException) -> bool:
    """Whether an error may be gone a moment later: the database is away, restarting, or locked."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, OSError):
        return isinstance(cause, ConnectionError) or cause.errno == errno.ESTALE
    if getattr(cause, "connection_invalidated", False):
        return True
    return not _PASSING.isdisjoint(kind.__name__ for kind in type(cause).__mro__)


def _reason(error: BaseException) -> str:
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    cause = getattr(cause, "orig", None) or cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return without_password(lines[0]) if lines else type(cause).__name__
