"""Two processes never take the same architecture: claims, written into the trials of the study they share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

CLAIM = "nasx:claim"
PATIENCE = 5.0  # seconds to wait for another process to make up its mind
_PAUSE = 0.02


def claim(study: Study, trial: FrozenTrial, key: str) -> bool:
    """Claims an architecture for a trial, unless another trial has it.

    A storage has no "write if nobody has": so a claim is written first, as not yet sure, and the others are read after
    that. Of two processes that do so at once, the one that wrote later sees the other. A claim gives way to one that is
    sure and to one of an earlier trial; for an unsure one of a later trial it waits, as that gives way or becomes sure
    by itself (or its process is dead, and it is passed over after ``PATIENCE`` seconds).

    Args:
        study: The study.
        trial: The running trial.
        key: The canonical key of the architecture.

    Returns:
        Whether the architecture is the trial's.

    >>> import optuna
    >>> study = optuna.create_study()
    >>> first, second = (study.ask()._trial_id for _ in range(2))
    >>> claim(study, study.trials[0], "cell"), claim(study, study.trials[1], "cell"), claim(study, study.trials[1], "b")
    (True, False, True)
    """
    mark(study, trial, key, sure=False)
    deadline = time.monotonic() + PATIENCE
    while True:
        later = False
        for other in study.get_trials(deepcopy=False):
            theirs = other.system_attrs.get(CLAIM)
            if other.number == trial.number or not theirs or theirs["key"] != key:
                continue
            if theirs["sure"] or other.number < trial.number:
                return False
            later = True
        if not later or time.monotonic() > deadline:
            mark(study, trial, key, sure=True)
            return True
        time.sleep(_PAUSE)


def mark(study: Study, trial: FrozenTrial, key: str, *, sure: bool) -> None:
    """Writes what a trial claims."""
    study._storage.set_trial_system_attr(trial._trial_id, CLAIM, {"key": key, "sure": sure})
