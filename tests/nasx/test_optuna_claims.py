"""Claims: of several that want the same architecture at the same instant, exactly one gets it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import optuna
import pytest

from nasx import optuna_claims
from nasx.optuna import PredictorSampler, suggest_architecture
from nasx.optuna_claims import claim, mark
from nasx.search_spaces import get_search_space
from nasx.strategies.guided import Proposal

SPACE = get_search_space("nasbench201")


def test_one_of_many_gets_it() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="s")
    for round_number in range(20):
        trials = [study.ask() for _ in range(6)]
        frozen = [study.trials[trial.number] for trial in trials]
        together = threading.Barrier(len(trials))

        def wants(trial: Any, key: str = f"cell {round_number}", together: Any = together) -> bool:
            own = optuna.load_study(study_name="s", storage=storage)
            together.wait()
            return claim(own, trial, key)

        with ThreadPoolExecutor(len(trials)) as pool:
            assert sum(pool.map(wants, frozen)) == 1


def test_what_a_dead_process_left_undecided_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_claims, "PATIENCE", 0.05)
    study = optuna.create_study()
    first, second, third = (study.ask().number for _ in range(3))
    mark(study, study.trials[second], "cell", sure=False)
    assert claim(study, study.trials[first], "cell")
    assert not claim(study, study.trials[third], "cell")
    assert claim(study, study.trials[third], "another")


def test_two_samplers_that_choose_at_the_same_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s", direction="maximize")
    together, waited = threading.Barrier(2), threading.local()
    original = PredictorSampler._next

    def both_want_the_same(self: PredictorSampler, study: Any, trial: Any) -> Proposal:
        if getattr(waited, "number", None) != trial.number:  # the first choice of every trial
            waited.number = trial.number
            together.wait(timeout=20)
            cell = SPACE.sample(np.random.default_rng(trial.number // 2))
            proposal = Proposal(cell, SPACE.canonical_key(cell))
            together.wait(timeout=20)
            return proposal
        return original(self, study, trial)

    monkeypatch.setattr(PredictorSampler, "_next", both_want_the_same)

    def work(_: int) -> None:
        sampler = PredictorSampler(SPACE, predictor="trees", n_startup_trials=100, seed=0)
        study = optuna.load_study(study_name="s", storage=storage, sampler=sampler)
        study.optimize(lambda trial: float(suggest_architecture(trial, SPACE).count("none")), n_trials=6)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    trials = optuna.load_study(study_name="s", storage=storage).trials
    assert len({SPACE.canonical_key(SPACE.from_params(trial.params)) for trial in trials}) == len(trials) == 12
