"""Claims: atomic on every storage, given up once, counted against one budget."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from nasx.claims import Claims, refuse_shared
from nasx.search_spaces.errors import UsageError
from nasx.search_spaces.nasbench201 import NASBench201
from nasx.storages import open_storage
from nasx.store import TrialStore
from nasx.strategies.guided import Proposal, unseen

SPACE = NASBench201()
PROPOSALS: list[Proposal] = unseen(SPACE, np.random.default_rng(0), 12, ())[0]
PRUNED = optuna.trial.TrialState.PRUNED


def join(storage: Any, budget: int = 10, **changes: Any) -> Claims:
    options = {"space": "nasbench201", "seed": 0} | changes.pop("options", {})
    settings = {"study_name": "ours", "heartbeat": 60.0} | changes
    return Claims(SPACE, open_storage(storage) if isinstance(storage, (str, Path)) else storage,
                  budget=budget, options=options, **settings)  # fmt: skip


@pytest.fixture(params=["memory", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return open_storage(None) if request.param == "memory" else tmp_path / "journal.log"


@pytest.mark.parametrize("kind", ["memory", "journal", "sqlite"])
def test_the_same_architecture_is_claimed_once(kind: str, tmp_path: Path) -> None:
    where = {"journal": tmp_path / "journal.log", "sqlite": f"sqlite:///{tmp_path / 'study.db'}"}
    storage = where.get(kind) or open_storage(None)
    one, other = join(storage), join(storage)
    assert one.claim(PROPOSALS[0], 0, 0) is not None
    assert other.claim(PROPOSALS[0], 0, 0) is None
    assert other.claim(PROPOSALS[1], 0, 0) is not None
    assert [trial.state for trial in one.trials()].count(PRUNED) == 1


def test_claims_at_the_same_moment(tmp_path: Path) -> None:
    workers = [join(tmp_path / "journal.log", budget=7) for _ in range(4)]
    won: list[str] = []

    def grab(worker: Claims) -> None:
        for proposal in PROPOSALS[:9]:
            trial = worker.claim(proposal, 0, 0)
            if trial is not None:
                won.append(trial.user_attrs["key"])

    threads = [threading.Thread(target=grab, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == len(set(won)) <= 7
    assert workers[0].room(workers[0].trials()) == 7 - len(won)


def test_together_they_stop_at_the_budget(storage: Any) -> None:
    one, other = join(storage, budget=3), join(storage, budget=3)
    claimed = [(one, other)[i % 2].claim(PROPOSALS[i], 0, 0) for i in range(5)]
    assert [trial is not None for trial in claimed] == [True, True, True, False, False]
    assert one.room(one.trials()) == 0


def test_what_a_dead_worker_leaves_is_taken_up_first_and_once(storage: Any) -> None:
    dead, one, other = join(storage, budget=2), join(storage, budget=2), join(storage, budget=2)
    held = dead.claim(PROPOSALS[0], 4, 2)
    assert held is not None
    assert one.claim(PROPOSALS[1], 0, 0) is not None
    assert one.orphan(one.trials()) is None
    dead.heart.stop()  # says goodbye; silence is tested with the heartbeat
    for worker in (one, other):
        worker.heart._look()
        found = worker.orphan(worker.trials())
        assert found is not None
        assert (found[0].key, found[1:]) == (PROPOSALS[0].key, (4, 2))
        assert worker.room(worker.trials()) == 0  # it keeps its place in the budget
    assert other.claim(PROPOSALS[2], 0, 0) is None
    assert other.claim(found[0], 4, 2) is not None
    assert one.claim(found[0], 4, 2) is None
    assert one.orphan(one.trials()) is None
    assert dead.finish(held, 1.0, None) is False  # its late result is dropped


def test_leaving_gives_up_claims(storage: Any) -> None:
    one, other = join(storage), join(storage)
    done = one.claim(PROPOSALS[0], 0, 0)
    assert done is not None
    assert one.finish(done, 90.0, None)
    assert one.claim(PROPOSALS[1], 0, 0) is not None
    one.leave()
    found = other.orphan(other.trials())
    assert found is not None
    assert found[0].key == PROPOSALS[1].key
    assert [evaluation.value for evaluation in other.finished(other.trials())] == [90.0]


def test_an_architecture_that_kills_its_worker_three_times_is_a_failed_evaluation(tmp_path: Path) -> None:
    for attempt in range(3):
        worker = join(tmp_path / "journal.log", heartbeat=0.0, inline=True)
        if attempt:
            assert worker.orphan(worker.trials()) is not None
        assert worker.claim(PROPOSALS[0], 0, 0) is not None
    last = join(tmp_path / "journal.log", heartbeat=0.0, inline=True)
    (evaluation,) = last.finished(last.trials())
    assert evaluation.failed
    assert evaluation.error == "3 workers died over it"
    assert last.orphan(last.trials()) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"options": {"seed": 1}}, "was started with seed 0, this search with seed 1"),
        ({"budget": 5}, "join it with --budget 10"),
        ({"direction": "minimize"}, "is to maximize, this search to minimize"),
    ],
)
def test_whoever_joins_must_agree(storage: Any, changes: dict[str, Any], sentence: str) -> None:
    join(storage)
    with pytest.raises(UsageError, match=sentence):
        join(storage, **changes)


def test_a_larger_budget_is_one_for_all(storage: Any) -> None:
    one = join(storage, budget=10)
    join(storage, budget=12)
    one.check_options()
    assert one.budget == 12


def test_searches_of_one_process_and_of_several_do_not_mix(tmp_path: Path) -> None:
    alone = TrialStore(SPACE, open_storage(tmp_path / "alone.log"), study_name="ours")
    alone.plan(0, PROPOSALS[:2], 0)
    with pytest.raises(UsageError, match="belongs to a search of one process"):
        join(tmp_path / "alone.log")
    join(tmp_path / "shared.log")
    with pytest.raises(UsageError, match="begun by several workers"):
        refuse_shared(TrialStore(SPACE, open_storage(tmp_path / "shared.log"), study_name="ours", resume=True))


def test_a_study_of_something_else_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(tmp_path / "journal.log"), study_name="ours", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(UsageError, match="which no search of nasx made"):
        join(tmp_path / "journal.log")
